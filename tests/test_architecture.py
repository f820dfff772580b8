"""The house's own rules, as facts about its files."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINE = ["einsum_cascades", "arch_specs", "simulator", "studies"]
SHELL_ONLY = {"click", "matplotlib", "rich"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node.lineno


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def test_imports_go_to_the_left_only():
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {name}"
        for place, package in enumerate(LINE)
        for path in modules(package)
        for name, line in imports(path)
        if name in LINE[place + 1 :] or name == "attnsim"
    ]
    assert wrong == []


def test_the_core_neither_prints_nor_draws():
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {name}"
        for package in LINE[:-1]
        for path in modules(package)
        for name, line in imports(path)
        if name in SHELL_ONLY
    ]
    assert wrong == []


def test_modules_stay_small():
    long = {
        str(path.relative_to(ROOT)): count
        for package in LINE
        for path in modules(package)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}
