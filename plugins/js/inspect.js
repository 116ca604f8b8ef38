// Values as text for people, as `console.log` prints them.
//
// Runs while the snippet does, so it calls nothing that a snippet can replace, calls no getter,
// and expects every object to be a hostile proxy.

import { Promise } from "bulkhead-sdk/promise";

import { uncurried } from "./intrinsics.js";

const { getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const { isArray } = Array;
const { isView } = ArrayBuffer;
const { stringify } = JSON;
const { inspect: promiseState } = Promise;
const tagOf = uncurried(Object.prototype.toString);
const symbolText = uncurried(Symbol.prototype.toString);
/** A date as JSON has it; throws where there is none. */
export const isoDate = uncurried(Date.prototype.toISOString);
const patternText = uncurried(RegExp.prototype.toString);
const eachOfMap = uncurried(Map.prototype.forEach);
const eachOfSet = uncurried(Set.prototype.forEach);
const slice = uncurried(String.prototype.slice);

/** Deeper than this, and after this many entries of one value, there is a `…`. */
const DEPTH = 4;
const ENTRIES = 100;
/** Values in one text: an answer is for reading, and `x = [x, x]` doubles forty times. */
const VALUES = 5_000;

let left = 0;

/** The text of a value. Never throws. */
export function inspect(value) {
  left = VALUES;
  return typeof value === "string" ? value : shown(value, null);
}

/** `Name: message` of what was thrown, or the text of anything else that can be thrown. */
export function inspectError(error) {
  if (!isError(error)) return inspect(error);
  const name = text(error, "name") ?? "Error";
  const message = messageOf(error);
  return message === "" ? name : `${name}: ${message}`;
}

/** The message of an error. */
export function messageOf(error) {
  const message = text(error, "message") ?? "";
  // What the engine says when there is no memory for what it wants to say.
  return message === "Invalid error message" ? "out of memory" : message;
}

/** Whether it is an `Error`, of whatever kind. */
export function isError(value) {
  try {
    return typeof value === "object" && value !== null && tagOf(value) === "[object Error]";
  } catch {
    return false;
  }
}

/** A property, inherited too, where it is text and needs no getter. */
export function text(object, key) {
  try {
    for (let at = object; at !== null; at = getPrototypeOf(at)) {
      const found = getOwnPropertyDescriptor(at, key);
      if (found !== undefined) return typeof found.value === "string" ? found.value : undefined;
    }
  } catch {
    // A proxy that does not want to be looked at.
  }
  return undefined;
}

// `outer` links the objects that this value is inside of.
function shown(value, outer) {
  left -= 1;
  if (left < 0) return "…";
  if (value === null) return "null";
  switch (typeof value) {
    case "string":
      return stringify(value);
    case "number":
      return value === 0 && 1 / value < 0 ? "-0" : `${value}`;
    case "bigint":
      return `${value}n`;
    case "symbol":
      return symbolText(value);
    case "function":
      return `[function ${text(value, "name") || "anonymous"}]`;
    case "object":
      break;
    default:
      return `${value}`;
  }
  let depth = 0;
  for (let at = outer; at !== null; at = at.outer) {
    if (at.value === value) return "[circular]";
    depth += 1;
  }
  try {
    return depth >= DEPTH ? (isArray(value) ? "[…]" : "{…}") : object(value, { value, outer });
  } catch {
    return "[unreadable]";
  }
}

function object(value, inner) {
  const promise = promiseState(value);
  if (promise !== undefined) {
    if (promise.state === "pending") return "Promise { pending }";
    return `Promise { ${promise.state} ${shown(promise.value, inner)} }`;
  }
  const tag = slice(tagOf(value), "[object ".length, -1);
  if (tag === "Error") return `[${inspectError(value)}]`;
  if (tag === "Date") return date(value);
  if (tag === "Promise") return "Promise { pending }";
  if (tag === "RegExp") return patternText(value);
  if (tag === "Map" || tag === "Set") return collection(tag, value, inner);
  if (isArray(value)) return list("", value, inner);
  if (isView(value)) return list(`${tag} `, value, inner);
  const name = className(value) ?? "";
  return entries(name === "" || name === "Object" ? "" : `${name} `, value, inner);
}

function date(value) {
  try {
    return isoDate(value);
  } catch {
    return "Invalid Date";
  }
}

function className(value) {
  const prototype = getPrototypeOf(value);
  const made = prototype && getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return typeof made === "function" ? text(made, "name") : undefined;
}

function collection(tag, value, inner) {
  let out = "";
  let size = 0;
  const each = tag === "Map" ? eachOfMap : eachOfSet;
  each(value, (item, key) => {
    size += 1;
    if (size > ENTRIES) return;
    out += `${size === 1 ? "" : ", "}${tag === "Map" ? `${shown(key, inner)} => ` : ""}${shown(item, inner)}`;
  });
  if (size > ENTRIES) out += `, … ${size - ENTRIES} more`;
  return `${tag}(${size}) {${out === "" ? "" : ` ${out} `}}`;
}

function list(name, value, inner) {
  const { length } = value;
  let out = "";
  for (let i = 0; i < length && i < ENTRIES; i++) {
    out += (i === 0 ? "" : ", ") + property(value, i, inner);
  }
  if (length > ENTRIES) out += `, … ${length - ENTRIES} more`;
  return `${name}[${out}]`;
}

function entries(name, value, inner) {
  const keys = ownKeys(value);
  let out = "";
  let count = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (getOwnPropertyDescriptor(value, key)?.enumerable !== true) continue;
    count += 1;
    if (count > ENTRIES) continue;
    const label = typeof key === "symbol" ? `[${symbolText(key)}]` : key;
    out += `${count === 1 ? "" : ", "}${label}: ${property(value, key, inner)}`;
  }
  if (count > ENTRIES) out += `, … ${count - ENTRIES} more`;
  return out === "" ? `${name}{}` : `${name}{ ${out} }`;
}

function property(value, key, inner) {
  const found = getOwnPropertyDescriptor(value, key);
  if (found === undefined) return "empty";
  return found.get || found.set ? "[getter]" : shown(found.value, inner);
}
