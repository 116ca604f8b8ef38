"""What answers for a snippet, where any Python can run it: `python3 -m unittest`."""

import unittest

import room
import tracebacks
from output import Captured


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


class Room(unittest.TestCase):
    def test_a_cut_text_keeps_its_ends_and_fits(self) -> None:
        for text in ("a" * 1000, "\x00" * 1000, "é" * 1000, "\\\n" * 500, "a"):
            for space in (0, 10, 60, 100, 500, 5000):
                with self.subTest(text=text[:2], space=space):
                    cut = room.fit(text, space)
                    self.assertLessEqual(room.size(cut), max(space, len('""')))
                    if cut:
                        self.assertEqual((cut[0], cut[-1]), (text[0], text[-1]))
        self.assertIn("characters left out", room.fit("a" * 1000, 200))

    def test_only_what_json_says_without_loss_is_said_in_json(self) -> None:
        for value in (None, True, 2**53, 0.5, "a", [1, (2, {"k": [None]})], [], {}, nested(40)):
            self.assertTrue(room.expressible(value, 1000), value)
        circle: list[object] = []
        circle.append(circle)
        for value in (2**60, float("nan"), {1}, {1: 1}, b"", circle, nested(10**6), range(3)):
            self.assertFalse(room.expressible(value, 1000))
        self.assertFalse(room.expressible(list(range(1000)), 1000))


class Output(unittest.TestCase):
    def test_the_beginning_and_the_end_are_kept(self) -> None:
        captured = Captured(40)
        for line in range(10_000):
            print(line, file=captured.stream)
        text, cut = captured.text()
        self.assertTrue(cut)
        self.assertTrue(text.startswith("0\n1\n2\n"))
        self.assertTrue(text.endswith("9998\n9999\n"))
        self.assertIn("bytes left out", text)

    def test_it_outlives_being_closed_and_detached(self) -> None:
        captured = Captured(40)
        captured.stream.close()
        print("more", file=captured.stream)
        captured.stream.detach()
        self.assertEqual(captured.text(), ("more\n", False))


class Tracebacks(unittest.TestCase):
    def described(self, code: str) -> tracebacks.Described:
        try:
            exec(compile(code, tracebacks.FILE, "exec"), {})
        except BaseException as error:
            return tracebacks.describe(error, code)
        raise AssertionError("it ran")

    def test_the_frames_are_those_of_the_snippet(self) -> None:
        told = self.described("import json\ndef f():\n    json.loads('{')\nf()")
        self.assertEqual((told.type, told.line), ("json.decoder.JSONDecodeError", 3))
        self.assertEqual(
            told.traceback.splitlines()[:-1],
            [
                "Traceback (most recent call last):",
                '  File "<snippet>", line 4, in <module>',
                "    f()",
                '  File "<snippet>", line 3, in f',
                "    json.loads('{')",
            ],
        )

    def test_a_chain_is_told_from_its_beginning(self) -> None:
        told = self.described(
            "try:\n  1/0\nexcept ArithmeticError as e:\n  raise KeyError(1) from e"
        )
        self.assertEqual((told.type, told.message, told.line), ("KeyError", "1", 4))
        first, second = told.traceback.split("direct cause")
        self.assertIn("ZeroDivisionError", first)
        self.assertIn("KeyError", second)

    def test_a_deep_stack_is_told_in_brief(self) -> None:
        told = self.described("def f(): f()\nf()")
        self.assertIn("more calls]", told.traceback)
        self.assertLess(len(told.traceback.splitlines()), 30)

    def test_a_syntax_error_shows_its_place(self) -> None:
        told = self.described("x = 1\nx = = 2")
        self.assertEqual((told.type, told.message, told.line), ("SyntaxError", "invalid syntax", 2))
        self.assertIn("x = = 2\n        ^", told.traceback)

    def test_an_exception_that_cannot_be_told_is_told(self) -> None:
        told = self.described("class E(Exception):\n  def __str__(self): raise E\nraise E")
        self.assertEqual((told.type, told.message), ("E", "<exception str() failed>"))


if __name__ == "__main__":
    unittest.main()
