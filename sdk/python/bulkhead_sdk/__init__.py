"""Tools for Bulkhead in Python: a tool is a documented function.

from bulkhead_sdk import tool

@tool(read_only=True)
def word_count(text: str) -> int:
    '''Counts the words of a text.'''
    return len(text.split())
"""

import importlib.util

from . import call
from .bounds import Length, Pattern, Range
from .call import log, progress
from .errors import ToolError
from .results import Audio, Block, Image, Other, Output, Resource, ResourceLink, Text
from .tools import TOOLS, invoke, tool

__all__ = [
    "TOOLS",
    "Audio",
    "Block",
    "Image",
    "Length",
    "Other",
    "Output",
    "Pattern",
    "Range",
    "Resource",
    "ResourceLink",
    "Text",
    "ToolError",
    "call",
    "invoke",
    "log",
    "progress",
    "tool",
]

if importlib.util.find_spec("wit_world"):
    from .guest import Tools as Tools
