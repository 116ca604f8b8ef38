"""The plugin as componentize-py wants it: a class `Tools` in the module `plugin`.

Imported where componentize-py has made bindings (`wit_world`), which is only inside
of a component.
"""

import math
import sys
from typing import Any

from componentize_py_types import Err  # type: ignore[import-not-found]
from wit_world import exports  # type: ignore[import-not-found]
from wit_world.imports import types  # type: ignore[import-not-found]

from . import late as late
from . import results, tools, wire
from .errors import ToolError


class Tools(exports.Tools):  # type: ignore[misc]
    """`bulkhead:plugin/tools`, over the table that `@tool` has filled."""

    def list_tools(self) -> list[Any]:
        """The tools of this plugin."""
        return [_declared(tool) for tool in tools.TOOLS.values()]

    def call_tool(self, name: str, arguments: str) -> Any:
        """Serves one call."""
        _reseed()
        try:
            try:
                output = _output(tools.call(name, arguments))
            except ToolError as error:
                raise Err(_error(error)) from None
        except Err:
            raise
        except BaseException as error:
            # What the author returned or raised does not fit the contract.
            raise Err(_error(tools.failed(error))) from None
        return types.Outcome_Done(output)


def _reseed() -> None:
    """Gives every call random numbers of its own: `random` was seeded when the
    component was built, and would say the same in each."""
    random = sys.modules.get("random")
    if random:
        random.seed()


def _declared(tool: tools.Tool) -> Any:
    annotations = (tool.read_only, tool.destructive, tool.idempotent, tool.open_world)
    silent = all(annotation is None for annotation in annotations)
    return types.Tool(
        tool.name,
        tool.title,
        wire.well_formed(tool.description),
        wire.dump(tool.input_schema),
        None if tool.output_schema is None else wire.dump(tool.output_schema),
        None if silent else types.Annotations(*annotations, None),
        None,
    )


def _output(produced: results.Produced) -> Any:
    return types.Output([_content(block) for block in produced.content], produced.structured, None)


def _content(block: results.Block) -> Any:
    match block:
        case results.Text(text):
            return types.Content_Text(types.Text(wire.well_formed(text), None))
        case results.Image(data, mime_type):
            return types.Content_Image(types.Media(bytes(data), mime_type, None))
        case results.Audio(data, mime_type):
            return types.Content_Audio(types.Media(bytes(data), mime_type, None))
        case results.ResourceLink(uri, name, description, mime_type):
            return types.Content_ResourceLink(
                types.ResourceLink(uri, name, description, mime_type, None)
            )
        case results.Resource(uri, str(text), mime_type):
            contents = types.ResourceContents_Text(wire.well_formed(text))
            return types.Content_Resource(types.EmbeddedResource(uri, mime_type, contents, None))
        case results.Resource(uri, bytes(data), mime_type):
            contents = types.ResourceContents_Blob(data)
            return types.Content_Resource(types.EmbeddedResource(uri, mime_type, contents, None))
        case results.Other(value):
            return types.Content_Other(wire.dump(value))
    raise TypeError(f"a {type(block).__name__} is no block")


def _error(error: ToolError) -> Any:
    # Rounded up: whoever waits so long is not too early.
    wait = None if error.retry_after is None else math.ceil(error.retry_after * 1000)
    details = wire.dump(error.details) if error.details else None
    message = wire.well_formed(error.message)
    return types.Error(error.code, message, error.retryable, wait, details, None)


# componentize-py looks for the class in the module that it was given. The author
# imports the decorator, and this puts the class beside it.
if "plugin" in sys.modules:
    sys.modules["plugin"].Tools = Tools  # type: ignore[attr-defined]
