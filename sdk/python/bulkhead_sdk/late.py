"""Imports what the standard library would import in the middle of a function.

A component has the modules that were imported when it was built, and no others, so that
`Counter.most_common` would fail in a call for want of `heapq`, long after the build. An
author sees none of these names; what authors import themselves stands in their files.
"""

import codecs
import contextlib
import importlib

_MODULES = "_ast_unparse _pylong _strptime hashlib heapq"
_ENCODINGS = """
    ascii cp1252 cp437 hex idna iso8859-15 latin-1 punycode raw_unicode_escape
    unicode_escape utf-16 utf-16-be utf-16-le utf-32 utf-8-sig
"""

for _name in _MODULES.split():
    with contextlib.suppress(ModuleNotFoundError):  # another version of Python
        importlib.import_module(_name)
for _name in _ENCODINGS.split():
    codecs.lookup(_name)
