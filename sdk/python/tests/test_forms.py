"""Hints become schemas, and JSON that matches them becomes their values."""

import enum
import unittest
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

from bulkhead_sdk import Length, Pattern, Range
from bulkhead_sdk.forms import Forms, Mismatch


class Color(enum.Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    """A place.

    Attributes:
        x: How far to the right.
    """

    x: int
    y: Annotated[int, "How far up."] = 0


@dataclass
class Tree:
    name: str
    children: "list[Tree]" = field(default_factory=list)


@dataclass
class Chain:
    next: "Chain | None" = None


class Options(TypedDict):
    deep: bool
    limit: NotRequired[int]


Id = NewType("Id", str)

# hint, its schema, and JSON values with what they become.
TABLE: list[tuple[Any, dict[str, Any], list[tuple[Any, Any]]]] = [
    (str, {"type": "string"}, [("a", "a")]),
    (int, {"type": "integer"}, [(2**70, 2**70), (2.0, 2), (-1, -1)]),
    (float, {"type": "number"}, [(1, 1.0), (0.5, 0.5)]),
    (bool, {"type": "boolean"}, [(True, True)]),
    (None, {"type": "null"}, [(None, None)]),
    (Any, {}, [({"a": [1]}, {"a": [1]})]),
    (Id, {"type": "string"}, [("a", "a")]),
    (int | None, {"type": ["integer", "null"]}, [(None, None), (1, 1)]),
    (
        Color | None,
        {
            "anyOf": [
                {"description": "A color.", "type": "string", "enum": ["red", "blue"]},
                {"type": "null"},
            ]
        },
        [("red", Color.RED), (None, None)],
    ),
    (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}, [("1", "1"), (1, 1)]),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, [("b", "b")]),
    (Literal[1, "a", True], {"enum": [1, "a", True]}, [(True, True), (1, 1)]),
    (list, {"type": "array"}, [([1, "a"], [1, "a"])]),
    (list[int], {"type": "array", "items": {"type": "integer"}}, [([1.0], [1])]),
    (Sequence[str], {"type": "array", "items": {"type": "string"}}, [(["a"], ["a"])]),
    (
        tuple[int, str],
        {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
        [([1, "a"], (1, "a"))],
    ),
    (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}, [([1, 2], (1, 2))]),
    (dict, {"type": "object"}, [({"a": 1}, {"a": 1})]),
    (
        Mapping[str, Color],
        {
            "type": "object",
            "additionalProperties": {
                "description": "A color.",
                "type": "string",
                "enum": ["red", "blue"],
            },
        },
        [({"a": "red"}, {"a": Color.RED})],
    ),
    (
        Annotated[int, Range(0, 100), "How many."],
        {"type": "integer", "minimum": 0, "maximum": 100, "description": "How many."},
        [(7, 7)],
    ),
    (
        Annotated[int | None, Range(min=1)],
        {"type": ["integer", "null"], "minimum": 1},
        [(None, None)],
    ),
    (
        Annotated[str, Length(1, 9), Pattern("^a"), {"format": "uri"}],
        {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "format": "uri"},
        [("a", "a")],
    ),
    (
        Annotated[list[int], Length(max=3)],
        {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
        [([], [])],
    ),
    (
        Point,
        {
            "description": "A place.",
            "type": "object",
            "properties": {
                "x": {"type": "integer", "description": "How far to the right."},
                "y": {"type": "integer", "description": "How far up.", "default": 0},
            },
            "required": ["x"],
            "additionalProperties": False,
        },
        [({"x": 1}, Point(1, 0)), ({"x": 1, "y": 2}, Point(1, 2))],
    ),
    (
        Options,
        {
            "type": "object",
            "properties": {"deep": {"type": "boolean"}, "limit": {"type": "integer"}},
            "required": ["deep"],
            "additionalProperties": False,
        },
        [({"deep": True}, {"deep": True})],
    ),
    (
        Tree,
        {
            "type": "object",
            "$ref": "#/$defs/Tree",
            "$defs": {
                "Tree": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "children": {
                            "type": "array",
                            "items": {"$ref": "#/$defs/Tree"},
                            "default": [],
                        },
                    },
                    "required": ["name"],
                    "additionalProperties": False,
                }
            },
        },
        [({"name": "a", "children": [{"name": "b"}]}, Tree("a", [Tree("b")]))],
    ),
]

