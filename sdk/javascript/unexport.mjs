// Takes back the function `init`, which componentize-qjs exports from every component beside
// what the world says: it has done its work, and in a plain component it would be a tool.

/** Section numbers of the component binary format. */
const ALIAS = 6;
const EXPORT = 11;

/**
 * The component without its export `init`.
 *
 * An export also gives the function a second number, which later sections count on. So the
 * export becomes what stands before it, the alias that gave the function its first.
 */
export function withoutInit(component) {
  const sections = [];
  for (let at = 8; at < component.length; ) {
    const { value: size, next } = number(component, at + 1);
    sections.push({ id: component[at], bytes: component.subarray(at, next + size), content: next - at });
    at = next + size;
  }
  const index = sections.findIndex(({ id, bytes, content }) => {
    // One export: `init`, a function.
    const start = Buffer.from([1, 0, 4, ...Buffer.from("init"), 1]);
    return id === EXPORT && start.equals(bytes.subarray(content, content + start.length));
  });
  if (index === -1) return component;
  const alias = sections[index - 1];
  if (alias?.id !== ALIAS) throw new Error("the component exports `init` in an unexpected way");
  sections[index] = alias;
  return Buffer.concat([component.subarray(0, 8), ...sections.map(({ bytes }) => bytes)]);
}

// LEB128, as the format writes sizes.
function number(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
}
