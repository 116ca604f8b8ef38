"""From Python's values to JSON text."""

import dataclasses
import enum
import json
from typing import Any


def dump(value: Any) -> str:
    """The value as JSON text.

    Besides what `json` knows: a dataclass is an object of its fields, a member of
    an `Enum` is its value. JSON has no NaN and no infinity.

    Raises:
        ValueError: The value has no form in JSON.
    """
    try:
        text = _ENCODER.encode(value)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return well_formed(text)


def plain(value: Any) -> Any:
    """The value as `json.loads` would return it.

    Raises:
        ValueError: The value has no form in JSON.
    """
    return json.loads(dump(value))


def well_formed(text: str) -> str:
    """The text, with `?` for what UTF-8 cannot encode: half a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def _other(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # One level: `json` comes back for what is inside.
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


_ENCODER = json.JSONEncoder(
    default=_other, ensure_ascii=False, allow_nan=False, separators=(",", ":")
)
