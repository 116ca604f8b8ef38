"""From a type hint to a JSON Schema (2020-12), and to what turns the JSON that
matches it into a value of that type.

One walk over the hint makes both, so that what the schema lets through is what the
function gets. The host has checked the arguments before the plugin runs; reading
them checks their types once more, for a test has no host, but no bounds.
"""

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from . import docs, wire
from .bounds import Length, Pattern, Range

Schema = dict[str, Any]
Read = Callable[[Any], Any]

_MISSING: Any = object()
# The largest integer below which every integer has a `float` of its own.
_EXACT = 2**53
_DEFINITIONS = "#/$defs/"


class Mismatch(ValueError):
    """A JSON value that is not of the type that was hinted."""

    def __init__(self, expected: str, path: tuple[str, ...] = ()) -> None:
        where = "".join(f"/{step}" for step in path)
        super().__init__(f"{where}: must be {expected}." if where else f"Must be {expected}.")
        self.expected = expected
        self.path = path


@dataclass(frozen=True)
class Form:
    """What a hint means in JSON."""

    schema: Schema
    read: Read


@dataclass(frozen=True)
class Field:
    """One property of an object: a parameter, a dataclass's field, a dict's key."""

    name: str
    hint: Any
    doc: str = ""
    required: bool = True
    default: Any = _MISSING


