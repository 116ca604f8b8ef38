"""What a snippet may import.

componentize-py keeps the modules that were imported when the component was built,
and no others; these are imported then, so that a snippet's `import` costs nothing.
Left out is what could only fail here (network, event loops, process pools). A snippet
that asks for it is told so by `HINTS`.
"""

import errno
import importlib
import os
from typing import Any, NoReturn

_MODULES = """
    abc argparse array ast base64 binascii bisect calendar cmath codecs collections
    collections.abc colorsys configparser contextlib contextvars copy csv dataclasses
    datetime decimal difflib dis email email.generator email.message email.parser
    email.policy email.utils enum fnmatch fractions functools getopt graphlib gzip hashlib
    heapq hmac html html.entities html.parser importlib inspect io ipaddress itertools json
    keyword linecache locale logging math numbers operator os pathlib pickle platform pprint pydoc
    queue quopri random re reprlib sched secrets shlex signal sqlite3 stat statistics string
    string.templatelib struct subprocess sys tempfile textwrap threading time timeit token
    tokenize tomllib traceback types typing unicodedata unittest urllib.parse uuid warnings
    weakref xml.etree.ElementTree xml.parsers.expat zipfile zlib
"""
# What those import late, in the middle of a function.
_LATE = "__future__ _ast_unparse _pylong _strptime _suggestions unittest._log"
_ENCODINGS = """
    ascii base64 bz2 cp1252 cp437 hex idna iso8859-1 iso8859-15 punycode quopri
    raw_unicode_escape rot13 unicode_escape utf-16 utf-16-be utf-16-le utf-32 utf-32-be
    utf-32-le utf-7 utf-8 utf-8-sig uu zlib
"""
# Calls of the system that this Python lacks. An `AttributeError` would look like a
# mistake in the snippet's spelling.
_PROCESSES = "execl execle execlp execv execve execvp fork forkpty kill posix_spawn popen system"

HINTS: dict[type[BaseException], str] = {
    ModuleNotFoundError: (
        "Here are the modules of Python's standard library that compute; no other packages, "
        "and none for network, threads or event loops."
    ),
    OSError: "There are no files, network and processes here.",
    MemoryError: "It needs more memory than a call may use.",
    OverflowError: "An object here is smaller than 2 GiB, and so is a call's memory.",
}


def load() -> None:
    """Imports all of it."""
    for name in (_MODULES + _LATE).split():
        importlib.import_module(name)
    import codecs

    for name in _ENCODINGS.split():
        try:
            codecs.lookup(name)
        except LookupError:
            pass  # A module below it is missing in this build of Python.
    for name in _PROCESSES.split():
        setattr(os, name, _no_processes)
    os._exit = _leave


def hint(error: BaseException) -> str | None:
    """What this sandbox has to do with an error; nothing for an ordinary one."""
    if isinstance(error, OverflowError) and "index-sized" not in str(error):
        return None
    return next((text for kind, text in HINTS.items() if isinstance(error, kind)), None)


def _no_processes(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOTSUP, "a snippet cannot start or signal a process")


def _leave(status: int) -> NoReturn:
    # The real one would end the sandbox, and the answer with it.
    raise SystemExit(status)
