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
 * @param {string} printed
 * @param {unknown} value
 * @param {number} limit
 * @returns {{ stdout: string, result: unknown, truncated?: true }}
 */
export function answer(printed, value, limit) {
  // The rest is for the braces and the keys.
  const room = limit - 100;
  const stdout = printed.toWellFormed();
  const result = value === undefined ? null : asJson(value, room);
  const sizes = { stdout: stdout.length > room ? room : jsonBytes(stdout), result: jsonBytes(result) };
  if (sizes.stdout + sizes.result <= room) return { stdout, result };
  // The result says more, and is the shorter one as a rule: it may have half of the room.
  const share = Math.max(room / 2, room - sizes.stdout);
  const short = sizes.result <= share ? result : cut(inspect(value).toWellFormed(), share);
  return { stdout: cut(stdout, room - jsonBytes(short)), result: short, truncated: true };
}

/**
 * The error of a snippet that ran, with frames of the snippet alone.
 * @param {any} thrown
 * @param {string} printed
 */
export function failure(thrown, printed) {
  const error = isError(thrown);
  const type = error ? (text(thrown, "name") ?? "Error") : "thrown";
  const message = error ? (text(thrown, "message") ?? "") : inspect(thrown);
  const frames = error ? framesOf(stackOf(thrown)) : [];
  const head = short(inspectError(thrown));
  const traceback = [head, ...frames.map(({ name, line }) => `    at ${name}, line ${line}`)].join("\n");
  const line = frames[0]?.line ?? null;
  const details = { type: short(type), message: short(message), line, traceback };
  return new ToolError("JAVASCRIPT_ERROR", line === null ? head : `${head} (line ${line})`, {
    details: printed === "" ? details : { ...details, stdout: tail(printed) },
  });
}

/**
 * The error of a snippet that is none.
 * @param {any} error
 * @param {string} code
 */
export function refusal(error, code) {
  const message = short(error.message);
  const line = error.line ?? framesOf(stackOf(error))[0]?.line ?? null;
  const head = `SyntaxError: ${message}`;
  const hint = /^\s*(import|export)\b/m.test(code) ? ". Modules cannot be imported here" : "";
  const details = { type: "SyntaxError", message, line, traceback: `${head}\n    at line ${line}` };
  return new ToolError("SYNTAX_ERROR", `${head} (line ${line})${hint}`, { details });
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

/** Objects in one result; a text of that many is for no reader. */
const OBJECTS = 10_000;

class NoJson extends Error {}

/**
 * A copy that is JSON through and through, and not much larger than `room` bytes; or else the
 * value's text.
 * @param {unknown} value
 * @param {number} room
 */
function asJson(value, room) {
  let objects = OBJECTS;
  let left = room;
  const open = new Set();
  try {
    return copy(value);
  } catch {
    // Not JSON, or too large, or something that throws when it is looked at.
    return inspect(value).toWellFormed();
  }

  /** @param {any} value @returns {unknown} */
  function copy(value) {
    left -= typeof value === "string" ? value.length + 2 : 2;
    if (left < 0) throw new NoJson();
    if (typeof value === "string") return value.toWellFormed();
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    if (typeof value !== "object") throw new NoJson();
    objects -= 1;
    // The copy is written by a native function that goes as deep as it is told to.
    if (objects < 0 || open.size > 50 || open.has(value)) throw new NoJson();
    open.add(value);
    const copied = copyObject(value);
    open.delete(value);
    return copied;
  }

  /** @param {any} value */
  function copyObject(value) {
    if (Array.isArray(value)) {
      const { length } = value;
      if (!(length * 2 <= left)) throw new NoJson();
      // One by one: `map` leaves holes.
      const items = [];
      for (let i = 0; i < length; i++) items.push(value[i] === undefined ? null : copy(value[i]));
      return items;
    }
    const tag = Object.prototype.toString.call(value);
    if (tag === "[object Date]") return Date.prototype.toISOString.call(value);
    if (tag !== "[object Object]") throw new NoJson();
    const object = Object.create(null);
    for (const key of Object.keys(value)) {
      const item = value[key];
      left -= key.length + 2;
      if (item !== undefined) object[key.toWellFormed()] = copy(item);
    }
    return object;
  }
}

/**
 * The bytes of a value as JSON. Native functions count; a loop over the text would cost more
 * than most snippets.
 * @param {unknown} value
 */
function jsonBytes(value) {
  return unescape(encodeURIComponent(JSON.stringify(value))).length;
}

const CUT = "\n… cut: there is more than fits";

/**
 * The beginning of a text, as much as fits into `room` bytes of JSON, and a remark.
 * @param {string} text @param {number} room
 */
function cut(text, room) {
  if (text.length <= room && jsonBytes(text) <= room) return text;
  const left = Math.max(room - jsonBytes(CUT), 0);
  // Two for the quotation marks.
  let start = text.slice(0, Math.max(left - 2, 0));
  for (let size = jsonBytes(start); size > left && start !== ""; size = jsonBytes(start)) {
    // Where the text is even, the next one fits.
    start = start.slice(0, Math.min((start.length * left) / size, start.length - 1));
  }
  // The last character may have lost its second half.
  return start.replace(/[\ud800-\udbff]$/, "") + CUT;
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
