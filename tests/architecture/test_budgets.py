"""A file is one idea and a function one thought: 300 and 40 lines at most."""

import ast

from tests.architecture.sources import ALL, files, name_of, tree

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40


def test_no_file_is_longer_than_its_budget() -> None:
    sources = files(*ALL) + files(*ALL, suffix=".lua")
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_its_budget() -> None:
    lengths = {
        f"{name_of(path)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in files(*ALL)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def test_there_is_something_to_measure() -> None:
    assert len(files(*ALL)) > 50
