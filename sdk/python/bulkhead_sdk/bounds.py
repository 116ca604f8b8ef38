"""What a type cannot say about a value: put it into `Annotated`, and it becomes part
of the schema, which the host checks before the tool runs.

    limit: Annotated[int, Range(1, 100), "How many results to return at most."]
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Bounds of a number, both inclusive."""

    min: int | float | None = None
    max: int | float | None = None

    def keywords(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The keywords for a value of this schema."""
        _only(self, schema, "integer", "number")
        return _present(minimum=self.min, maximum=self.max)


@dataclass(frozen=True)
class Length:
    """Bounds of a length, both inclusive: a text's code points, a list's items, an
    object's entries."""

    min: int | None = None
    max: int | None = None

    def keywords(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The keywords for a value of this schema."""
        kind = _only(self, schema, "string", "array", "object")
        noun = {"string": "Length", "array": "Items", "object": "Properties"}[kind]
        return _present(**{f"min{noun}": self.min, f"max{noun}": self.max})


@dataclass(frozen=True)
class Pattern:
    """A regular expression (ECMA-262) that a text must contain; anchor it with `^`
    and `$` for the whole."""

    regex: str

    def keywords(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The keywords for a value of this schema."""
        _only(self, schema, "string")
        return {"pattern": self.regex}


def _only(bound: object, schema: dict[str, Any], *kinds: str) -> str:
    """The schema's type, if it is one of these; null may stand beside it."""
    declared = schema.get("type")
    for kind in declared if isinstance(declared, list) else [declared]:
        if kind in kinds:
            return str(kind)
    raise TypeError(f"{type(bound).__name__} bounds {' or '.join(kinds)}, not {declared}")


def _present(**keywords: Any) -> dict[str, Any]:
    return {name: value for name, value in keywords.items() if value is not None}
