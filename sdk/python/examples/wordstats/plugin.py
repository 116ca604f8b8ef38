"""Statistics of a text's words."""

import string
from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from bulkhead_sdk import Range, ToolError, progress, tool

# ASCII only, so that the answer does not depend on a language's Unicode tables.
PUNCTUATION = bytes(string.punctuation, "ascii")


@dataclass
class Frequent:
    """A word, and how often it occurs."""

    word: str
    count: int


@dataclass
class Stats:
    """Statistics of a text.

    Attributes:
        characters: Unicode code points, white space included.
        lines: Lines; the last one counts without a line feed too.
        words: All words.
        distinct: Different words.
        longest: The longest word; of several, the first in code point order.
        frequent: The most frequent words, the most frequent first.
    """

    characters: int
    lines: int
    words: int
    distinct: int
    longest: str
    frequent: list[Frequent]


@tool(title="Word statistics", read_only=True, idempotent=True, open_world=False)
def wordstats(text: str, top: Annotated[int, Range(0, 100)] = 10) -> Stats:
    """Counts the characters, lines and words of a text, and finds its longest and its
    most frequent words. Case does not matter, nor does punctuation around a word.

    Args:
        text: The text.
        top: How many of the most frequent words to return.
    """
    words = words_of(text)
    if not words:
        raise ToolError("EMPTY_TEXT", "The text has no words.")
    counts = Counter(words)
    progress(1, total=1, message=f"counted {len(words)} words")
    # Python compares texts by code point, which is the order we promise.
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return Stats(
        characters=len(text),
        lines=text.count("\n") + (not text.endswith("\n")),
        words=len(words),
        distinct=len(counts),
        longest=min(counts, key=lambda word: (-len(word), word)),
        frequent=[Frequent(word, count) for word, count in ranked[:top]],
    )


def words_of(text: str) -> list[str]:
    """The words, in lower case and without punctuation around them."""
    # Methods of `bytes` know ASCII alone, and in UTF-8 no other character holds an
    # ASCII byte.
    pieces = (piece.strip(PUNCTUATION) for piece in text.encode().split())
    return [piece.lower().decode() for piece in pieces if piece]
