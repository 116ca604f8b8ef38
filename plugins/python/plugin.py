"""`run_python`: the interpreter is the tool."""

import reprlib
from typing import Annotated, Any, NotRequired, TypedDict

import library
import room
import snippet
import tracebacks
from bulkhead_sdk import ToolError, call, tool

library.load()

# What the host lets an error's details be, less what holds them together.
DETAILS = 7_500
# What an answer takes besides its texts.
FRAME = 200

# How a container is written of which there is no room for everything.
BRIEF = reprlib.Repr()
BRIEF.maxlevel = 4
BRIEF.maxlist = BRIEF.maxtuple = BRIEF.maxdict = BRIEF.maxset = BRIEF.maxfrozenset = 30
BRIEF.maxstring = BRIEF.maxlong = BRIEF.maxother = 200


class Ran(TypedDict):
    """What a snippet has printed, and its value."""

    stdout: Annotated[str, "What it printed."]
    result: Annotated[
        Any, "The value of the last expression, where JSON can say it without loss; else null."
    ]
    repr: NotRequired[
        Annotated[
            str, "The value as Python writes it, where JSON cannot say it, or it is too large."
        ]
    ]
    stderr: NotRequired[Annotated[str, "What it wrote to stderr, such as warnings."]]
    truncated: NotRequired[Annotated[bool, "Something was too large, and a part of it left out."]]


@tool(title="Run Python", read_only=True, idempotent=False, open_world=False)
def run_python(code: str, data: Any = None) -> Ran:
    """Runs a snippet of Python 3.14 in a sandbox, and returns what it printed and the
    value of its last expression. Use it to calculate, to work on text and data, to
    check an algorithm.

    Each call starts afresh: nothing that an earlier one defined is there. The standard
    library is, as far as it computes (json, re, datetime, decimal, statistics, csv,
    sqlite3 in memory, ...); other packages, files, network, processes and threads are
    not. An exception comes back with its traceback and with what was printed before.

    Args:
        code: The snippet. End it with an expression to get its value.
        data: Any JSON value; the snippet finds it in the variable `data`.
    """
    try:
        compiled = snippet.parse(code)
    except Exception as error:
        raise failure("SYNTAX_ERROR", error, code, {}) from None
    space = call.max_output_bytes() - FRAME
    ran = snippet.run(compiled, code, data, min(space, 1 << 20))
    if ran.error is None:
        try:
            return answer(ran, space)
        except Exception as error:  # the value's `__repr__`
            ran.error = error
    printed = {"stdout": ran.stdout.text()[0], "stderr": ran.stderr.text()[0]}
    raise failure("PYTHON_ERROR", ran.error, code, printed) from None


def answer(ran: snippet.Ran, space: int) -> Ran:
    """The answer, in at most `space` bytes: the value first, then stderr, then what was
    printed; each leaves some of it to those after it."""
    stdout, stdout_cut = ran.stdout.text()
    stderr, stderr_cut = ran.stderr.text()
    cut = stdout_cut or stderr_cut

    def take(text: str, reserved: int) -> str:
        nonlocal space, cut
        fitted = room.fit(text, space - reserved)
        cut = cut or fitted != text
        space -= room.size(fitted)
        return fitted

    out = min(room.size(stdout), space // 4)
    err = min(room.size(stderr), space // 8)
    answered: Ran = {"stdout": "", "result": None}
    if type(ran.value) is str:
        answered["result"] = take(ran.value, out + err)
    elif room.expressible(ran.value, space - out - err):
        answered["result"] = ran.value
        space -= room.size(ran.value)
    else:
        text, whole = written(ran.value, space - out - err)
        answered["repr"] = take(text, out + err)
        cut = cut or not whole
    if stderr:
        answered["stderr"] = take(stderr, out)
    answered["stdout"] = take(stdout, 0)
    if cut:
        answered["truncated"] = True
    return answered


def written(value: Any, space: int) -> tuple[str, bool]:
    """The value as Python writes it, and whether that is all of it. A container of more
    than there is space for is not written out only to be cut."""
    if isinstance(value, (list, tuple, dict, set, frozenset)) and not shallow(value, space):
        return BRIEF.repr(value), False
    return repr(value), True


def shallow(value: Any, space: int) -> bool:
    """Whether a container holds few things, and not too deep."""
    level = [value]
    for _ in range(50):
        below: list[Any] = []
        for item in level:
            if isinstance(item, (list, tuple, dict, set, frozenset)):
                if len(below) + len(item) > space:
                    return False
                below.extend(item.values() if isinstance(item, dict) else item)
        if not below:
            return True
        level = below
    return False


def failure(code: str, error: BaseException, source: str, printed: dict[str, str]) -> ToolError:
    """A snippet's exception, as its author should see it."""
    told = tracebacks.describe(error, source)
    hint = library.hint(error)
    tracebacks.release(error)
    where = "" if told.line is None else f" (line {told.line})"
    words = f"{told.type}: {told.message}" if told.message else told.type
    message = f"{room.fit(words, 700)}{where}." + (f" {hint}" if hint else "")
    details: dict[str, Any] = {
        "type": room.fit(told.type, 200),
        "message": room.fit(told.message, 1_000),
        "line": told.line,
        "traceback": room.fit(told.traceback, 3_000),
    }
    space = DETAILS - room.size(details)
    for name in ("stderr", "stdout"):
        if printed.get(name):
            # Both may be long, and the end of what was printed says the most.
            details[name] = room.fit(printed[name], min(space, space * 2 // 3 + 200))
            space -= room.size(details[name])
    return ToolError(code, message, details=details)
