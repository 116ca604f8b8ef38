// What `lower.js` makes of a snippet does what the snippet does: each runs as Node runs it, and
// in terms of generators on the SDK's promises. `node --test` in the plugin's folder.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Promise as Ours, runJobs } from "bulkhead-sdk/promise";

import { helpers } from "../async.js";
import { lower } from "../lower.js";

/** Snippets that end with what they return; `say` notes the order. */
const snippets = {
  "values and promises": "const a = await 1; const b = await Promise.resolve(2); return [a, b, await null];",
  "the last expression": "await 1; [await 2, 3]",
  "functions of every kind": `
    async function one(x = 1, ...rest) { say("one"); return [x, rest, arguments.length]; }
    const two = async function named(n) { return n ? await named(n - 1) : "done"; };
    const three = async (x) => x * 2, four = async ({ a, b = a }) => { await null; return a + b; };
    return [await one(), await one(5, 6, 7), await two(3), await three(4), await four({ a: 1 })];`,
  "this, arguments and var": `
    const o = { n: 3, async get() { return (async () => this.n + (await 1))(); } };
    async function f(x) { var x = x || 9; await null; return [x, arguments[0]]; }
    return [await o.get(), await f(0), f.name];`,
  "classes": `
    class A { #p = 1; static async make() { return new A(); } async ["com" + "puted"]() { await 0; return this.#p; }
      async "quoted"() { return 2; } async *stream() { yield this.#p; yield 5; } }
    const a = await A.make(); const all = []; for await (const x of a.stream()) all.push(x);
    return [await a.computed(), await a.quoted(), all];`,
  "order": `
    const work = async (name) => { say(name + 1); await null; say(name + 2); await null; say(name + 3); };
    const both = Promise.all([work("a"), work("b")]); say("started"); await both; say("end");`,
  "errors": `
    const fails = async () => { await null; throw new Error("no"); };
    try { await fails(); } catch (error) { say(error.message); } finally { await null; say("finally"); }
    const settled = await Promise.allSettled([fails(), (async () => { throw 1; })()]);
    return settled.map(({ reason }) => reason.message ?? reason);`,
  "an error at the end": "await null; throw new TypeError('last');",
  "a default that throws": "const f = async (x = (() => { throw 1; })()) => x; try { await f(); } catch (e) { return e; }",
  "precedence": "const two = async () => 2; return [await two() + 1, -await two(), (await two()) ** 2, await two() ? 'a' : 'b', !await two()];",
  "an arrow that returns an object": "const f = async (a) => ({ a, ...{ b: await 2 } }); return await f(1);",
  "shorthand and templates": "const a = await 1; const f = async () => ({ a }); return `${(await f()).a} ${await 'x'}`;",
  "loops": `
    const seen = [];
    outer: for await (const { v } of [{ v: 1 }, Promise.resolve({ v: 2 }), { v: 3 }, { v: 4 }]) {
      if (v === 2) continue; for (const w of [1, 2]) { if (v === 4) break outer; seen.push([v, w]); }
    }
    let x; for await (x of [Promise.resolve(7)]); while (await Promise.resolve(seen.length < 6)) seen.push(await 0);
    return [seen, x];`,
  "async generators": `
    async function* inner() { const got = yield 1; say("got " + got); await null; yield Promise.resolve(2); return 3; }
    async function* outer() { const last = yield* inner(); yield "last " + last; yield* [4, 5]; }
    const all = []; for await (const x of outer()) all.push(x);
    const it = inner(); all.push(await it.next(), await it.next("in"), await it.next(), await it.next());
    return all;`,
  "requests of a generator are served in order": `
    async function* g() { await null; yield 1; await null; yield 2; }
    const it = g(); return await Promise.all([it.next(), it.next(), it.next()]);`,
  "a generator that throws": `
    async function* g() { try { yield 1; throw new Error("inside"); } finally { say("cleaned"); } }
    const seen = []; try { for await (const x of g()) seen.push(x); } catch (e) { seen.push(e.message); } return seen;`,
  "what is not async stays": "function* g() { const x = yield 1; return x; } const it = g(); it.next(); const { value } = it.next(await 5); return value;",
  "in a string": "return 'async () => await 1' + /await/.source;",
};

async function native(code) {
  const said = [];
  const AsyncFunction = (async () => {}).constructor;
  // Only the snippet's last line may be an expression without `return`.
  const body = code.includes("return") || code.includes("throw") ? code : code.replace(/; (\[.*)$/, "; return $1");
  const outcome = await new AsyncFunction("say", body)((word) => void said.push(word)).then(
    (value) => ({ value }),
    (error) => ({ error: String(error) }),
  );
  return { said, ...outcome };
}

function lowered(code) {
  const said = [];
  const program = new Function("say", "Promise", `return ${lower(code)}`);
  const promise = program((word) => void said.push(word), Ours).call(undefined, helpers);
  runJobs(() => false);
  const { state, value } = Ours.inspect(promise);
  assert.notEqual(state, "pending");
  return { said, ...(state === "fulfilled" ? { value } : { error: String(value) }) };
}

for (const [name, code] of Object.entries(snippets)) {
  test(name, async () => assert.deepEqual(lowered(code), await native(code)));
}

test("no line moves", () => {
  const code = "async function f() {\n  await 1;\n}\n\nfor await (const x of []) {\n}\nawait f()";
  assert.equal(lower(code).split("\n").length, code.split("\n").length + 1);
});

test("the place of a syntax error", () => {
  assert.throws(() => lower("await 1;\nlet = ;"), { name: "SyntaxError", line: 2 });
});
