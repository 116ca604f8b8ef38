"""Runs a snippet in this interpreter, and takes the interpreter back afterwards.

The snippet shares Python with what answers for it, so it can spoil its own answer
and nobody else's: an instance serves one call. What it might change without meaning
harm is not what answers: it has builtins of its own, its trace functions are taken
out, and `sys.stdout` is put back.
"""

import ast
import builtins
import io
import linecache
import sys
import types
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

from output import Captured
from tracebacks import FILE

# Where the value of the last expression is put.
_RESULT = "__result__"
# The snippet's builtins: the same, in a module that is its own to change. Copied when
# the component is built, where it costs no call anything.
_BUILTINS = types.ModuleType("builtins", builtins.__doc__)
_BUILTINS.__dict__.update(builtins.__dict__)
_UNHOOKS = [
    partial(sys.settrace, None),
    partial(sys.setprofile, None),
    *(partial(sys.monitoring.set_events, tool, 0) for tool in range(6)),
]
# Given up when memory is exhausted, so that there is some to answer with. In the
# built component it costs nothing: it is a part of the image, and zero.
_RESERVE = [bytearray(1 << 20)]


@dataclass
class Ran:
    """What became of a snippet."""

    stdout: Captured
    stderr: Captured
    value: Any = None
    error: BaseException | None = None


def parse(code: str) -> types.CodeType:
    """The snippet, compiled.

    Raises:
        SyntaxError: It is no Python; some other exceptions mean the same.
    """
    with warnings.catch_warnings(action="ignore"):  # about an escape in a text, say
        tree = ast.parse(code, FILE)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            target = ast.copy_location(ast.Name(_RESULT, ast.Store()), last)
            tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
        return compile(tree, FILE, "exec", dont_inherit=True)


def run(compiled: types.CodeType, code: str, data: Any, space: int) -> Ran:
    """Runs it; each of its streams keeps about `space` bytes."""
    ran = Ran(Captured(space), Captured(space))
    main = types.ModuleType("__main__")
    main.__dict__.update(data=data, __builtins__=_BUILTINS)
    sys.modules.update(__main__=main, builtins=_BUILTINS)
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    sys.argv = [FILE]
    # A model that asks for a number of ten thousand digits means it; fuel bounds it.
    sys.set_int_max_str_digits(0)
    streams = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), ran.stdout.stream, ran.stderr.stream
    try:
        exec(compiled, main.__dict__)
    except BaseException as error:
        ran.error = error
    # No function of Python may be called before this: a trace function would be told.
    for unhook in _UNHOOKS:
        try:
            unhook()
        except BaseException:
            # Nothing monitors; or a profile function was told of this very call and
            # has objected, which was its end.
            pass
    sys.stdin, sys.stdout, sys.stderr = streams
    if isinstance(ran.error, MemoryError):
        _RESERVE.clear()
    if isinstance(ran.error, SystemExit) and ran.error.code in (None, 0):
        ran.error = None
    ran.value = main.__dict__.get(_RESULT)
    return ran
