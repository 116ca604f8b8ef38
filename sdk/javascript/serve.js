// The plugin's side of the contract (`wit/tools.wit`): lists the tools that `build.mjs`
// found, and turns a call into a call of the author's function.

import { call, connect, log, Output, ToolError } from "./index.js";
import { Promise, queueMicrotask, runJobs } from "./promise.js";

// Before the author's module runs, which the generated entry imports after this one.
Object.assign(globalThis, { Promise, queueMicrotask, console: console() });
Math.random = random(Math.random);

/**
 * The interface `tools`.
 *
 * `declared` has one entry per tool: its `declaration` for the host, the `function`, the
 * names of its `parameters` (`null` where the function takes all arguments as one object),
 * and whether its `result` is to be put under the key `result`.
 */
export function serve(imports, declared) {
  connect(imports);
  const tools = new Map(declared.map((tool) => [tool.declaration.name, tool]));
  return {
    listTools: () => declared.map((tool) => tool.declaration),

    callTool(name, json) {
      const tool = tools.get(name);
      const args = JSON.parse(json);
      const values = tool.parameters?.map((parameter) => own(args, parameter)) ?? [args];
      try {
        return { tag: "done", val: output(settled(tool.function(...values)), tool.wrapped) };
      } catch (error) {
        throw failure(error);
      }
    },
  };
}

// A parameter may be called `constructor`, and then its absence is no value either.
const own = (object, key) => (Object.hasOwn(object, key) ? object[key] : undefined);

// What a promise was waiting for, once everything that can happen has happened.
function settled(value) {
  if (typeof value?.then !== "function") return value;
  const promise = Promise.resolve(value);
  runJobs(() => Promise.inspect(promise).state !== "pending");
  const { state, value: outcome } = Promise.inspect(promise);
  if (state === "pending") {
    throw new ToolError("TOOL_FAILED", "The tool waits for something that never happens.");
  }
  if (state === "rejected") throw outcome;
  return outcome;
}

function output(result, wrapped) {
  if (result instanceof Output) {
    return { content: result.content, structured: structured(result.value) };
  }
  if (wrapped) return { content: [], structured: JSON.stringify({ result: result ?? null }) };
  if (result === undefined || result === null) return { content: [] };
  if (typeof result === "string") {
    return { content: [{ tag: "text", val: { text: result.toWellFormed() } }] };
  }
  const isObject = typeof result === "object" && !Array.isArray(result);
  return { content: [], structured: structured(isObject ? result : { result }) };
}

const structured = (value) => (value === undefined ? undefined : JSON.stringify(value));

const UNFORESEEN = "The tool failed at something of its own. The operator's log says more.";

// The contract's `error`. What the author did not foresee says what it failed on, a path or
// a value of somebody else's: that is for the operator, and the agent gets a fixed sentence.
function failure(error) {
  if (!(error instanceof ToolError)) {
    const message = messageOf(error);
    log("error", error instanceof Error ? `${error.name}: ${message}\n${error.stack}` : message);
    error = new ToolError("TOOL_FAILED", UNFORESEEN);
  }
  const { code, message, retryable, retryAfterMs, details } = error;
  return { code, message: message.toWellFormed(), retryable, retryAfterMs, details: structured(details) };
}

function messageOf(error) {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return "a value without a text was thrown";
  }
}

// The engine was seeded when the plugin was built, and would repeat itself in every call. So
// its numbers are moved by what the request's id says: no less even, and different each time.
function random(next) {
  let shift;
  return () => {
    if (shift === undefined) {
      let hash = 0;
      for (const letter of call.requestId) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0;
      shift = hash / 2 ** 32;
      for (let skip = hash % 64; skip > 0; skip--) next();
    }
    return (next() + shift) % 1;
  };
}

// The engine has no console. What programs print is for the operator.
function console() {
  const print = (level) => (...values) => log(level, values.map(shown).join(" "));
  const [debug, info, warn, error] = ["debug", "info", "warning", "error"].map(print);
  return { debug, log: info, info, warn, error };
}

function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
