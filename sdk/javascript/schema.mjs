// JSON Schema 2020-12 from TypeScript types, as the compiler understands them: those in
// `.ts` files, those in the JSDoc of `.js` files, and those that it infers.

import ts from "typescript";

/** Words for a type that has no form in JSON, and for where it stands. */
export class Problem extends Error {
  constructor(node, message) {
    const file = node.getSourceFile();
    const { line } = file.getLineAndCharacterOfPosition(node.getStart());
    super(`${file.fileName}:${line + 1}: ${message}`);
  }
}

/** `schemaOf(type, node)`: the schema of a type; `node` is what a problem points to. */
export function schemas(program) {
  const checker = program.getTypeChecker();

  return function schemaOf(type, node) {
    // Types that are being described, and those of them that contain themselves.
    const open = [];
    const defs = new Map();
    const schema = describe(type, node);
    return defs.size === 0 ? schema : { ...schema, $defs: Object.fromEntries(defs.values()) };

    function describe(type, node) {
      const flags = type.flags;
      if (flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return {};
      if (flags & ts.TypeFlags.Null) return { type: "null" };
      if (flags & ts.TypeFlags.Boolean) return { type: "boolean" };
      if (flags & ts.TypeFlags.Union) return union(type, node);
      if (flags & ts.TypeFlags.StringLike && !(flags & ts.TypeFlags.TemplateLiteral)) {
        return literal(type, "string");
      }
      if (flags & ts.TypeFlags.NumberLike) return literal(type, "number");
      if (flags & ts.TypeFlags.BooleanLiteral) return { const: isTrue(type) };
      if (flags & ts.TypeFlags.NonPrimitive) return { type: "object" };
      if (flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) return structure(type, node);
      throw none(type, node);
    }

    function structure(type, node) {
      const branded = brand(type, node);
      if (branded) return branded;
      if (checker.isTupleType(type)) return tuple(type, node);
      if (checker.isArrayType(type)) {
        return { type: "array", items: describe(checker.getTypeArguments(type)[0], node) };
      }
      if (isBuiltIn(type) || type.getCallSignatures().length > 0) throw none(type, node);
      return reference(type) ?? named(type, () => object(type, node));
    }

    // A type inside of itself refers to its definition.
    function reference(type) {
      if (!open.includes(type)) return undefined;
      if (!defs.has(type)) {
        const name = (type.aliasSymbol ?? type.symbol).name.replace(/^__type$/, "Type");
        const taken = [...defs.values()].map(([name]) => name);
        defs.set(type, [taken.includes(name) ? `${name}${taken.length}` : name, undefined]);
      }
      return { $ref: `#/$defs/${defs.get(type)[0]}` };
    }

    function named(type, describeIt) {
      open.push(type);
      const schema = describeIt();
      open.pop();
      if (!defs.has(type)) return schema;
      const name = defs.get(type)[0];
      defs.set(type, [name, schema]);
      // The root of a tool's schema has to say itself that it is an object.
      return open.length === 0 ? schema : { $ref: `#/$defs/${name}` };
    }

    function object(type, node) {
      const properties = {};
      const required = [];
      for (const property of checker.getPropertiesOfType(type)) {
        const at = property.valueDeclaration ?? property.declarations?.[0] ?? node;
        const { schema, optional } = optionally(checker.getTypeOfSymbol(property), at);
        properties[property.name] = described(schema, property);
        if (!optional && !(property.flags & ts.SymbolFlags.Optional)) required.push(property.name);
      }
      const index = checker.getIndexTypeOfType(type, ts.IndexKind.String);
      return {
        type: "object",
        properties,
        ...(required.length > 0 && { required }),
        additionalProperties: index ? describe(index, node) : false,
      };
    }

    // What may be undefined is left out of JSON.
    function optionally(type, node) {
      const optional = type.isUnion() && type.types.some(isUndefined);
      return { optional, schema: optional ? union(type, node) : describe(type, node) };
    }

    function tuple(type, node) {
      const { elementFlags } = type.target;
      const items = checker.getTypeArguments(type).map((item) => optionally(item, node).schema);
      const fixed = elementFlags.findIndex((flag) => flag & ts.ElementFlags.Variable);
      if (fixed !== -1 && fixed < items.length - 1) {
        throw new Problem(node, "a tuple with a rest has no JSON Schema unless the rest is last");
      }
      const prefixItems = fixed === -1 ? items : items.slice(0, fixed);
      const least = elementFlags.filter((flag) => flag & ts.ElementFlags.Required).length;
      return {
        type: "array",
        ...(prefixItems.length > 0 && { prefixItems }),
        items: fixed === -1 ? false : items[fixed],
        minItems: least,
      };
    }

    function union(type, node) {
      const members = type.types.filter((member) => !isUndefined(member));
      const literals = members.filter((member) => member.isLiteral()).map(({ value }) => value);
      const booleans = members.filter(({ flags }) => flags & ts.TypeFlags.BooleanLiteral);
      const others = members.filter(
        (member) => !member.isLiteral() && !(member.flags & ts.TypeFlags.BooleanLiteral),
      );
      // `null` last, where people write it; the compiler has an order of its own.
      others.sort((a, b) => (a.flags & ts.TypeFlags.Null) - (b.flags & ts.TypeFlags.Null));
      const parts = others.map((member) => describe(member, node));
      if (booleans.length === 2) parts.unshift({ type: "boolean" });
      if (booleans.length === 1) parts.unshift({ const: isTrue(booleans[0]) });
      if (literals.length > 0) parts.unshift(enumeration(literals));
      if (parts.length === 1) return parts[0];
      // Most often: a type or null.
      const onlyType = parts.every(({ type, ...rest }) => type && Object.keys(rest).length === 0);
      return onlyType ? { type: parts.map(({ type }) => type) } : { anyOf: parts };
    }

    // `Schema<T, Keywords>` of index.d.ts: a `T` and an object with one property, a `Mark`.
    function brand(type, node) {
      if (!type.isIntersection()) return undefined;
      const marks = type.types.flatMap((part) => mark(part) ?? []);
      if (marks.length === 0) return undefined;
      const bare = type.types.filter((part) => !mark(part));
      if (bare.length !== 1) throw new Problem(node, "`Schema` takes one type that has a JSON Schema");
      const keywords = {};
      for (const keyword of marks.flatMap((mark) => checker.getPropertiesOfType(mark))) {
        const value = valueOf(checker.getTypeOfSymbol(keyword));
        if (value !== undefined) keywords[keyword.name] = value;
      }
      return { ...describe(bare[0], node), ...keywords };
    }

    function mark(part) {
      if (!(part.flags & ts.TypeFlags.Object)) return undefined;
      const isMark = ({ escapedName }) => escapedName.startsWith("__@schema@");
      const property = checker.getPropertiesOfType(part).find(isMark);
      if (!property) return undefined;
      // `Mark<Keywords> | undefined`
      const mark = checker.getNonNullableType(checker.getTypeOfSymbol(property));
      return checker.getTypeArguments(mark)[0];
    }

    // The value that a literal type has.
    function valueOf(type) {
      if (type.isLiteral()) return type.value;
      if (type.flags & ts.TypeFlags.BooleanLiteral) return isTrue(type);
      if (checker.isTupleType(type)) return checker.getTypeArguments(type).map(valueOf);
      return undefined;
    }
  };

  function described(schema, symbol) {
    const description = ts.displayPartsToString(symbol.getDocumentationComment(checker));
    return description === "" ? schema : { ...schema, description };
  }

  function literal(type, name) {
    return type.isLiteral() ? { const: type.value } : { type: name };
  }

  function isTrue(type) {
    return checker.typeToString(type) === "true";
  }

  // Declared by the language, and not by the author: `Date`, `Map`, `Promise`, ….
  function isBuiltIn(type) {
    const symbol = type.getSymbol();
    if (!symbol || !(symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class))) return false;
    return symbol.declarations.every((declaration) =>
      program.isSourceFileDefaultLibrary(declaration.getSourceFile()),
    );
  }

  function none(type, node) {
    const name = checker.typeToString(type);
    const hint = { Date: ": take and return dates as strings", bigint: ": use a number or a string" };
    return new Problem(node, `the type \`${name}\` has no JSON Schema${hint[name] ?? ""}`);
  }
}

function isUndefined(type) {
  return Boolean(type.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void));
}

function enumeration(values) {
  if (values.length === 1) return { const: values[0] };
  const types = new Set(values.map((value) => typeof value));
  return { ...(types.size === 1 && { type: [...types][0] }), enum: values };
}
