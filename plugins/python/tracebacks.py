"""Tells an exception as Python would, with the lines of the snippet alone: what lies
above them is this plugin, what lies below them is the standard library."""

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

FILE = "<snippet>"
# Frames that are told at each end of a deep stack, and exceptions of a chain.
_FRAMES = 5
_CHAIN = 4


@dataclass(frozen=True)
class Described:
    """An exception, told."""

    type: str
    message: str
    line: int | None
    """The snippet's line that it left; the innermost one."""
    traceback: str


def describe(error: BaseException, source: str) -> Described:
    """Tells an exception of this snippet."""
    lines = source.splitlines()
    parts: list[str] = []
    for cause, joint in _chain(error):
        parts.append(_told(cause, lines) + joint)
    kind, message = _named(error)
    if isinstance(error, SyntaxError):
        line = error.lineno if error.filename == FILE else None
        message = str(error.msg)
    else:
        line = None
    frames = list(_frames(error.__traceback__))
    if line is None and frames:
        line = frames[-1][0]
    return Described(kind, message, line, "".join(reversed(parts)))


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The exception and what led to it, each with what stands after it."""
    seen: set[int] = set()
    joint = ""
    for _ in range(_CHAIN):
        seen.add(id(error))
        yield error, joint
        if error.__cause__:
            before, how = error.__cause__, "The above exception was the direct cause of this one:"
        elif error.__context__ and not error.__suppress_context__:
            before, how = error.__context__, "While that was handled, another exception occurred:"
        else:
            return
        if id(before) in seen:
            return
        error, joint = before, f"\n\n{how}\n\n"


def _told(error: BaseException, lines: list[str]) -> str:
    frames = [
        f'  File "{FILE}", line {line}, in {name}\n{_source(line, lines)}'
        for line, name in _frames(error.__traceback__)
    ]
    if len(frames) > 2 * _FRAMES:
        left_out = len(frames) - 2 * _FRAMES
        frames[_FRAMES:-_FRAMES] = [f"  [{left_out} more calls]\n"]
    head = "Traceback (most recent call last):\n" if frames else ""
    return head + "".join(frames) + _last_words(error)


def _frames(trace: TracebackType | None) -> Iterator[tuple[int, str]]:
    while trace:
        code = trace.tb_frame.f_code
        if code.co_filename == FILE:
            yield trace.tb_lineno, code.co_name
        trace = trace.tb_next


def _source(line: int, lines: list[str]) -> str:
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return f"    {text}\n" if text else ""


def _named(error: BaseException) -> tuple[str, str]:
    """The type as a traceback has it, and what stands after it."""
    cls = type(error)
    kind = cls.__qualname__
    if cls.__module__ not in ("builtins", "__main__"):
        kind = f"{cls.__module__}.{kind}"
    words = _last_words(error)
    return kind, words.removeprefix(kind).removeprefix(":").strip()


def _last_words(error: BaseException) -> str:
    # With its traceback, because a NameError looks there for a similar name.
    told = traceback.TracebackException(
        type(error), error, error.__traceback__, limit=0, compact=True
    )
    return "".join(told.format_exception_only()).rstrip("\n")


def release(error: BaseException) -> None:
    """Lets go of what the frames hold, so that there is memory to answer with."""
    for _ in range(_CHAIN):
        with contextlib.suppress(RuntimeError):  # a generator that is running
            traceback.clear_frames(error.__traceback__)
        if error.__context__ is None:
            return
        error = error.__context__
