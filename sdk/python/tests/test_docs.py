"""What is read from a docstring."""

import unittest
from dataclasses import dataclass

from bulkhead_sdk import docs


class Docstrings(unittest.TestCase):
    def test_the_arguments_are_taken_out_of_the_description(self) -> None:
        description, entries = docs.parse(
            "Counts words.\n"
            "\n"
            "Case does not matter.\n"
            "\n"
            "Args:\n"
            "    text: The text,\n"
            "        over two lines.\n"
            "    top (int): How many: at most.\n"
            "\n"
            "Returns:\n"
            "    The words."
        )
        self.assertEqual(
            description, "Counts words.\n\nCase does not matter.\n\nReturns:\n    The words."
        )
        self.assertEqual(
            entries, {"text": "The text, over two lines.", "top": "How many: at most."}
        )

    def test_a_line_that_looks_like_an_argument_outside_of_its_section_is_text(self) -> None:
        self.assertEqual(docs.parse("Note: this\nArgs are good.")[1], {})

    def test_only_what_somebody_wrote_is_a_doc(self) -> None:
        @dataclass
        class Generated:
            x: int

        class Inheriting(dict[str, int]):
            pass

        self.assertEqual(docs.own_doc(Generated), "")
        self.assertEqual(docs.own_doc(Inheriting), "")
