// What a call of `run_js` answers: a result that fits, or an error that tells about the snippet
// and nothing else.

import { ToolError } from "bulkhead-sdk";

import { inspect, inspectError, isError, text } from "./inspect.js";
import { stackOf } from "./intrinsics.js";

/** What the texts of an error's details may take, so that the host passes them on (8 KiB). */
const DETAILS = { type: 200, message: 1_500, traceback: 3_000, stdout: 3_000 };

/**
 * @typedef {object} Ran
 * @property {string} stdout What it printed.
 * @property {unknown} result The value, where JSON can say it; else null.
 * @property {string} [repr] The value as text, where JSON cannot say it, or it is too large.
 * @property {true} [truncated] Something did not fit, and its end is cut off.
 */

/**
 * What was printed, and the value, cut so that they fit into `limit` bytes.
 * @param {string} printed
 * @param {unknown} value
 * @param {number} limit
 * @returns {Ran}
 */
export function answer(printed, value, limit) {
  // The rest is for the braces and the keys.
  const room = limit - 100;
  const stdout = printed.toWellFormed();
  const size = stdout.length > room ? room : jsonBytes(stdout);
  // The value says more, and is the shorter one as a rule: it may have half of the room.
  const share = Math.max(room / 2, room - size);
  const said = saying(value, share);
  const left = room - jsonBytes(said.result) - jsonBytes(said.repr ?? "");
  if (stdout.length <= left && size <= left) return { stdout, ...said };
  return { stdout: cut(stdout, left), ...said, truncated: true };
}

/**
 * A value as JSON if it has that form and it fits, or as text.
 * @param {unknown} value
 * @param {number} room
 * @returns {Omit<Ran, "stdout">}
 */
function saying(value, room) {
  if (value === undefined) return { result: null };
  if (typeof value === "string") {
    const text = value.toWellFormed();
    const result = cut(text, room);
    return result === text ? { result } : { result, truncated: true };
  }
  const { result, fits } = asJson(value, room);
  if (fits && jsonBytes(result) <= room) return { result };
  const text = inspect(value).toWellFormed();
  const repr = cut(text, room);
  return repr === text && result === undefined ? { result: null, repr } : { result: null, repr, truncated: true };
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
  const head = start(inspectError(thrown).toWellFormed(), DETAILS.message);
  const traceback = [head, ...frames.map(({ name, line }) => `    at ${name}, line ${line}`)].join("\n");
  const line = frames[0]?.line ?? null;
  const details = {
    type: start(type.toWellFormed(), DETAILS.type),
    message: start(message.toWellFormed(), DETAILS.message),
    line,
    traceback: start(traceback, DETAILS.traceback),
  };
  return new ToolError("JAVASCRIPT_ERROR", line === null ? head : `${head} (line ${line})`, {
    details: printed === "" ? details : { ...details, stdout: end(printed.toWellFormed(), DETAILS.stdout) },
  });
}

/**
 * The error of a snippet that is none.
 * @param {any} error
 * @param {string} code
 */
export function refusal(error, code) {
  const message = start(error.message.toWellFormed(), DETAILS.message);
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
class TooLarge extends Error {}

/**
 * A copy that is JSON through and through, and not much larger than `room` bytes. Without one,
 * `result` is undefined if the value has no such form, and null if it is too large.
 * @param {unknown} value
 * @param {number} room
 */
function asJson(value, room) {
  let objects = OBJECTS;
  let left = room;
  const open = new Set();
  try {
    return { fits: true, result: copy(value) };
  } catch (error) {
    // Whatever it threw when it was looked at.
    return { fits: false, result: error instanceof TooLarge ? null : undefined };
  }

  /** @param {any} value @returns {unknown} */
  function copy(value) {
    left -= typeof value === "string" ? value.length + 2 : 2;
    if (left < 0) throw new TooLarge();
    if (typeof value === "string") return value.toWellFormed();
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    if (typeof value !== "object") throw new NoJson();
    objects -= 1;
    if (objects < 0) throw new TooLarge();
    // The copy is written by a native function that goes as deep as it is told to.
    if (open.size > 50 || open.has(value)) throw new NoJson();
    open.add(value);
    const copied = copyObject(value);
    open.delete(value);
    return copied;
  }

  /** @param {any} value */
  function copyObject(value) {
    if (Array.isArray(value)) {
      const { length } = value;
      if (!(length * 2 <= left)) throw new TooLarge();
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
 * The text, or as much of its beginning as fits into `room` bytes of JSON, and a remark.
 * @param {string} text @param {number} room
 */
function cut(text, room) {
  if (text.length <= room && jsonBytes(text) <= room) return text;
  return start(text, room - jsonBytes(CUT)) + CUT;
}

/** @param {string} text @param {number} room */
function start(text, room) {
  return fitting(text, room, (length) => text.slice(0, length)).replace(/[\ud800-\udbff]$/, "");
}

/** @param {string} text @param {number} room */
function end(text, room) {
  return fitting(text, room, (length) => text.slice(text.length - length)).replace(/^[\udc00-\udfff]/, "");
}

/**
 * The part of a text, as long as it may be, that fits into `room` bytes of JSON.
 * @param {string} text @param {number} room @param {(length: number) => string} take
 */
function fitting(text, room, take) {
  // Two for the quotation marks.
  let length = Math.max(Math.min(text.length, room - 2), 0);
  for (;;) {
    const part = take(length);
    // Half of a character, at either end, is no text.
    const size = jsonBytes(part.toWellFormed());
    if (size <= room || length === 0) return part;
    // Where the text is even, the next one fits.
    length = Math.floor(Math.min((length * room) / size, length - 1));
  }
}
