// The tools of {{name}}: each exported function is one. Its comment is what a model reads,
// and the types in it become the schemas that every call is checked against.

import { ToolError } from "bulkhead-sdk";

/**
 * Greets somebody by name.
 *
 * @param {string} name Who is greeted.
 * @returns {{ greeting: string }} What to say.
 * @title Greet
 * @readOnly
 * @openWorld false
 */
export function greet(name) {
  const trimmed = name.trim();
  if (trimmed === "") throw new ToolError("EMPTY_NAME", "The name is empty; ask who is to be greeted.");
  return { greeting: `Hello, ${trimmed}!` };
}
