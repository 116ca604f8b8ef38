// Texts that fit: their bytes as JSON in UTF-8, which is what the host counts.

/**
 * The bytes of a value as JSON. Native functions count; a loop over the text would cost more
 * than most snippets.
 * @param {unknown} value
 */
export function jsonBytes(value) {
  return unescape(encodeURIComponent(JSON.stringify(value))).length;
}

const CUT = "\n… cut: there is more than fits";

/**
 * The text, or as much of its beginning as fits into `room` bytes of JSON, and a remark.
 * @param {string} text @param {number} room
 */
export function cut(text, room) {
  if (text.length <= room && jsonBytes(text) <= room) return text;
  return start(text, room - jsonBytes(CUT)) + CUT;
}

/** @param {string} text @param {number} room */
export function start(text, room) {
  return fitting(text, room, (length) => text.slice(0, length)).replace(/[\ud800-\udbff]$/, "");
}

/** @param {string} text @param {number} room */
export function end(text, room) {
  return fitting(text, room, (length) => text.slice(text.length - length)).replace(/^[\udc00-\udfff]/, "");
}

/**
 * The part of a text, as long as it may be, that fits into `room` bytes of JSON.
 * @param {string} text @param {number} room @param {(length: number) => string} take
 */
function fitting(text, room, take) {
  // Two for the quotation marks.
  let length = Math.max(Math.min(text.length, room - 2), 0);
  for (;;) {
    const part = take(length);
    // Half of a character, at either end, is no text.
    const size = jsonBytes(part.toWellFormed());
    if (size <= room || length === 0) return part;
    // Where the text is even, the next one fits.
    length = Math.floor(Math.min((length * room) / size, length - 1));
  }
}
