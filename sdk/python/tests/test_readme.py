"""The projects of the README, and the examples, as far as they need no component:
their tools do what their `examples.toml` says, and their own tests pass."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
# Makes the calls of examples.toml. What the host refuses by the schema gets through to
# the tool here, so that calls which expect that are left out.
CALLS = """
import json, tomllib
import plugin
from bulkhead_sdk import ToolError, invoke
for call in tomllib.load(open("examples.toml", "rb"))["call"]:
    if call.get("error") == "INVALID_ARGUMENTS":
        continue
    try:
        got = json.loads(invoke(call["tool"], call["arguments"]).structured)
        assert "error" not in call, call
        for key, value in call["result"].items():
            assert got[key] == value, (key, got[key], value)
    except ToolError as error:
        assert call.get("error") == error.code, (call, error)
"""


def projects() -> dict[str, dict[str, str]]:
    """The files of each project on the page."""
    found: dict[str, dict[str, str]] = {}
    page = (PACKAGE / "README.md").read_text()
    pattern = r"<!-- project: (\S+) -->|<!-- file: (\S+) -->\n```\w+\n(.*?)```"
    name = ""
    for match in re.finditer(pattern, page, re.DOTALL):
        if match[1]:
            name = match[1]
        else:
            found.setdefault(name, {})[match[2]] = match[3]
    return found


def python(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, capture_output=True)


class Readme(unittest.TestCase):
    def test_each_project_does_what_it_says(self) -> None:
        for name, files in projects().items():
            if "wit/world.wit" in files:
                continue  # There is no SDK in it, and nothing runs without a component.
            with self.subTest(name), tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                for file, text in files.items():
                    (folder / file).write_text(text)
                (folder / "bulkhead_sdk").symlink_to(PACKAGE / "bulkhead_sdk")
                python(folder, "-c", CALLS)
                if "test_plugin.py" in files:
                    python(folder, "-m", "unittest", "test_plugin")

    def test_the_complete_tool_is_short(self) -> None:
        tool = projects()["wordcount"]["plugin.py"]
        self.assertLess(len(tool.splitlines()), 15)

    def test_the_examples_do_what_they_say(self) -> None:
        for folder in (PACKAGE / "examples").iterdir():
            with self.subTest(folder.name):
                python(folder, "-B", "-c", CALLS)

    def test_all_that_is_configuration_is_toml(self) -> None:
        for name, files in projects().items():
            with self.subTest(name):
                self.assertEqual(tomllib.loads(files["plugin.toml"])["name"], name)
                self.assertTrue(json.dumps(tomllib.loads(files["examples.toml"])["call"]))


if __name__ == "__main__":
    unittest.main()
