"""Every example of docs/serving.md runs, and its figures are those of the studies."""

import doctest
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from studies.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
COMMANDS = re.findall(r"^\$ attnsim (.*)$", PAGE.read_text(encoding="utf-8"), re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: a command reads what one before it wrote."""
    made = tmp_path_factory.mktemp("page")
    (made / "results").mkdir()
    return made


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_of_the_page_runs(words: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 0, result.output


def test_the_python_of_the_page_is_right() -> None:
    assert doctest.testfile(str(PAGE), module_relative=False).failed == 0


def test_pictures_of_the_page_are_there() -> None:
    names = re.findall(r"\]\((images/[^)]*)\)", PAGE.read_text(encoding="utf-8"))
    assert names and all((PAGE.parent / name).is_file() for name in names)
