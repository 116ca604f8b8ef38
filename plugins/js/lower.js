// Writes `async` and `await` in terms of generators, as `esbuild` does it for the plugin's own
// code: the engine settles its own promises only after the call has been answered, when it is
// too late for the snippet's answer. No line is added, so that errors name the right one.

import { parse } from "acorn";

/** The names under which the code that is made finds `lowered`'s helpers. */
const RUN = "$bulkhead.run";
const STREAM = "$bulkhead.stream";
const ITERATE = "$bulkhead.iterate";
const AWAIT = "$bulkhead.Await";

/**
 * The text of a function expression of `$bulkhead` (the helpers of `async.js`), which runs the
 * snippet and returns a promise of its last expression's value, or of what it returns.
 *
 * Throws a `SyntaxError`, as the engine does, if it is none.
 */
export function lower(code) {
  const program = parsed(code);
  const last = program.body.at(-1);
  let out = "";
  let at = 0;
  let loops = 0;
  for (const statement of program.body) {
    out += code.slice(at, statement.start);
    out +=
      statement === last && statement.type === "ExpressionStatement"
        ? `return (${write(statement.expression)});`
        : write(statement);
    at = statement.end;
  }
  return `(function ($bulkhead) { return ${RUN}(function* () { ${out}${code.slice(at)}\n}, this, []); })`;

  // `stream`: inside of an async generator, whose `yield`s are told apart from its `await`s.
  function write(node, stream = false) {
    switch (node.type) {
      case "FunctionDeclaration":
      case "FunctionExpression":
        if (!node.async) return copy(node, false);
        return `function ${node.id?.name ?? ""}${wrapped(node)}`;
      case "ArrowFunctionExpression": {
        if (!node.async) return copy(node, false);
        const body = node.expression ? `{ return (${write(node.body)}); }` : write(node.body);
        return `(...$args) => ${RUN}(function* (${parameters(node)}) ${body}, this, $args)`;
      }
      case "Property":
        return node.method && node.value.async ? key(node) + wrapped(node.value) : copy(node, stream);
      case "MethodDefinition":
        if (!node.value.async) return copy(node, false);
        return (node.static ? "static " : "") + key(node) + wrapped(node.value);
      case "AwaitExpression":
        return `(yield ${awaited(write(node.argument, stream), stream)})`;
      case "YieldExpression":
        if (!stream || !node.delegate) return copy(node, stream);
        return `(yield* $bulkhead.delegate(${write(node.argument, stream)}))`;
      case "ForOfStatement":
        return node.await ? loop(node, stream) : copy(node, stream);
      default:
        return copy(node, stream);
    }
  }

  // The node as it stands, with what is inside of it written.
  function copy(node, stream) {
    let out = "";
    let at = node.start;
    for (const child of children(node)) {
      // `{ a }` has one place for the key and for the value.
      if (child.start < at) continue;
      out += code.slice(at, child.start) + write(child, stream);
      at = child.end;
    }
    return out + code.slice(at, node.end);
  }

  // What follows a function's name. The parameters are the generator's, so that their
  // defaults, `arguments` and the body's variables meet as they did.
  function wrapped(node) {
    const kind = node.generator ? STREAM : RUN;
    const body = write(node.body, node.generator);
    return `() { return ${kind}(function* (${parameters(node)}) ${body}, this, arguments); }`;
  }

  function parameters(node) {
    return node.params.map((parameter) => write(parameter)).join(", ");
  }

  function key(node) {
    const name = write(node.key);
    return node.computed ? `[${name}]` : name;
  }

  function awaited(value, stream) {
    return stream ? `new ${AWAIT}(${value})` : `(${value})`;
  }

  function loop(node, stream) {
    loops += 1;
    const [items, step] = [`$items${loops}`, `$step${loops}`];
    const { left } = node;
    const target =
      left.type === "VariableDeclaration"
        ? `${left.kind} ${write(left.declarations[0].id, stream)}`
        : write(left, stream);
    const next = awaited(`${items}.next()`, stream);
    return (
      `for (let ${items} = ${ITERATE}(${write(node.right, stream)}), ${step}; ` +
      `!(${step} = (yield ${next})).done;) { ${target} = ${step}.value; ${write(node.body, stream)} }`
    );
  }
}

function parsed(code) {
  try {
    return parse(code, {
      allowAwaitOutsideFunction: true,
      allowReturnOutsideFunction: true,
      ecmaVersion: "latest",
    });
  } catch (error) {
    // Its message ends with the place, as in `(2:7)`.
    const [, message, line] = /^(.*) \((\d+):\d+\)$/s.exec(error.message) ?? [];
    if (line === undefined) throw error;
    throw Object.assign(new SyntaxError(message), { line: Number(line) });
  }
}

function children(node) {
  const found = [];
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child?.type === "string") found.push(child);
    }
  }
  return found.sort((a, b) => a.start - b.start);
}
