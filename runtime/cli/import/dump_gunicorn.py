"""Evaluates a config file of Gunicorn and prints its settings as JSON: {"values": {...}, "lines": {...}}."""

import ast
import io
import json
import os
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout


def to_plain(value):
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, (list, tuple, set)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    return None


def find_lines(source):
    """Line of the last assignment or definition of each name at the top level."""
    lines = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines[node.name] = node.lineno
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in targets:
            if isinstance(target, ast.Name):
                lines[target.id] = node.lineno
    return lines


def main():
    path = os.path.abspath(sys.argv[1])
    with open(path, encoding="utf-8") as file:
        source = file.read()
    sys.path.insert(0, os.path.dirname(path))
    # What the file prints is no part of the answer.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        names = runpy.run_path(path)
    lines = find_lines(source)
    values = {
        name: "function" if callable(value) else to_plain(value)
        for name, value in names.items()
        if name in lines and not name.startswith("_")
    }
    functions = [name for name, value in names.items() if name in lines and callable(value)]
    print(json.dumps({"values": values, "lines": lines, "functions": functions}))


main()
