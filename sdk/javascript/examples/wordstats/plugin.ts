// The plugin that the SDK of every language has: statistics of the words of a text.

import { type Integer, progress, ToolError } from "bulkhead-sdk";

interface Statistics {
  /** Unicode code points. */
  characters: Integer<0>;
  lines: Integer<0>;
  words: Integer<0>;
  /** Different words. */
  distinct: Integer<0>;
  /** The longest word; of several, the first in code point order. */
  longest: string;
  /** The most frequent words, then in code point order. */
  frequent: { word: string; count: Integer<1> }[];
}

/**
 * Counts the characters, lines and words of a text, and finds its longest and its most
 * frequent words.
 *
 * @param text The text.
 * @param top How many of the most frequent words to list.
 * @title Word statistics
 * @readOnly
 * @openWorld false
 */
export function wordstats(text: string, top: Integer<0, 100> = 10): Statistics {
  const words = wordsOf(text);
  if (words.length === 0) throw new ToolError("EMPTY_TEXT", "The text has no words.");
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  progress(1, 1, `counted ${words.length} words`);

  const [longest] = [...counts.keys()].sort((a, b) => length(b) - length(a) || byCodePoint(a, b));
  const frequent = [...counts].sort(([a, n], [b, m]) => m - n || byCodePoint(a, b));
  return {
    characters: length(text),
    lines: text.split("\n").length - (text === "" || text.endsWith("\n") ? 1 : 0),
    words: words.length,
    distinct: counts.size,
    longest,
    frequent: frequent.slice(0, top).map(([word, count]) => ({ word, count })),
  };
}

// What stands between ASCII white space, without the ASCII punctuation around it. `\s` and
// `toLowerCase` would know all of Unicode.
function wordsOf(text: string): string[] {
  return text
    .split(/[ \t\n\r\v\f]+/)
    .map((word) => word.replace(/^[!-/:-@[-`{-~]+|[!-/:-@[-`{-~]+$/g, ""))
    .filter((word) => word !== "")
    .map((word) => word.replace(/[A-Z]/g, (letter) => letter.toLowerCase()));
}

// A string's own length, and `<`, count UTF-16 units, of which an emoji has two.
function length(text: string): number {
  return [...text].length;
}

function byCodePoint(a: string, b: string): number {
  const [left, right] = [a, b].map((word) => [...word].map((letter) => letter.codePointAt(0)!));
  const at = left.findIndex((letter, index) => letter !== right[index]);
  if (at === -1) return left.length - right.length;
  return at < right.length ? left[at] - right[at] : 1;
}
