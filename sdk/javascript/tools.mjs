// Finds the tools in an author's module: its exported functions, their documentation, and
// what the compiler knows about their parameters and results.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

import { Problem, schemas } from "./schema.mjs";

const sdk = dirname(fileURLToPath(import.meta.url));

/**
 * The tools of `file`: `[{ name, parameters, wrapped, declaration }]`, where `name` is the
 * export. Problems are collected, so that an author sees all of them at once.
 */
export function findTools(file) {
  const program = ts.createProgram([file, join(sdk, "globals.d.ts")], {
    allowJs: true,
    checkJs: true,
    lib: ["lib.es2024.d.ts"],
    module: ts.ModuleKind.ESNext,
    moduleDetection: ts.ModuleDetectionKind.Force,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    noEmit: true,
    paths: { "bulkhead-sdk": [join(sdk, "index.d.ts")] },
    resolveJsonModule: true,
    skipLibCheck: true,
    strict: true,
    target: ts.ScriptTarget.ES2024,
    types: [],
  });
  const source = program.getSourceFile(file);
  const problems = mistakes(program, source);
  const checker = program.getTypeChecker();
  const schemaOf = schemas(program);
  const tools = [];
  const module = checker.getSymbolAtLocation(source);
  for (const exported of module ? checker.getExportsOfModule(module) : []) {
    try {
      const found = tool(exported);
      if (found) tools.push(found);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      problems.push(problem.message);
    }
  }
  if (problems.length === 0 && tools.length === 0) {
    problems.push(`${file}:1: no tool: a tool is an exported function`);
  }
  return { tools, problems };

  function tool(exported) {
    const symbol =
      exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const node = symbol.valueDeclaration;
    if (!node) return undefined;
    const signatures = checker.getTypeOfSymbol(symbol).getCallSignatures();
    const tags = new Map(symbol.getJsDocTags(checker).map(({ name, text }) => [name, text]));
    if (signatures.length === 0 || tags.has("internal")) return undefined;
    if (signatures.length > 1) throw new Problem(node, "a tool has one signature");
    const [signature] = signatures;
    if (signature.typeParameters) throw new Problem(node, "a tool has no type parameters");

    const tagged = (name) => ts.displayPartsToString(tags.get(name)).trim();
    const name = tagged("tool") || exported.name;
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name) || name === "default") {
      throw new Problem(node, "a tool's name is 1 to 64 letters, digits, `_` and `-`: write `@tool NAME`");
    }
    const description = ts.displayPartsToString(symbol.getDocumentationComment(checker));
    if (description === "") {
      throw new Problem(node, `\`${name}\` has no description: write in a /** comment */ what it does`);
    }
    const isHint = (name) => tags.has(name);
    const hints = ["readOnly", "destructive", "idempotent", "openWorld"].filter(isHint);
    const { names, inputSchema } = parameters(signature, node);
    const { wrapped, outputSchema } = result(signature, node);
    return {
      name: exported.name,
      parameters: names,
      wrapped,
      declaration: {
        name,
        title: tagged("title") || undefined,
        description,
        inputSchema: JSON.stringify(inputSchema),
        outputSchema: outputSchema && JSON.stringify(outputSchema),
        annotations:
          hints.length > 0
            ? Object.fromEntries(hints.map((name) => [name, tagged(name) !== "false"]))
            : undefined,
      },
    };
  }

  // Each parameter is an argument; of one that is taken apart, each property is.
  function parameters(signature, node) {
    const [first] = signature.parameters;
    if (signature.parameters.length === 1 && ts.isObjectBindingPattern(first.valueDeclaration.name)) {
      const { name: pattern } = first.valueDeclaration;
      const inputSchema = schemaOf(typeOf(first), first.valueDeclaration);
      if (inputSchema.type !== "object") {
        throw new Problem(first.valueDeclaration, "a parameter that is taken apart is an object");
      }
      for (const { name, propertyName, initializer } of pattern.elements) {
        const property = inputSchema.properties[(propertyName ?? name).text];
        addDefault(property, initializer);
        if (initializer) {
          inputSchema.required = inputSchema.required?.filter((key) => key !== (propertyName ?? name).text);
        }
      }
      return { names: null, inputSchema };
    }

    const properties = {};
    const required = [];
    const $defs = {};
    for (const parameter of signature.parameters) {
      const at = parameter.valueDeclaration;
      if (!ts.isIdentifier(at.name)) {
        throw new Problem(at, "with several parameters, each has a name: it is the argument's");
      }
      if (at.dotDotDotToken) throw new Problem(at, "a tool takes no rest: take an array");
      const type = typeOf(parameter);
      const isUntyped = type.flags & ts.TypeFlags.Any && !ts.getEffectiveTypeAnnotationNode(at);
      if (isUntyped) throw new Problem(at, `\`${at.name.text}\` has no type`);
      const { $defs: own, ...schema } = schemaOf(type, at);
      Object.assign($defs, own);
      const text = ts.displayPartsToString(parameter.getDocumentationComment(checker));
      if (text !== "") schema.description = text.replace(/^-\s+/, "");
      addDefault(schema, at.initializer);
      properties[at.name.text] = schema;
      if (!checker.isOptionalParameter(at) && !mayBeUndefined(type)) required.push(at.name.text);
    }
    return {
      names: Object.keys(properties),
      inputSchema: {
        type: "object",
        properties,
        ...(required.length > 0 && { required }),
        additionalProperties: false,
        ...(Object.keys($defs).length > 0 && { $defs }),
      },
    };
  }

  function typeOf(parameter) {
    return checker.getTypeOfSymbolAtLocation(parameter, parameter.valueDeclaration);
  }

  // Text is for reading, an object is structured, and anything else is put under `result`.
  function result(signature, node) {
    const returned = checker.getReturnTypeOfSignature(signature);
    const type = checker.getAwaitedType(returned) ?? returned;
    const members = type.isUnion() ? type.types : [type];
    const every = (flags) => members.every((member) => member.flags & flags);
    if (every(ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return { wrapped: false };
    if (every(ts.TypeFlags.StringLike | ts.TypeFlags.VoidLike)) return { wrapped: false };
    if (every(ts.TypeFlags.Never)) return { wrapped: false };
    if (type.symbol?.name === "Output" && declaredBy(type.symbol, "index.d.ts")) {
      const [structured] = checker.getTypeArguments(type);
      if (structured.flags & ts.TypeFlags.Never) return { wrapped: false };
      return { wrapped: false, outputSchema: schemaOf(structured, node) };
    }
    const schema = schemaOf(type, node);
    if (schema.type === "object") return { wrapped: false, outputSchema: schema };
    const { $defs, ...rest } = schema;
    const outputSchema = {
      type: "object",
      properties: { result: rest },
      required: ["result"],
      additionalProperties: false,
      ...($defs && { $defs }),
    };
    return { wrapped: true, outputSchema };
  }

  function declaredBy(symbol, name) {
    return symbol.declarations.some((at) => at.getSourceFile().fileName === join(sdk, name));
  }
}

function mayBeUndefined(type) {
  return type.isUnion() && type.types.some(({ flags }) => flags & ts.TypeFlags.Undefined);
}

// A default that is written out is a part of the schema.
function addDefault(schema, initializer) {
  if (!schema || !initializer) return;
  try {
    schema.default = JSON.parse(initializer.getText());
  } catch {
    if (ts.isStringLiteralLike(initializer)) schema.default = initializer.text;
  }
}

// What the compiler finds: everything in TypeScript; in JavaScript, whose author did not
// ask for it, what cannot run: bad syntax, and names such as `fetch` that nobody defines.
function mistakes(program, source) {
  const unknownName = [
    2304, 2552, 2570, 2580, 2581, 2582, 2584, 2591, 2592, 2593, 2662, 2663, 2867, 2868, 18004,
  ];
  const found = program
    .getSourceFiles()
    .filter((file) => !file.isDeclarationFile && !file.fileName.includes("/node_modules/"))
    .filter((file) => !file.fileName.startsWith(sdk + "/") || file === source)
    .flatMap((file) => {
      const meaning = program.getSemanticDiagnostics(file);
      const isScript = /\.[cm]?jsx?$/.test(file.fileName);
      return [
        ...program.getSyntacticDiagnostics(file),
        ...meaning.filter(({ code }) => !isScript || unknownName.includes(code)),
      ];
    });
  return found.map(({ file, start, messageText, code }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, "\n");
    const { line } = file.getLineAndCharacterOfPosition(start);
    const sandbox = "The sandbox has the JavaScript language, without Node, timers and network.";
    const where = `${file.fileName}:${line + 1}: `;
    // The compiler's advice is for Node, but for a name that was misspelled.
    const [said] = text.split(/(?<=\.) (?!Did you mean)/);
    return where + (unknownName.includes(code) ? `${said} ${sandbox}` : text);
  });
}
