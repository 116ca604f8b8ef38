"""Reads docstrings in Google's style: what a model is told about a tool and about
each of its parameters."""

import inspect
import re
from typing import Any

_SECTION = re.compile(r"(Args|Arguments|Attributes|Parameters):")
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")


def own_doc(thing: Any) -> str:
    """The docstring that somebody wrote for it; "" for one that is inherited, or
    that `dataclass` has made up."""
    doc = thing.__dict__.get("__doc__") if isinstance(thing, type) else thing.__doc__
    if not doc or isinstance(thing, type) and doc.startswith(f"{thing.__name__}("):
        return ""
    return inspect.cleandoc(doc)


def parse(doc: str) -> tuple[str, dict[str, str]]:
    """The description, without its `Args:` or `Attributes:`, and these by name."""
    description: list[str] = []
    entries: dict[str, str] = {}
    indent: int | None = None  # of the section's entries, once one was seen
    inside, name = False, ""
    for line in doc.splitlines():
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth == 0:
            inside = _SECTION.fullmatch(line.rstrip()) is not None
            indent, name = None, ""
            if inside:
                continue
        if not inside:
            description.append(line)
            continue
        if not line.strip():
            continue
        indent = depth if indent is None else indent
        entry = _ENTRY.fullmatch(line.strip()) if depth == indent else None
        if entry:
            name = entry[1]
            entries[name] = entry[2]
        elif name:
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(description)).strip(), entries
