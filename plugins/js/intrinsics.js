// What a snippet may replace, and the way back.
//
// A snippet shares the engine with the tool that runs it, and may replace `Array.prototype.map`
// or give `Object.prototype` a setter. It spoils its own instance only; but its answer should
// be readable all the same. So what the tool and the SDK use after it is put back as it was.
// What runs while the snippet does (`inspect.js`) takes nothing from there.

const { apply, defineProperty, deleteProperty, getOwnPropertyDescriptor } = Reflect;
const { getPrototypeOf, ownKeys, setPrototypeOf } = Reflect;

/** `method` as a function whose first argument is `this`, whatever becomes of prototypes. */
export const uncurried =
  (method) =>
  (self, ...args) =>
    apply(method, self, args);

const stack = uncurried(getOwnPropertyDescriptor(Error.prototype, "stack").get);

/** The text of an error's frames, which this engine has behind a getter. */
export function stackOf(error) {
  try {
    return `${stack(error) ?? ""}`;
  } catch {
    return "";
  }
}

const iterator = getPrototypeOf([][Symbol.iterator]());

// `Object.prototype` first: what the others are made of inherits from it.
const ROOTS = [
  Object.prototype,
  Object,
  Function.prototype,
  Array.prototype,
  Array,
  iterator,
  getPrototypeOf(iterator),
  String.prototype,
  RegExp.prototype,
  JSON,
  Map.prototype,
  Set.prototype,
  Error.prototype,
  Error,
];

// Read once, when the component is built.
const saved = ROOTS.map((root) => save(root, ownKeys(root)));
// The global object's own: what the snippet adds there is no harm, nor is its `console`.
const names = ownKeys(globalThis).filter((name) => name !== "console");
const globals = save(globalThis, names);

function save(root, names) {
  const properties = names.map((key) => {
    // Without a prototype: a descriptor inherits `get` from a spoiled `Object.prototype`.
    const descriptor = Object.assign(Object.create(null), getOwnPropertyDescriptor(root, key));
    return { key, descriptor };
  });
  const plain = properties.filter(({ descriptor }) => "value" in descriptor);
  return {
    root,
    prototype: getPrototypeOf(root),
    properties,
    keys: plain.map(({ key }) => key),
    values: plain.map(({ descriptor }) => descriptor.value),
    accessors: properties.filter((property) => !plain.includes(property)),
  };
}

/** Puts the language's objects back, as far as the snippet did not freeze them. */
export function restore() {
  for (let i = 0; i < saved.length; i++) {
    const { root, prototype, properties, accessors } = saved[i];
    // Looking is cheaper than writing, and most snippets replace nothing.
    write(root, isSame(saved[i]) ? accessors : properties);
    if (ownKeys(root).length !== properties.length) removeAdded(root, properties);
    if (getPrototypeOf(root) !== prototype) setPrototypeOf(root, prototype);
  }
  if (!isSame(globals)) write(globals.root, globals.properties);
}

function isSame({ root, keys, values }) {
  try {
    for (let k = 0; k < keys.length; k++) if (root[keys[k]] !== values[k]) return false;
    return true;
  } catch {
    return false;
  }
}

function write(root, properties) {
  for (let k = 0; k < properties.length; k++) {
    defineProperty(root, properties[k].key, properties[k].descriptor);
  }
}

function removeAdded(root, properties) {
  const keys = ownKeys(root);
  for (let i = 0; i < keys.length; i++) {
    let isSaved = false;
    for (let k = 0; k < properties.length; k++) isSaved ||= properties[k].key === keys[i];
    if (!isSaved) deleteProperty(root, keys[i]);
  }
}
