// The tools of {{name}}: each exported function is one. Its comment is what a model reads,
// its types become the schemas that every call is checked against.

import { type Schema, ToolError } from "bulkhead-sdk";

interface Greeting {
  /** What to say. */
  greeting: string;
}

/**
 * Greets somebody by name.
 *
 * @param name Who is greeted.
 * @title Greet
 * @readOnly
 * @openWorld false
 */
export function greet(name: Schema<string, { maxLength: 100 }>): Greeting {
  const trimmed = name.trim();
  if (trimmed === "") throw new ToolError("EMPTY_NAME", "The name is empty; ask who is to be greeted.");
  return { greeting: `Hello, ${trimmed}!` };
}
