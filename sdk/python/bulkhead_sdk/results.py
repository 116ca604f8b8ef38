"""What a tool function returns, and how it becomes an MCP result.

A `str` is text. A dataclass, a `TypedDict` or a `dict` is the structured result.
Blocks, and an `Output` of them, are sent as they are. Every other value is the
structured result `{"result": value}`. Where a hint says which of these it is, the
hint decides and makes the output schema; otherwise the value does.
"""

import dataclasses
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

from . import wire
from .errors import ToolError
from .forms import Field, Forms, Schema

T = TypeVar("T")


@dataclass(frozen=True)
class Text:
    """A block of plain text."""

    text: str


@dataclass(frozen=True)
class Image:
    """A picture; the host encodes it for the wire."""

    data: bytes
    mime_type: str


@dataclass(frozen=True)
class Audio:
    """A piece of sound; the host encodes it for the wire."""

    data: bytes
    mime_type: str


@dataclass(frozen=True)
class ResourceLink:
    """A reference to what the client may read."""

    uri: str
    name: str
    description: str | None = None
    mime_type: str | None = None


@dataclass(frozen=True)
class Resource:
    """A resource, included."""

    uri: str
    contents: str | bytes
    mime_type: str | None = None


@dataclass(frozen=True)
class Other:
    """Any other MCP content block: a JSON object with a `type`."""

    block: dict[str, Any]


Block = Text | Image | Audio | ResourceLink | Resource | Other
_BLOCKS = get_args(Block)


@dataclass(frozen=True)
class Output(Generic[T]):
    """A whole result: blocks that a model reads, and a structured result.

    Without blocks the host makes one of the structured result. As a return hint,
    `Output[Counts]` declares what the structured result is.
    """

    content: Sequence[Block | str] = field(default_factory=list)
    structured: T | None = None


@dataclass(frozen=True)
class Produced:
    """A result in the shape of the contract."""

    content: list[Block]
    structured: str | None  # JSON text


def returns(hint: Any) -> tuple[Schema | None, Callable[[Any], Produced]]:
    """The output schema of a return hint, and what makes a result of a value.

    Raises:
        TypeError: The hint has no form in JSON.
    """
    if get_origin(hint) is Annotated and get_args(hint)[0] in (str, Output, *_BLOCKS):
        hint = get_args(hint)[0]
    if get_origin(hint) is Output:
        schema = _structured(get_args(hint)[0])
        if schema.get("type") != "object":
            raise TypeError("the T of an Output[T] is a dataclass, a TypedDict or a dict")
        return schema, produce
    if hint in (Any, object, str) or _mentions_blocks(hint):
        return None, produce
    schema = _structured(hint)
    if schema.get("type") == "object":
        return schema, lambda value: _shaped(value, value)
    forms = Forms(output=True)
    wrapped = forms.document(forms.object([Field("result", hint)], dict))
    return wrapped, lambda value: _shaped(value, {"result": value})


def produce(value: Any) -> Produced:
    """The result that a value is, where no hint has said.

    Raises:
        ToolError: `INVALID_OUTPUT`, when it has no form in JSON.
    """
    if isinstance(value, Output):
        structured = None if value.structured is None else _dump(value.structured)
        return Produced([_block(block) for block in value.content], structured)
    if isinstance(value, (str, Text, Image, Audio, ResourceLink, Resource, Other)):
        return Produced([_block(value)], None)
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, _BLOCKS) for v in value):
        return Produced(list(value), None)
    if isinstance(value, dict) or dataclasses.is_dataclass(value):
        return Produced([], _dump(value))
    return Produced([], _dump({"result": value}))


def _shaped(value: Any, structured: Any) -> Produced:
    """A declared result. A function that returns blocks all the same is told so by
    the host, which misses the structured result."""
    if isinstance(value, (Output, *_BLOCKS)):
        return produce(value)
    return Produced([], _dump(structured))


def _structured(hint: Any) -> Schema:
    forms = Forms(output=True)
    return forms.document(forms.of(hint))


def _mentions_blocks(hint: Any) -> bool:
    if hint is Output or hint in _BLOCKS:
        return True
    return any(_mentions_blocks(part) for part in typing.get_args(hint))


def _block(block: Block | str) -> Block:
    return Text(block) if isinstance(block, str) else block


def _dump(value: Any) -> str:
    try:
        return wire.dump(value)
    except ValueError as error:
        raise ToolError(
            "INVALID_OUTPUT", f"The tool's result has no form in JSON: {error}."
        ) from error
