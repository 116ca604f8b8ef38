"""The `@tool` decorator, and the table of the tools that it has seen.

All is derived when the module is imported, which is when the component is built:
what is wrong with a tool fails the build, and a call finds everything ready.
"""

import importlib.util
import inspect
import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from . import docs, results, wire
from .errors import ToolError
from .forms import Field, Forms, Mismatch, Read, Schema, hints_of

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Tool:
    """A tool as it is declared, and what runs it."""

    name: str
    title: str | None
    description: str
    input_schema: Schema
    output_schema: Schema | None
    read_only: bool | None
    destructive: bool | None
    idempotent: bool | None
    open_world: bool | None
    read: Read
    """From the arguments' JSON object to the function's keywords."""
    function: Callable[..., Any]
    produce: Callable[[Any], results.Produced]


TOOLS: dict[str, Tool] = {}
"""The plugin's tools by name, in the order of their declaration."""


@overload
def tool(function: F, /) -> F: ...


@overload
def tool(
    *,
    name: str | None = None,
    title: str | None = None,
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
) -> Callable[[F], F]: ...


def tool(function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Makes a function a tool. It stays a function, which a test may call.

    Its docstring is what a model reads. Every parameter has a type hint, from which
    the schema comes that every call is checked against.

    Args:
        name: The tool's name, where the function's is not it.
        title: A name for people.
        read_only: It changes nothing.
        destructive: It may delete or overwrite.
        idempotent: Calling it again with the same arguments changes nothing more.
        open_world: It reaches beyond the plugin's own data.

    Raises:
        TypeError: A hint is missing, or has no form in JSON; there is no docstring,
            or it describes a parameter that does not exist.
        ValueError: The name is taken, or cannot be a tool's.
    """

    def declare(function: F) -> F:
        try:
            declared = _declaration(function, name or function.__name__, **options)
            if declared.name in TOOLS:
                raise ValueError(f"there are two tools named `{declared.name}`")
        except (TypeError, ValueError) as error:
            if importlib.util.find_spec("wit_world"):
                # This ends the build: its author needs the place, and not our own frames.
                sys.tracebacklimit = 0
            raise type(error)(f"{_place(function)}{error}") from None
        TOOLS[declared.name] = declared
        return function

    return declare if function is None else declare(function)


def invoke(name: str, arguments: Mapping[str, Any]) -> results.Produced:
    """Calls a tool with a JSON object, as the host does. For tests.

    Raises:
        ToolError: The tool's own, `INVALID_INPUT` when the arguments are not of the
            hinted types, or `TOOL_FAILED` for any other exception.
    """
    return call(name, wire.dump(arguments))


def call(name: str, arguments: str) -> results.Produced:
    """Serves one call; `arguments` is the text of a JSON object.

    Raises:
        ToolError: As `invoke`.
    """
    tool = TOOLS[name]
    try:
        return tool.produce(tool.function(**_read(tool, arguments)))
    except ToolError:
        raise
    except BaseException as error:
        raise failed(error) from error


def failed(error: BaseException) -> ToolError:
    """An exception that the tool did not mean for its caller, as one that it may see.

    What it says may be a path or a query, so that only its type is told. The rest is
    the operator's, to whom stderr goes.
    """
    traceback.print_exception(error)
    kind = type(error).__name__
    return ToolError("TOOL_FAILED", f"The tool failed: {kind}. The log of its host says more.")


def _read(tool: Tool, arguments: str) -> dict[str, Any]:
    try:
        keywords: dict[str, Any] = tool.read(json.loads(arguments))
    except Mismatch as mismatch:
        raise ToolError("INVALID_INPUT", f"The arguments cannot be read. {mismatch}") from None
    return keywords


def _place(function: Callable[..., Any]) -> str:
    """Where the function stands, as the beginning of a message."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return ""
    # The build sees the plugin's folder as `/0`.
    file = re.sub(r"^/\d+/", "", code.co_filename)
    return f"{file}:{code.co_firstlineno}: "


def _declaration(function: Callable[..., Any], name: str, **options: Any) -> Tool:
    unknown = options.keys() - {"title", "read_only", "destructive", "idempotent", "open_world"}
    if unknown:
        raise TypeError(f"@tool has no option `{min(unknown)}`")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise ValueError(f"{name!r} is no tool's name: 1 to 64 of A-Z a-z 0-9 _ -")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"tool `{name}` is async, and there is nothing to wait for in a plugin")
    description, entries = docs.parse(docs.own_doc(function))
    if not description:
        raise TypeError(f"tool `{name}` has no docstring; it is what a model reads")
    try:
        hints = hints_of(function)
        fields = _parameters(function, hints, entries)
        forms = Forms(output=False)
        form = forms.object(fields, dict)
        output_schema, produce = results.returns(hints.get("return", Any))
    except TypeError as error:
        raise TypeError(f"tool `{name}`: {error}") from None
    return Tool(
        name=name,
        title=options.get("title"),
        description=description,
        input_schema=forms.document(form),
        output_schema=output_schema,
        read_only=options.get("read_only"),
        destructive=options.get("destructive"),
        idempotent=options.get("idempotent"),
        open_world=options.get("open_world"),
        read=form.read,
        function=function,
        produce=produce,
    )


def _parameters(
    function: Callable[..., Any], hints: dict[str, Any], entries: dict[str, str]
) -> list[Field]:
    parameters = inspect.signature(function).parameters
    for entry in entries:
        if entry not in parameters:
            raise TypeError(f"the docstring describes `{entry}`, which is no parameter")
    fields = []
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"parameter `{name}` cannot be given by its name")
        if name not in hints:
            raise TypeError(f"parameter `{name}` has no type hint")
        doc = entries.get(name, "")
        if parameter.default is parameter.empty:
            fields.append(Field(name, hints[name], doc))
        else:
            fields.append(Field(name, hints[name], doc, False, parameter.default))
    return fields
