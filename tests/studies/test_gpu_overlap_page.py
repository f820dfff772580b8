"""What the page on overlap says is what the program answers."""

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "gpu_overlap.md"


def test_the_examples_of_the_page_give_what_it_says():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert (result.failed, result.attempted > 3) == (0, True)


def test_the_pictures_of_the_page_are_there():
    for name in re.findall(r"\]\((images/[^)]+)\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / name).is_file()
