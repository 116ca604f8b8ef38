// What a call of `run_js` answers: a result that fits, or an error that tells about the snippet
// and nothing else.

import { ToolError } from "bulkhead-sdk";

import { inspect, inspectError, isError, text } from "./inspect.js";
import { stackOf } from "./intrinsics.js";

/** Of an error's message, its traceback, and what was printed before it. */
const LONGEST = 2_000;

/**
 * What was printed, and the value as JSON, or as text where it has no form in JSON; both cut
 * so that they fit into `limit` bytes.
 * @param {{ text: string, dropped: number }} printed
 * @param {unknown} value
 * @param {number} limit
 * @returns {{ stdout: string, result: unknown, truncated?: true }}
 */
export function answer(printed, value, limit) {
  const room = limit - 200;
  let result = value === undefined ? null : asJson(value);
  let stdout = printed.text.toWellFormed();
  const size = bytes(JSON.stringify(result), room);
  if (printed.dropped === 0 && size + bytes(JSON.stringify(stdout), room) <= room) {
    return { stdout, result };
  }
  // The result is the shorter one as a rule, and says more: it may have half of the room.
  if (size > room / 2) result = cut(inspect(value).toWellFormed(), room / 2, 0);
  stdout = cut(stdout, room - bytes(JSON.stringify(result), room), printed.dropped);
  return { stdout, result, truncated: true };
}

/**
 * The error of a snippet, with frames of the snippet alone.
 * @param {any} thrown
 * @param {string} stdout
 */
export function failure(thrown, stdout, code = "JAVASCRIPT_ERROR") {
  if (thrown instanceof ToolError) return thrown;
  const error = isError(thrown);
  const type = error ? (text(thrown, "name") ?? "Error") : "thrown";
  const message = short(error ? (text(thrown, "message") ?? "") : inspect(thrown));
  const frames = error ? framesOf(stackOf(thrown)) : [];
  const line = frames[0]?.line ?? null;
  const head = short(inspectError(thrown));
  const traceback = [head, ...frames.map(({ name, line }) => `    at ${name}, line ${line}`)].join("\n");
  const details = { type: short(type), message, line, traceback, ...(stdout && { stdout: tail(stdout) }) };
  return new ToolError(code, line === null ? head : `${head} (line ${line})`, { details });
}

/**
 * The frames of a stack that are the snippet's, the innermost first. The engine calls what was
 * evaluated `<input>`, and so it calls the text that a native `JSON.parse` was given.
 * @param {string} stack
 */
function framesOf(stack) {
  const lines = stack.split("\n");
  const isParsed = /^ +at <input>:/.test(lines[0]) && /^ +at parse \(native\)/.test(lines[1]);
  return lines
    .slice(isParsed ? 1 : 0)
    .map((line) => /^ +at (?:(.*) \()?<input>:(\d+)/.exec(line))
    .filter((found) => found !== null)
    .slice(0, 20)
    .map(([, name = "<eval>", line]) => ({
      name: name === "<eval>" ? "the snippet" : name.slice(0, 100).toWellFormed(),
      line: Number(line),
    }));
}

class NoJson extends Error {}

/**
 * A copy that is JSON through and through, or the value's text.
 * @param {unknown} value
 */
function asJson(value) {
  let left = 100_000;
  try {
    return copy(value, []);
  } catch {
    // Not JSON, or something that throws when it is looked at.
    return inspect(value).toWellFormed();
  }

  /** @param {any} value @param {object[]} outer @returns {unknown} */
  function copy(value, outer) {
    left -= 1;
    if (typeof value === "string") return value.toWellFormed();
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    // The copy is written by a native function that goes as deep as it is told to.
    if (typeof value !== "object" || outer.includes(value) || outer.length > 50 || left < 0) throw new NoJson();
    const inner = [...outer, value];
    if (Array.isArray(value)) {
      // One by one: `map` leaves holes.
      const items = [];
      for (let i = 0; i < value.length; i++) items.push(value[i] === undefined ? null : copy(value[i], inner));
      return items;
    }
    const tag = Object.prototype.toString.call(value);
    if (tag === "[object Date]") return Date.prototype.toISOString.call(value);
    if (tag !== "[object Object]") throw new NoJson();
    const object = Object.create(null);
    for (const key of Object.keys(value)) {
      const item = value[key];
      if (item !== undefined) object[key.toWellFormed()] = copy(item, inner);
    }
    return object;
  }
}

/**
 * The bytes of a text in UTF-8, or a number above `enough`.
 * @param {string} text @param {number} enough
 */
function bytes(text, enough) {
  if (text.length > enough) return text.length;
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // A surrogate is half of four bytes.
    if (unit >= 0x80) size += unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return size;
}

/**
 * The beginning of a text, so that it and the remark fit into this many bytes of JSON.
 * @param {string} text @param {number} room @param {number} dropped
 */
function cut(text, room, dropped) {
  let left = room - 80;
  let end = 0;
  while (end < text.length) {
    const unit = text.charCodeAt(end);
    if (unit < 0x20 || unit === 0x22 || unit === 0x5c) left -= unit < 0x20 && unit !== 0x0a ? 6 : 2;
    else left -= unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
    if (left < 0) break;
    end += 1;
  }
  if (end === text.length && dropped === 0) return text;
  // Not between the halves of a surrogate pair.
  if (/[\ud800-\udbff]/.test(text[end - 1] ?? "")) end -= 1;
  return `${text.slice(0, end)}\n… cut: ${text.length - end + dropped} more characters`;
}

/** @param {string} text */
function short(text) {
  const start = text.slice(0, LONGEST).toWellFormed();
  return text.length <= LONGEST ? start : `${start}…`;
}

/** @param {string} text */
function tail(text) {
  const end = text.slice(-LONGEST).toWellFormed();
  return text.length <= LONGEST ? end : `…${end}`;
}
