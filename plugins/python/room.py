"""Making things fit into an answer: what JSON can say, and how much of it there is
room for. Sizes are bytes of JSON."""

import math
from typing import Any

from bulkhead_sdk import wire

# The host reads JSON that is 64 levels deep; the answer around a value takes some.
_DEPTH = 48
# Past this, many JSON readers round an integer.
_EXACT = 2**53

_SCALARS = {type(None), bool, int, float, str}
_KINDS = _SCALARS | {list, tuple, dict}


def size(value: Any) -> int:
    """The bytes that a value takes as JSON."""
    return len(wire.dump(value).encode())


def fit(text: str, room: int) -> str:
    """The text, or its beginning and its end around a note of what was left out."""
    needed = size(text)
    if needed <= room:
        return text
    kept = len(text) * max(room, 0) // needed
    while kept > 0:
        note = f"\n[… {len(text) - kept} characters left out …]\n"
        cut = text[: kept - kept // 2] + note + text[len(text) - kept // 2 :]
        excess = size(cut) - room
        if excess <= 0:
            return cut
        kept -= excess  # A character is at least a byte.
    return ""


def expressible(value: Any, room: int) -> bool:
    """Whether JSON says this value without loss, in at most about `room` bytes.

    A subclass, a key that is no text, a NaN, a large integer would come out as
    something else. Level by level, and not by recursion: a snippet can nest deeper
    than the stack.
    """
    level = [value]
    for _ in range(_DEPTH):
        kinds = set(map(type, level))
        if not kinds <= _KINDS:
            return False
        if int in kinds and not all(-_EXACT <= n <= _EXACT for n in level if type(n) is int):
            return False
        if float in kinds and not all(math.isfinite(x) for x in level if type(x) is float):
            return False
        if kinds <= _SCALARS:
            return size(value) <= room
        below: list[Any] = []
        for item in level:
            if type(item) in _SCALARS:
                continue
            # An item and its comma are two bytes at least.
            if len(below) + len(item) > room // 2:
                return False
            if type(item) is dict:
                if not all(type(key) is str for key in item):
                    return False
                item = item.values()
            below.extend(item)
        level = below
    return False