class Forms:
    """Derives the forms of one document; `output` tells a result from arguments.

    The two differ in one thing: a field with a default may be absent from what a
    caller writes, and never is from what a tool writes.
    """

    def __init__(self, *, output: bool) -> None:
        self._output = output
        # The classes that are being derived, and the readers of those that are done:
        # a class that is met inside of itself is a reference.
        self._open: list[type] = []
        self._readers: dict[type, Read] = {}
        self._recursive: set[type] = set()
        self._nullable: set[str] = set()
        self._definitions: dict[str, Schema] = {}

    def document(self, form: Form) -> Schema:
        """The form's schema as a whole, with the definitions that it refers to."""
        if not self._definitions:
            return form.schema
        # MCP wants the root's type to be said there, and not by reference.
        said = {"type": "object"} if "$ref" in form.schema else {}
        # Of an object's keywords all but the type let null pass. `anyOf` would say the
        # same, but the host follows no reference through a choice into itself.
        nullable = {
            _or_null_name(name): {**self._definitions[name], "type": ["object", "null"]}
            for name in sorted(self._nullable)
        }
        return {**said, **form.schema, "$defs": {**self._definitions, **nullable}}

    def of(self, hint: Any) -> Form:
        """The form of a hint.

        Raises:
            TypeError: The hint has no form in JSON.
        """
        origin, args = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._annotated(args[0], args[1:])
        if origin in (Required, NotRequired):
            return self.of(args[0])
        if origin is Literal:
            return _choice([(value, value) for value in args])
        if origin in (Union, types.UnionType):
            return self._union(args)
        if hint in (list, Sequence) or origin in (list, Sequence):
            return self._list(args[0] if args else Any)
        if hint is tuple or origin is tuple:
            return self._tuple(args or (Any, ...))
        if hint in (dict, Mapping) or origin in (dict, Mapping):
            return self._dict(args or (str, Any))
        if hasattr(hint, "__supertype__"):  # NewType
            return self.of(hint.__supertype__)
        if hasattr(hint, "__value__"):  # type X = ...
            return self.of(hint.__value__)
        if hint in (Any, object):
            return Form({}, lambda value: value)
        if hint in _SCALARS:
            return _SCALARS[hint]
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return _enum(hint)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self._class(hint, _dataclass_fields(hint), hint)
        if typing.is_typeddict(hint):
            return self._class(hint, _typed_dict_fields(hint), dict)
        raise TypeError(
            f"{hint!r} has no form in JSON; use str, int, float, bool, list, tuple, dict, "
            "Literal, Enum, a dataclass or a TypedDict"
        )

    def object(self, fields: list[Field], make: Callable[..., Any]) -> Form:
        """A closed object with these properties, which `make` gets as keywords."""
        properties: Schema = {}
        reads: dict[str, Read] = {}
        for field in fields:
            form = self.of(field.hint)
            schema = {**form.schema}
            if field.doc and not _is_described(field.hint):
                schema["description"] = field.doc
            if field.default is not _MISSING and not self._output:
                try:
                    schema["default"] = wire.plain(field.default)
                except ValueError:
                    pass  # It has no form in JSON; that the field is optional remains.
            properties[field.name] = schema
            reads[field.name] = form.read
        required = [field.name for field in fields if field.required]
        schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        schema["additionalProperties"] = False

        def read(value: Any) -> Any:
            _expect(isinstance(value, dict), "an object")
            for name in value:
                _expect(name in reads, f"an object without `{name}`")
            for name in required:
                _expect(name in value, f"an object with `{name}`")
            return make(**{name: _at(name, reads[name], value[name]) for name in value})

        return Form(schema, read)

    def _annotated(self, hint: Any, extras: Sequence[Any]) -> Form:
        form = self.of(hint)
        schema = {**form.schema}
        for extra in extras:
            if isinstance(extra, str):
                schema["description"] = extra
            elif isinstance(extra, (Range, Length, Pattern)):
                schema.update(extra.keywords(schema))
            elif isinstance(extra, dict):  # keywords as they are
                schema.update(extra)
        return Form(schema, form.read)

    def _union(self, members: Sequence[Any]) -> Form:
        forms = [self.of(member) for member in members if member is not type(None)]
        schema: Schema = forms[0].schema if len(forms) == 1 else {"anyOf": [f.schema for f in forms]}
        if type(None) in members and "$ref" in schema:
            name = schema["$ref"].removeprefix(_DEFINITIONS)
            self._nullable.add(name)
            schema = {"$ref": _DEFINITIONS + _or_null_name(name)}
        elif type(None) in members:
            schema = _or_null(schema)

        def read(value: Any) -> Any:
            if value is None and type(None) in members:
                return None
            for form in forms:
                try:
                    return form.read(value)
                except Mismatch:
                    if len(forms) == 1:
                        raise
            raise Mismatch("of one of the types that the schema lists")

        return Form(schema, read)

    def _list(self, item: Any) -> Form:
        form = self.of(item)

        def read(value: Any) -> Any:
            _expect(isinstance(value, list), "an array")
            return [_at(index, form.read, item) for index, item in enumerate(value)]

        items = {"items": form.schema} if form.schema else {}
        return Form({"type": "array", **items}, read)

    def _tuple(self, members: Sequence[Any]) -> Form:
        if members[-1] is Ellipsis:
            form = self._list(members[0])
            return Form(form.schema, lambda value: tuple(form.read(value)))
        forms = [self.of(member) for member in members]
        count = len(forms)

        def read(value: Any) -> Any:
            _expect(isinstance(value, list) and len(value) == count, f"an array of {count} items")
            return tuple(_at(i, forms[i].read, item) for i, item in enumerate(value))

        items = [form.schema for form in forms]
        schema = {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}
        return Form(schema, read)

    def _dict(self, members: Sequence[Any]) -> Form:
        key, item = members
        if key is not str:
            raise TypeError(f"a key of a JSON object is a str, not {key!r}")
        form = self.of(item)

        def read(value: Any) -> Any:
            _expect(isinstance(value, dict), "an object")
            return {key: _at(key, form.read, item) for key, item in value.items()}

        more = {"additionalProperties": form.schema} if form.schema else {}
        return Form({"type": "object", **more}, read)

    def _class(self, cls: Any, fields: list[Field], make: Callable[..., Any]) -> Form:
        if cls in self._open or cls in self._recursive:
            self._recursive.add(cls)
            return Form({"$ref": _DEFINITIONS + cls.__name__}, lambda v: self._readers[cls](v))
        description, _ = docs.parse(docs.own_doc(cls))
        self._open.append(cls)
        form = self.object(self._sided(fields), make)
        self._open.pop()
        self._readers[cls] = form.read
        schema = {"description": description, **form.schema} if description else form.schema
        if cls not in self._recursive:
            return Form(schema, form.read)
        if cls.__name__ in self._definitions:
            raise TypeError(f"two recursive classes are named {cls.__name__}")
        self._definitions[cls.__name__] = schema
        return Form({"$ref": _DEFINITIONS + cls.__name__}, form.read)

    def _sided(self, fields: list[Field]) -> list[Field]:
        """A dataclass's defaults are for whoever writes the object."""
        if not self._output:
            return fields
        return [
            dataclasses.replace(field, required=field.required or field.default is not _MISSING)
            for field in fields
        ]


