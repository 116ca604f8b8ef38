// Errors that tell about the snippet, and nothing about the tool that runs it.

import { ToolError } from "bulkhead-sdk";

import { end, start } from "./fit.js";
import { hintFor } from "./hint.js";
import { inspect, inspectError, isError, messageOf, text } from "./inspect.js";
import { stackOf } from "./intrinsics.js";

/** What the texts of an error's details may take, so that the host passes them on (8 KiB). */
const DETAILS = { type: 200, message: 1_500, traceback: 3_000, stdout: 3_000 };

/**
 * The error of a snippet that ran, with frames of the snippet alone.
 * @param {any} thrown
 * @param {string} printed
 */
export function failure(thrown, printed) {
  const error = isError(thrown);
  const type = error ? (text(thrown, "name") ?? "Error") : "thrown";
  const message = error ? messageOf(thrown) : inspect(thrown);
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
  const where = line === null ? head : `${head} (line ${line})`;
  return new ToolError("JAVASCRIPT_ERROR", where + hintFor(type, message), {
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
