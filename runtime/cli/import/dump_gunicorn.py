"""Evaluates a config file of Gunicorn and prints its settings as JSON.

The object has `values`, `lines` (number and text of the line of each name) and `computed` (names whose values depend on
the machine).
"""

import ast
import json
import os
import runpy
import sys
import traceback
import types

MOST_DEPTH = 20


def to_plain(value, depth=0):
    if depth > MOST_DEPTH:
        return None
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, (str, int)) or value is None:
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {str(key): to_plain(item, depth + 1) for key, item in value.items()}
    return "function" if callable(value) else None


def statements(body):
    """All statements of the module itself, also those in conditions and loops."""
    for node in body:
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from statements(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            yield from statements(handler.body)


def targets_of(node):
    if isinstance(node, ast.Assign):
        return node.targets
    if isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        return [node.target]
    return []


def depends_on_cpus(node):
    words = [part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in ast.walk(node)]
    return any("cpu" in word or word in ("cores", "sched_getaffinity") for word in words)


def find_lines(source):
    """Lines of the last assignment or definition of each name, and the names that depend on the number of CPUs."""
    texts = source.splitlines()
    lines, computed = {}, set()
    for node in statements(ast.parse(source).body):
        names = [target.id for target in targets_of(node) if isinstance(target, ast.Name)]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [node.name]
        for name in names:
            text = texts[node.lineno - 1].strip() if node.lineno <= len(texts) else ""
            lines[name] = {"line": node.lineno, "text": text}
            if getattr(node, "value", None) is not None and depends_on_cpus(node.value):
                computed.add(name)
    return lines, sorted(computed)


def describe(error, path):
    """One line: `ZeroDivisionError: division by zero (line 3)`."""
    text = traceback.format_exception_only(type(error), error)[-1].strip()
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = own[-1] if own else getattr(error, "lineno", None)
    return text if line is None else f"{text} (line {line})"


def main():
    path = os.path.abspath(sys.argv[1])
    # Prints of the file and of programs that it starts are no part of the answer.
    answer = os.fdopen(os.dup(1), "w")
    messages = os.fdopen(os.dup(2), "w")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    sys.path[:1] = [os.path.dirname(path), os.getcwd()]
    try:
        with open(path, encoding="utf-8") as file:
            source = file.read()
        names = runpy.run_path(path)
        lines, computed = find_lines(source)
    except BaseException as error:  # Also `sys.exit()`, which would look like an empty file.
        messages.write(describe(error, path) + "\n")
        messages.flush()
        os._exit(1)
    values = {
        name: to_plain(value)
        for name, value in names.items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    json.dump({"values": values, "lines": lines, "computed": computed}, answer)
    answer.flush()
    # Threads that the file has started do not keep the program.
    os._exit(0)


main()
