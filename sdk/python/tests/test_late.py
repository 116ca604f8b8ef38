"""With `bulkhead_sdk.late` imported, the standard library imports nothing more in a call."""

import subprocess
import sys
import unittest
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
CALLS = """
import datetime, sys, time
from collections import Counter
import bulkhead_sdk.late

class Nothing:
    def find_spec(self, name, *_):
        raise ModuleNotFoundError(name)
# A component's modules in C are there at any time.
sys.meta_path[:] = [m for m in sys.meta_path if "Builtin" in repr(m)] + [Nothing()]
Counter("aab").most_common(1)
datetime.datetime.strptime("2026-01-01", "%Y-%m-%d")
time.strptime("2026", "%Y")
sys.set_int_max_str_digits(0)
str(10**50_000)
int("9" * 50_000)
"ä".encode("idna"), b"a".decode("utf-8-sig"), "a".encode("cp1252")
"""


class Late(unittest.TestCase):
    def test_what_is_usual_is_there(self) -> None:
        subprocess.run([sys.executable, "-c", CALLS], cwd=PACKAGE, check=True)
