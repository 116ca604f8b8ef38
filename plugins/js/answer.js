// What a call of `run_js` answers: what was printed and the value, cut to what fits.

import { cut, jsonBytes } from "./fit.js";
import { inspect, isoDate } from "./inspect.js";

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
  const isWhole = repr === text && result === undefined;
  return isWhole ? { result: null, repr } : { result: null, repr, truncated: true };
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
    if (tag === "[object Date]") return isoDate(value);
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
