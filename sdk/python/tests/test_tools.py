"""A decorated function is a tool: what is declared, and what a call gives."""

import contextlib
import io
import json
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, TypedDict
from unittest import mock

from bulkhead_sdk import TOOLS, Image, Other, Output, Range, Text, ToolError, call, invoke, tool


@dataclass
class Counts:
    words: int
    lines: int = 1


class Found(TypedDict):
    at: NotRequired[int]


class Tools(unittest.TestCase):
    def setUp(self) -> None:
        patch = mock.patch.dict(TOOLS, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def returning(self, hint: Any, value: Any) -> tuple[Any, list[Any], Any]:
        """Declares a tool that returns this: its output schema, content, and JSON."""

        def tool_function() -> Any:
            """Returns."""
            return value

        tool_function.__annotations__["return"] = hint
        TOOLS.clear()
        tool(tool_function)
        produced = invoke("tool_function", {})
        structured = None if produced.structured is None else json.loads(produced.structured)
        return TOOLS["tool_function"].output_schema, produced.content, structured

    def failing(self, function: Callable[..., Any], arguments: dict[str, Any]) -> ToolError:
        TOOLS.clear()
        tool(function)
        with self.assertRaises(ToolError) as raised:
            invoke(function.__name__, arguments)
        return raised.exception

    def test_the_schema_comes_from_hints_defaults_and_docs(self) -> None:
        @tool(title="Find", read_only=True, open_world=False)
        def find(
            text: str, top: Annotated[int, Range(0, 100)] = 10, where: str | None = None
        ) -> str:
            """Finds.

            Args:
                text: What to find.
                where: Leave out to find it everywhere.
            """
            return f"{text} {top} {where}"

        declared = TOOLS["find"]
        self.assertEqual(
            declared.input_schema,
            {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "description": "What to find."},
                    "top": {"type": "integer", "minimum": 0, "maximum": 100, "default": 10},
                    "where": {
                        "type": ["string", "null"],
                        "description": "Leave out to find it everywhere.",
                        "default": None,
                    },
                },
                "required": ["text"],
                "additionalProperties": False,
            },
        )
        self.assertEqual((declared.description, declared.title), ("Finds.", "Find"))
        self.assertEqual((declared.read_only, declared.destructive), (True, None))
        self.assertEqual(find("a"), "a 10 None")
        self.assertEqual(invoke("find", {"text": "a", "top": 2.0}).content, [Text("a 2 None")])

    def test_a_hint_decides_how_a_result_is_sent(self) -> None:
        self.assertEqual(self.returning(str, "a"), (None, [Text("a")], None))
        schema, content, structured = self.returning(Counts, Counts(3))
        self.assertEqual(schema["required"], ["words", "lines"])
        self.assertEqual((content, structured), ([], {"words": 3, "lines": 1}))
        schema, _, structured = self.returning(Found, {"at": 3})
        self.assertEqual((schema["type"], structured), ("object", {"at": 3}))
        schema, _, structured = self.returning(int, 2**70)
        self.assertEqual(schema["properties"], {"result": {"type": "integer"}})
        self.assertEqual(structured, {"result": 2**70})
        schema, _, structured = self.returning(Counts | None, None)
        self.assertEqual((schema["required"], structured), (["result"], {"result": None}))
        schema, content, structured = self.returning(Output[Counts], Output(["a"], Counts(3)))
        self.assertEqual(schema["required"], ["words", "lines"])
        self.assertEqual((content, structured), ([Text("a")], {"words": 3, "lines": 1}))
        picture = Image(b"x", "image/png")
        self.assertEqual(self.returning(list[Image | Text], [picture]), (None, [picture], None))

    def test_without_a_hint_the_value_decides(self) -> None:
        self.assertEqual(self.returning(Any, "a"), (None, [Text("a")], None))
        self.assertEqual(self.returning(Any, {"a": 1}), (None, [], {"a": 1}))
        self.assertEqual(self.returning(Any, Counts(3)), (None, [], {"words": 3, "lines": 1}))
        self.assertEqual(self.returning(Any, [1]), (None, [], {"result": [1]}))
        self.assertEqual(self.returning(Any, None), (None, [], {"result": None}))
        other = Other({"type": "x"})
        self.assertEqual(self.returning(Any, other), (None, [other], None))

    def test_a_tool_error_arrives_as_it_is(self) -> None:
        def fail() -> str:
            """Fails."""
            raise ToolError("STOCK_TOO_LOW", "Only 3.", retry_after=1.5, details={"left": 3})

        error = self.failing(fail, {})
        self.assertEqual((error.code, error.message), ("STOCK_TOO_LOW", "Only 3."))
        self.assertEqual((error.retryable, error.details), (True, {"left": 3}))

    def test_the_usual_errors_have_their_codes(self) -> None:
        for error, code in (
            (ToolError.not_found("sales order"), "SALES_ORDER_NOT_FOUND"),
            (ToolError.conflict("x"), "CONFLICT"),
            (ToolError.invalid("x"), "INVALID_INPUT"),
            (ToolError.unavailable(2.5), "TEMPORARILY_UNAVAILABLE"),
        ):
            self.assertEqual(error.code, code)
            wait = 2.5 if code == "TEMPORARILY_UNAVAILABLE" else None
            self.assertEqual((error.retryable, error.retry_after), (wait is not None, wait))

    def test_any_other_exception_tells_its_type_and_logs_the_rest(self) -> None:
        def fail() -> str:
            """Fails."""
            raise OSError("the password is hunter2")

        with contextlib.redirect_stderr(io.StringIO()) as log:
            error = self.failing(fail, {})
        self.assertEqual(error.code, "TOOL_FAILED")
        self.assertEqual(error.message, "The tool failed: OSError. The log of its host says more.")
        self.assertIn("the password is hunter2", log.getvalue())

    def test_a_result_without_a_form_in_json_is_an_error(self) -> None:
        for value in (float("nan"), {1, 2}, object()):
            with self.subTest(value=value), self.assertRaises(ToolError) as raised:
                self.returning(Any, {"value": value})
            self.assertEqual(raised.exception.code, "INVALID_OUTPUT")

    def test_arguments_of_another_type_are_told(self) -> None:
        def half(n: int) -> int:
            """Halves."""
            return n // 2

        error = self.failing(half, {"n": "2"})
        self.assertEqual(error.code, "INVALID_INPUT")
        self.assertIn("/n: must be an integer.", error.message)

    def test_half_a_surrogate_pair_reaches_no_host(self) -> None:
        self.assertEqual(self.returning(Any, {"a": "\ud800"})[2], {"a": "?"})

    def test_what_is_wrong_with_a_tool_is_told_at_import(self) -> None:
        def no_doc(x: int) -> int:
            return x

        def no_hint(x):  # type: ignore[no-untyped-def]
            """Doc."""

        def rest(*x: int) -> None:
            """Doc."""

        def no_form(x: bytes) -> None:
            """Doc."""

        def misspelled(text: str) -> None:
            """Doc.

            Args:
                txet: The text.
            """

        async def waiting() -> None:
            """Doc."""

        for function in (no_doc, no_hint, rest, no_form, misspelled, waiting):
            with self.subTest(function=function), self.assertRaises(TypeError) as raised:
                tool(function)
            line = function.__code__.co_firstlineno
            self.assertIn(f"{__file__}:{line}: tool `{function.__name__}`", str(raised.exception))
        with self.assertRaises(ValueError):
            tool(name="no name")(rest)
        with self.assertRaises(ValueError):
            ToolError("not a code", "")

    def test_two_tools_have_two_names(self) -> None:
        def twice() -> None:
            """Doc."""

        tool(twice)
        with self.assertRaises(ValueError):
            tool(twice)
        tool(name="again")(twice)
        self.assertEqual(list(TOOLS), ["twice", "again"])

    def test_there_is_no_host_in_a_test(self) -> None:
        self.assertEqual((call.agent(), call.subject(), call.scopes()), ("", None, []))
        self.assertGreater(call.remaining_fuel(), 10**18)
        call.progress(1, 2, "half")
        call.log("said")


if __name__ == "__main__":
    unittest.main()
