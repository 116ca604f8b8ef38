// Which errors say what the sandbox lacks.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hintFor } from "../hint.js";

test("a name of Node or browsers gets a hint", () => {
  for (const name of ["require", "fetch", "process", "Buffer", "window", "__dirname"]) {
    assert.match(hintFor("ReferenceError", `${name} is not defined`), /no files, network or processes/);
  }
});

test("any other error gets none", () => {
  assert.equal(hintFor("ReferenceError", "nope is not defined"), "");
  assert.equal(hintFor("ReferenceError", "constructor is not defined"), "");
  assert.equal(hintFor("TypeError", "fetch is not defined"), "");
});