# hint, JSON that is not of it, and what is said about that.
MISMATCHES: list[tuple[Any, Any, str]] = [
    (str, 1, "Must be a string."),
    (int, True, "Must be an integer."),
    (int, 1.5, "Must be an integer."),
    (int, 1e300, "Must be an integer written with all of its digits."),
    (float, 10**400, "Must be a number that a float can hold."),
    (float, True, "Must be a number."),
    (bool, 0, "Must be a boolean."),
    (list[int], [1, "a"], "/1: must be an integer."),
    (tuple[int, int], [1], "Must be an array of 2 items."),
    (dict[str, Point], {"a": {"x": ""}}, "/a/x: must be an integer."),
    (Point, {}, "Must be an object with `x`."),
    (Point, {"x": 1, "z": 1}, "Must be an object without `z`."),
    (Literal[1], True, "Must be one of [1]."),
    (Color, "green", 'Must be one of ["red","blue"].'),
    (int | str, None, "Must be of one of the types that the schema lists."),
    (int | None, "a", "Must be an integer."),
]


class Hints(unittest.TestCase):
    def test_each_hint_has_its_schema_and_reads_what_matches(self) -> None:
        for hint, schema, values in TABLE:
            with self.subTest(hint=hint):
                forms = Forms(output=False)
                form = forms.of(hint)
                self.assertEqual(forms.document(form), schema)
                for json, value in values:
                    self.assertEqual(form.read(json), value)
                    self.assertIs(type(form.read(json)), type(value))

    def test_what_does_not_match_is_told_where(self) -> None:
        for hint, json, message in MISMATCHES:
            with self.subTest(hint=hint, json=json), self.assertRaises(Mismatch) as raised:
                Forms(output=False).of(hint).read(json)
            self.assertEqual(str(raised.exception), message)

    def test_a_result_has_all_of_its_fields(self) -> None:
        schema = Forms(output=True).of(Point).schema
        self.assertEqual(schema["required"], ["x", "y"])
        self.assertNotIn("default", schema["properties"]["y"])
        self.assertEqual(Forms(output=True).of(Options).schema["required"], ["deep"])

    def test_a_class_is_written_out_each_time_unless_it_holds_itself(self) -> None:
        forms = Forms(output=False)
        form = forms.of(tuple[Point, Point, Tree, Tree])
        document = forms.document(form)
        self.assertEqual(list(document["$defs"]), ["Tree"])
        self.assertEqual(document["prefixItems"][0], document["prefixItems"][1])
        self.assertEqual(document["prefixItems"][2], document["prefixItems"][3])

    def test_a_class_may_hold_itself_or_null(self) -> None:
        forms = Forms(output=False)
        form = forms.of(Chain)
        held = {"next": {"$ref": "#/$defs/ChainOrNull", "default": None}}
        chain = {"type": "object", "properties": held, "additionalProperties": False}
        self.assertEqual(
            forms.document(form)["$defs"],
            {"Chain": chain, "ChainOrNull": {**chain, "type": ["object", "null"]}},
        )
        self.assertEqual(form.read({"next": {"next": None}}), Chain(Chain(None)))

    def test_what_has_no_form_is_refused(self) -> None:
        hints: list[Any] = [
            bytes,
            complex,
            set[int],
            Callable[[], None],
            dict[int, str],
            list[bytes],
            Literal[b"a"],
            Annotated[str, Range(0, 1)],
            Annotated[int, Length(0, 1)],
        ]
        for hint in hints:
            with self.subTest(hint=hint), self.assertRaises(TypeError):
                Forms(output=False).of(hint)


if __name__ == "__main__":
    unittest.main()
