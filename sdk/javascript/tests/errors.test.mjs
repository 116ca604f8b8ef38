// What a tool fails with on purpose reaches the agent, and of anything else only that it failed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { ToolError } from "../index.js";

test("the usual errors have their codes", () => {
  for (const [error, code, retryable] of [
    [ToolError.notFound("sales order"), "SALES_ORDER_NOT_FOUND", false],
    [ToolError.conflict("x"), "CONFLICT", false],
    [ToolError.invalid("x"), "INVALID_INPUT", false],
    [ToolError.unavailable(1500), "TEMPORARILY_UNAVAILABLE", true],
  ]) {
    assert.deepEqual([error.code, error.retryable], [code, retryable]);
  }
});

// In a process of its own: `serve.js` takes over what programs share.
const program = `
  import { ToolError } from "./index.js";
  import { serve } from "./serve.js";
  const logged = [];
  const imports = { log: (level, message) => logged.push(message) };
  const thrown = {
    foreign: () => { throw new TypeError("the password is hunter2"); },
    text: () => { throw "hunter2"; },
    hostile: () => { throw { toString() { throw 1; } }; },
    waits: () => new Promise(() => {}),
    own: () => { throw new ToolError("GONE", "It is gone."); },
  };
  const declared = Object.entries(thrown).map(([name, run]) => ({
    declaration: { name }, function: run, parameters: [], wrapped: false,
  }));
  const { callTool } = serve(imports, declared);
  const told = Object.keys(thrown).map((name) => {
    try { return callTool(name, "{}"); } catch ({ code, message }) { return [name, code, message]; }
  });
  process.stdout.write(JSON.stringify({ told, logged }));
`;

test("what nobody wrote for the agent is for the operator alone", () => {
  const cwd = new URL("..", import.meta.url);
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], { cwd });
  const { told, logged } = JSON.parse(output);
  const general = "The tool failed at something of its own. The operator's log says more.";
  assert.deepEqual(told, [
    ["foreign", "TOOL_FAILED", general],
    ["text", "TOOL_FAILED", general],
    ["hostile", "TOOL_FAILED", general],
    ["waits", "TOOL_FAILED", "The tool waits for something that never happens."],
    ["own", "GONE", "It is gone."],
  ]);
  assert.equal(logged.length, 3);
  assert.match(logged[0], /TypeError: the password is hunter2\n/);
  assert.equal(logged[1], "hunter2");
});
