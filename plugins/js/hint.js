// What an error has to do with the sandbox.

/** What snippets ask for that were written for another place. */
const ELSEWHERE = new Set(
  `Buffer Bun Deno TextDecoder TextEncoder URL URLSearchParams WebSocket XMLHttpRequest __dirname
  __filename alert crypto document exports fetch localStorage module navigator process prompt
  require window`.split(/\s+/),
);

/**
 * The end of the message for an error of this type; empty for an ordinary one.
 * @param {string} type
 * @param {string} message
 */
export function hintFor(type, message) {
  const missing = type === "ReferenceError" && /^(\w+) is not defined$/.exec(message)?.[1];
  if (!missing || !ELSEWHERE.has(missing)) return "";
  return ". There are no files, network or processes here, and nothing of Node or browsers.";
}
