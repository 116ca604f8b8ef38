// `run_js`: the engine of this component is the tool.
//
// Every call has a fresh instance, so a snippet can spoil its own call and nothing else. What
// it may spend is the host's business; this file makes its ends readable.

import { call, ToolError } from "bulkhead-sdk";
import { Promise, runJobs } from "bulkhead-sdk/promise";

import { answer, failure } from "./answer.js";
import { helpers } from "./async.js";
import { inspect } from "./inspect.js";
import { restore } from "./intrinsics.js";
import { lower } from "./lower.js";
import { globals as timers, runTimer } from "./timers.js";

// By another name, it is evaluated in the global scope and not in this one.
const evaluate = globalThis.eval;

/**
 * Runs a snippet of JavaScript (ES2024, QuickJS) in a fresh sandbox and returns what it
 * printed with `console.log` and the value of its last expression, or of `return`. `await`
 * works, and timers run without waiting. There is no network, no files, no `require`, no
 * `import` and no Node API, and nothing is kept from one call to the next.
 *
 * @tool run_js
 * @title Run JavaScript
 * @readOnly
 * @idempotent
 * @openWorld false
 * @param {string} code The snippet.
 * @param {unknown} [input] Any JSON value; the snippet has it as the variable `input`.
 * @returns {{ stdout: string, result: unknown, truncated?: true }}
 */
export function runJs(code, input) {
  const limit = Math.min(call.maxOutputBytes, 2 ** 24);
  const printed = { text: "", dropped: 0 };
  Object.assign(globalThis, timers, { input, console: consoleThat(print) });

  const program = compile(code);
  let ended;
  try {
    ended = { value: run(program) };
  } catch (error) {
    ended = { error };
  }
  // From here on, what the snippet replaced is as it was.
  restore();
  if ("error" in ended) throw failure(ended.error, printed.text);
  return answer(printed, ended.value, limit);

  /** @param {string} line */
  function print(line) {
    if (printed.text.length <= limit) printed.text += `${line}\n`;
    else printed.dropped += line.length + 1;
  }
}

/**
 * The snippet as a function, by what it looks like: one that waits; an object, which as a
 * program would be a block; a program; or the body of a function, if it returns.
 * @param {string} code
 * @returns {() => unknown}
 */
function compile(code) {
  if (/\b(async|await)\b/.test(code)) return waiting(code);
  if (/^\s*\{/.test(code) && syntaxError(`(${code}\n)`) === undefined) {
    return () => evaluate(`(${code}\n)`);
  }
  const error = syntaxError(code);
  if (error === undefined) return () => evaluate(code);
  const body = `(function () {${code}\n})`;
  if (syntaxError(body) === undefined) return () => evaluate(body).call(globalThis);
  throw failure(error, "", "SYNTAX_ERROR");
}

/** @param {string} code */
function waiting(code) {
  /** @type {string} */
  let lowered;
  try {
    lowered = lower(code);
  } catch (/** @type {any} */ error) {
    const message = error.message.replace(/ \(\d+:\d+\)$/, "");
    const details = { type: "SyntaxError", message, line: error.loc?.line ?? null, traceback: "" };
    throw new ToolError("SYNTAX_ERROR", `SyntaxError: ${message} (line ${details.line})`, { details });
  }
  return () => evaluate(lowered).call(globalThis, helpers);
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
 * What the program's value is once nothing is left to do.
 * @param {() => unknown} program
 */
function run(program) {
  const value = program();
  do runJobs(() => false);
  while (runTimer());
  const promise = Promise.inspect(value);
  if (promise === undefined) return value;
  if (promise.state === "rejected") throw promise.value;
  if (promise.state === "fulfilled") return promise.value;
  throw new ToolError("JAVASCRIPT_ERROR", "The snippet waits for something that never happens.", {
    details: { type: "Unsettled", message: "a promise that nothing settles", line: null, traceback: "" },
  });
}

/** @param {(line: string) => void} print */
function consoleThat(print) {
  /** @param {unknown[]} values */
  const log = (...values) => {
    let line = "";
    for (let i = 0; i < values.length; i++) line += (i === 0 ? "" : " ") + inspect(values[i]);
    print(line);
  };
  return { log, info: log, debug: log, warn: log, error: log, dir: log, table: log, trace: log };
}
