"""The tools of {{name}}: each function with `@tool` is one. Its docstring is what a model
reads, its types become the schemas that every call is checked against."""

from dataclasses import dataclass
from typing import Annotated

from bulkhead_sdk import Length, ToolError, tool


@dataclass
class Greeting:
    """What came of it.

    Attributes:
        greeting: What to say.
    """

    greeting: str


@tool(title="Greet", read_only=True, open_world=False)
def greet(name: Annotated[str, Length(max=100)]) -> Greeting:
    """Greets somebody by name.

    Args:
        name: Who is greeted.
    """
    name = name.strip()
    if not name:
        raise ToolError("EMPTY_NAME", "The name is empty; ask who is to be greeted.")
    return Greeting(f"Hello, {name}!")
