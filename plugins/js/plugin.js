// `run_js`: the engine of this component is the tool.
//
// Every call has a fresh instance, so a snippet can spoil its own call and nothing else. What
// it may spend is the host's business; this file makes its ends readable.

/** @import { Ran } from "./answer.js" */
import { call } from "bulkhead-sdk";
import { Promise, runJobs } from "bulkhead-sdk/promise";

import { answer } from "./answer.js";
import { helpers } from "./async.js";
import { failure, refusal } from "./errors.js";
import { inspect } from "./inspect.js";
import { restore, uncurried } from "./intrinsics.js";
import { lower } from "./lower.js";
import { globals as timers, runTimer } from "./timers.js";

// By another name, it is evaluated in the global scope and not in this one.
const evaluate = globalThis.eval;
const slice = uncurried(String.prototype.slice);

/**
 * For the answer of a snippet that has used up all memory and still holds it.
 * @type {ArrayBuffer | undefined}
 */
let reserve = new ArrayBuffer(256 << 10);

/**
 * Runs a snippet of JavaScript (ES2024, QuickJS) in a fresh sandbox and returns what it
 * printed with `console.log` and the value of its last expression, or of `return`. `await`
 * works, and timers run without waiting. There is no network, no files, no `require`, no
 * `import` and no Node API, and nothing is kept from one call to the next. Recursion deeper
 * than a few hundred calls crashes the tool: use a loop.
 *
 * @tool run_js
 * @title Run JavaScript
 * @readOnly
 * @idempotent
 * @openWorld false
 * @param {string} code The snippet.
 * @param {unknown} [data] Any JSON value; the snippet has it as the variable `data`.
 * @returns {Ran}
 */
export function runJs(code, data) {
  const limit = Math.min(call.maxOutputBytes, 2 ** 24);
  let printed = "";
  Object.assign(globalThis, timers, { data, console: consoleThat(print) });

  let program;
  try {
    program = compile(code);
  } catch (error) {
    throw refusal(error, code);
  }
  let ended;
  try {
    ended = { value: run(program) };
  } catch (error) {
    ended = { error };
  }
  reserve = undefined;
  // From here on, what the snippet replaced is as it was.
  restore();
  if ("error" in ended) throw failure(ended.error, printed);
  return answer(printed, outcome(ended.value, printed), limit);

  /** @param {unknown[]} values */
  function print(values) {
    // What is above the limit is cut off in the end, and need not be made.
    if (printed.length > limit) return;
    for (let i = 0; i < values.length; i++) printed += (i === 0 ? "" : " ") + inspect(values[i]);
    printed = slice(`${printed}\n`, 0, limit + 1);
  }
}

/**
 * The snippet as a function, by what it looks like: one that waits; an object, which as a
 * program would be a block; a program; or the body of a function, if it returns.
 * @param {string} code
 * @returns {() => unknown}
 */
function compile(code) {
  if (/\b(async|await)\b/.test(code)) {
    const lowered = lower(code);
    return () => evaluate(lowered).call(globalThis, helpers);
  }
  if (/^\s*\{/.test(code) && syntaxError(`(${code}\n)`) === undefined) {
    return () => evaluate(`(${code}\n)`);
  }
  const error = syntaxError(code);
  if (error === undefined) return () => evaluate(code);
  const body = `(function () {${code}\n})`;
  if (syntaxError(body) === undefined) return () => evaluate(body).call(globalThis);
  throw error;
}

/**
 * Why the code is no program. It is compiled and not run: the first thing it does is to throw.
 * @param {string} code
 */
function syntaxError(code) {
  try {
    evaluate(`throw "compiled";${code}`);
  } catch (error) {
    return error === "compiled" ? undefined : error;
  }
}

/**
 * What the program returns, once nothing is left to do.
 * @param {() => unknown} program
 */
function run(program) {
  const value = program();
  do runJobs(() => false);
  while (runTimer());
  return value;
}

/**
 * What became of a value that may be a promise.
 * @param {any} value
 * @param {string} printed
 */
function outcome(value, printed) {
  const promise = Promise.inspect(value) ?? (isNativePromise(value) ? { state: "pending" } : undefined);
  if (promise === undefined) return value;
  if (promise.state === "fulfilled") return promise.value;
  if (promise.state === "rejected") throw failure(promise.value, printed);
  throw failure(new Error("The snippet waits for something that never happens."), printed);
}

// One of the engine's own, such as that of `import()`: nothing settles it during a call.
/** @param {unknown} value */
function isNativePromise(value) {
  try {
    return Object.prototype.toString.call(value) === "[object Promise]";
  } catch {
    return false;
  }
}

/** @param {(values: unknown[]) => void} print */
function consoleThat(print) {
  /** @param {unknown[]} values */
  const log = (...values) => print(values);
  return { log, info: log, debug: log, warn: log, error: log, dir: log, table: log, trace: log };
}
