// What becomes of types: `node --test` in this package's folder.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { findTools } from "../tools.mjs";

/** The tools of a module with this text, and the problems without the folder's name. */
function toolsOf(text, name = "plugin.ts") {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-"));
  try {
    const file = join(folder, name);
    writeFileSync(file, text);
    const { tools, problems } = findTools(file);
    return { tools, problems: problems.map((problem) => problem.replace(`${folder}/`, "")) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The schema of one argument of this type. */
function schemaOf(type, declarations = "") {
  const head = 'import type { Integer, Schema } from "bulkhead-sdk";';
  const { tools, problems } = toolsOf(
    `${head}\n${declarations}\n/** Does. */\nexport function tool(value: ${type}): void {}`,
  );
  assert.deepEqual(problems, []);
  const { properties, $defs } = JSON.parse(tools[0].declaration.inputSchema);
  return $defs ? { ...properties.value, $defs } : properties.value;
}

const string = { type: "string" };
const number = { type: "number" };

for (const [type, schema, declarations] of [
  ["string", string],
  ["number", number],
  ["boolean", { type: "boolean" }],
  ["null", { type: "null" }],
  ["unknown", {}],
  ["any", {}],
  ["object", { type: "object" }],
  ['"a"', { const: "a" }],
  ["true", { const: true }],
  ["-1 | 2", { type: "number", enum: [-1, 2] }],
  ['"a" | "b"', { type: "string", enum: ["a", "b"] }],
  ['"a" | 1', { enum: ["a", 1] }],
  ["Color", { type: "string", enum: ["r", "g"] }, 'enum Color { Red = "r", Green = "g" }'],
  ["Level", { type: "number", enum: [0, 1] }, "enum Level { Low, High }"],
  ["string | null", { type: ["string", "null"] }],
  ["string | boolean", { type: ["boolean", "string"] }],
  ['"a" | null | number[]', { anyOf: [{ const: "a" }, { type: "array", items: number }, { type: "null" }] }],
  ["string[]", { type: "array", items: string }],
  ["readonly string[][]", { type: "array", items: { type: "array", items: string } }],
  ["[string, number]", { type: "array", prefixItems: [string, number], items: false, minItems: 2 }],
  ["[string, number?]", { type: "array", prefixItems: [string, number], items: false, minItems: 1 }],
  ["[string, ...number[]]", { type: "array", prefixItems: [string], items: number, minItems: 1 }],
  ["Record<string, number>", { type: "object", properties: {}, additionalProperties: number }],
  [
    'Record<"a" | "b", number>',
    { type: "object", properties: { a: number, b: number }, required: ["a", "b"], additionalProperties: false },
  ],
  [
    "{ a: string; b?: number; c: string | undefined }",
    {
      type: "object",
      properties: { a: string, b: number, c: string },
      required: ["a"],
      additionalProperties: false,
    },
  ],
  [
    'Partial<Pick<Point, "x" | "y">>',
    {
      type: "object",
      properties: { x: { ...number, description: "Across." }, y: number },
      additionalProperties: false,
    },
    "interface Point {\n /** Across. */ x: number; y: number; z: number }",
  ],
  ["Integer", { type: "integer" }],
  ["Integer<0>", { type: "integer", minimum: 0 }],
  ["Integer<-5, 100>", { type: "integer", minimum: -5, maximum: 100 }],
  ["Integer<1, 2> | null", { anyOf: [{ type: "integer", minimum: 1, maximum: 2 }, { type: "null" }] }],
  ["Integer<0>[]", { type: "array", items: { type: "integer", minimum: 0 } }],
  ["Schema<string, { minLength: 1; format: 'date' }>", { type: "string", minLength: 1, format: "date" }],
  ["Schema<string[], { minItems: 1; uniqueItems: true }>", { type: "array", items: string, minItems: 1, uniqueItems: true }],
  ["Schema<Schema<number, { minimum: 0 }>, { maximum: 1 }>", { type: "number", minimum: 0, maximum: 1 }],
  [
    "Tree",
    {
      type: "object",
      properties: { name: string, children: { type: "array", items: { $ref: "#/$defs/Tree" } } },
      required: ["name", "children"],
      additionalProperties: false,
      $defs: {
        Tree: {
          type: "object",
          properties: { name: string, children: { type: "array", items: { $ref: "#/$defs/Tree" } } },
          required: ["name", "children"],
          additionalProperties: false,
        },
      },
    },
    "interface Tree { name: string; children: Tree[] }",
  ],
]) {
  test(`schema of ${type}`, () => assert.deepEqual(schemaOf(type, declarations), schema));
}

for (const [type, problem] of [
  ["Date", "the type `Date` has no JSON Schema: take and return dates as strings"],
  ["bigint", "the type `bigint` has no JSON Schema: use a number or a string"],
  ["Map<string, number>", "the type `Map<string, number>` has no JSON Schema"],
  ["() => void", "the type `() => void` has no JSON Schema"],
  ["symbol", "the type `symbol` has no JSON Schema"],
  ["`a${string}`", "the type `\\`a${string}\\`` has no JSON Schema"],
]) {
  test(`no schema of ${type}`, () => {
    const { problems } = toolsOf(`\n/** Does. */\nexport function tool(value: ${type}): void {}`);
    assert.deepEqual(problems, [`plugin.ts:3: ${problem.replaceAll("\\`", "`")}`]);
  });
}

test("a problem points to the property", () => {
  const { problems } = toolsOf("interface A {\n  b: string;\n  when: Date;\n}\n/** Does. */\nexport function tool(a: A): void {}");
  assert.match(problems[0], /^plugin\.ts:3: the type `Date`/);
});

test("a narrower number goes where a wider one is expected", () => {
  const { problems } = toolsOf(`
    import type { Integer } from "bulkhead-sdk";
    /** Does. */
    export function tool(few: Integer<1, 9>): Integer { const many: Integer<0> = few; return many * 2; }`);
  assert.deepEqual(problems, []);
});

const inputOf = ({ tools, problems }) => {
  assert.deepEqual(problems, []);
  return JSON.parse(tools[0].declaration.inputSchema);
};

test("parameters of JavaScript, from JSDoc", () => {
  const input = inputOf(
    toolsOf(
      `/** @import { Integer } from "bulkhead-sdk" */
      /**
       * Does.
       * @param {string} text - The text.
       * @param {Integer<0, 9>} [top] How many.
       * @param {"a" | "b"} mode
       */
      export function tool(text, top = 3, mode = "a", quick = false) { return text; }`,
      "plugin.js",
    ),
  );
  assert.deepEqual(input, {
    type: "object",
    properties: {
      text: { type: "string", description: "The text." },
      top: { type: "integer", minimum: 0, maximum: 9, description: "How many.", default: 3 },
      mode: { type: "string", enum: ["a", "b"], default: "a" },
      quick: { type: "boolean", default: false },
    },
    required: ["text"],
    additionalProperties: false,
  });
});

test("a parameter that is taken apart", () => {
  const found = toolsOf(
    `interface Search {
      /** Part of it. */ query: string; limit?: number }
    /** Finds. */
    export const tool = ({ query, limit = 10 }: Search) => query;`,
  );
  assert.equal(found.tools[0].parameters, null);
  assert.deepEqual(inputOf(found), {
    type: "object",
    properties: {
      query: { type: "string", description: "Part of it." },
      limit: { type: "number", default: 10 },
    },
    required: ["query"],
    additionalProperties: false,
  });
});

const result = { type: "object", properties: {}, required: ["result"], additionalProperties: false };
for (const [type, wrapped, schema] of [
  ["string", false, undefined],
  ['"yes" | "no"', false, undefined],
  ["void", false, undefined],
  ["any", false, undefined],
  ["Output", false, undefined],
  ["number", true, { ...result, properties: { result: number } }],
  ["Promise<string[]>", true, { ...result, properties: { result: { type: "array", items: string } } }],
  ["{ a?: number }", false, { type: "object", properties: { a: number }, additionalProperties: false }],
  ["Output<{ a?: number }>", false, { type: "object", properties: { a: number }, additionalProperties: false }],
]) {
  test(`a tool that returns ${type}`, () => {
    const { tools, problems } = toolsOf(
      `import { Output } from "bulkhead-sdk";\n/** Does. */\nexport function tool(): ${type} { throw 0; }`,
    );
    assert.deepEqual(problems, []);
    assert.equal(tools[0].wrapped, wrapped);
    const { outputSchema } = tools[0].declaration;
    assert.deepEqual(outputSchema && JSON.parse(outputSchema), schema);
  });
}

test("names, titles and hints", () => {
  const { tools, problems } = toolsOf(`
    /**
     * Removes it.
     * @tool remove_it
     * @title Remove it
     * @destructive
     * @openWorld false
     */
    export function removeIt(): void {}
    /** @internal */
    export function helper() {}
    export const LIMIT = 3;
    export class Thing {}`);
  assert.deepEqual(problems, []);
  assert.equal(tools.length, 1);
  const { name, title, description, annotations } = tools[0].declaration;
  assert.deepEqual([tools[0].name, name, title, description], ["removeIt", "remove_it", "Remove it", "Removes it."]);
  assert.deepEqual(annotations, { destructive: true, openWorld: false });
});

for (const [what, text, name, problem] of [
  ["no tool", "export const a = 1;", "plugin.ts", "plugin.ts:1: no tool: a tool is an exported function"],
  ["no module", "const a = 1;", "plugin.js", "plugin.js:1: no tool: a tool is an exported function"],
  [
    "no description",
    "\nexport function tool() {}",
    "plugin.js",
    "plugin.js:2: `tool` has no description: write in a /** comment */ what it does",
  ],
  ["no type", "/** Does. */\nexport function tool(a) {}", "plugin.js", "plugin.js:2: `a` has no type"],
  ["a rest", "/** Does. */\nexport function tool(...a: string[]) {}", "plugin.ts", "plugin.ts:2: a tool takes no rest: take an array"],
  ["a type parameter", "/** Does. */\nexport function tool<T>(a: T) {}", "plugin.ts", "plugin.ts:2: a tool has no type parameters"],
  [
    "the network",
    '/** Does. */\nexport function tool() { return fetch("x"); }',
    "plugin.js",
    "plugin.js:2: Cannot find name 'fetch'. The sandbox has the JavaScript language, without Node, timers and network.",
  ],
  [
    "a misspelled name",
    '/** Does. */\nexport function tool() { const total = 1; return totl; }',
    "plugin.js",
    "plugin.js:2: Cannot find name 'totl'. Did you mean 'total'? The sandbox has the JavaScript language, without Node, timers and network.",
  ],
  [
    "a shorthand of nothing",
    "/** Does. */\nexport function tool() { return { total }; }",
    "plugin.js",
    "plugin.js:2: No value exists in scope for the shorthand property 'total'. The sandbox has the JavaScript language, without Node, timers and network.",
  ],
  [
    "a wrong type",
    "/** Does. */\nexport function tool(): string { return 1; }",
    "plugin.ts",
    "plugin.ts:2: Type 'number' is not assignable to type 'string'.",
  ],
]) {
  test(`refused: ${what}`, () => assert.deepEqual(toolsOf(text, name).problems, [problem]));
}