def hints_of(thing: Any) -> dict[str, Any]:
    """Its hints, with their `Annotated` parts.

    Raises:
        TypeError: A hint names what is not defined where it stands.
    """
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except NameError as error:
        raise TypeError(f"a type hint of `{thing.__name__}` cannot be resolved: {error}") from error


def _dataclass_fields(cls: Any) -> list[Field]:
    hints, (_, entries) = hints_of(cls), docs.parse(docs.own_doc(cls))
    fields = []
    for field in dataclasses.fields(cls):
        default: Any = _MISSING
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        doc = entries.get(field.name, "")
        fields.append(Field(field.name, hints[field.name], doc, default is _MISSING, default))
    return fields


def _typed_dict_fields(cls: Any) -> list[Field]:
    _, entries = docs.parse(docs.own_doc(cls))
    return [
        Field(name, hint, entries.get(name, ""), name in cls.__required_keys__)
        for name, hint in hints_of(cls).items()
    ]


def _enum(cls: type[enum.Enum]) -> Form:
    form = _choice([(member.value, member) for member in cls])
    description, _ = docs.parse(docs.own_doc(cls))
    said = {"description": description} if description else {}
    return Form({**said, **form.schema}, form.read)


def _choice(choices: list[tuple[Any, Any]]) -> Form:
    """One of these scalars, each of which stands for a member."""
    values = [value for value, _ in choices]
    names = {str: "string", int: "integer", bool: "boolean", type(None): "null"}
    kinds = {type(value) for value in values}
    for kind in kinds:
        if kind not in names:
            raise TypeError(f"a {kind.__name__} cannot be a choice; use str, int or bool")

    def read(value: Any) -> Any:
        for known, member in choices:
            if known == value and isinstance(known, bool) == isinstance(value, bool):
                return member
        raise Mismatch(f"one of {wire.dump(values)}")

    said = {"type": names[kinds.pop()]} if len(kinds) == 1 else {}
    return Form({**said, "enum": values}, read)


def _or_null_name(name: str) -> str:
    return f"{name}OrNull"


def _or_null(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    if not schema:
        return schema
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}


def _is_described(hint: Any) -> bool:
    return get_origin(hint) is Annotated and any(isinstance(a, str) for a in get_args(hint)[1:])


def _at(step: str | int, read: Read, value: Any) -> Any:
    try:
        return read(value)
    except Mismatch as mismatch:
        raise Mismatch(mismatch.expected, (str(step), *mismatch.path)) from None


def _expect(holds: bool, expected: str) -> None:
    if not holds:
        raise Mismatch(expected)


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # JSON Schema calls 2.0 an integer. Past this bound a float is no longer the
    # number that was written.
    _expect(isinstance(value, float) and value.is_integer(), "an integer")
    _expect(abs(value) <= _EXACT, "an integer written with all of its digits")
    return int(value)


def _number(value: Any) -> float:
    _expect(isinstance(value, (int, float)) and not isinstance(value, bool), "a number")
    try:
        return float(value)
    except OverflowError:
        raise Mismatch("a number that a float can hold") from None


def _instance(kind: type, expected: str) -> Read:
    def read(value: Any) -> Any:
        _expect(isinstance(value, kind), expected)
        return value

    return read


_SCALARS: dict[Any, Form] = {
    str: Form({"type": "string"}, _instance(str, "a string")),
    bool: Form({"type": "boolean"}, _instance(bool, "a boolean")),
    int: Form({"type": "integer"}, _integer),
    float: Form({"type": "number"}, _number),
    type(None): Form({"type": "null"}, _instance(type(None), "null")),
    None: Form({"type": "null"}, _instance(type(None), "null")),
}
