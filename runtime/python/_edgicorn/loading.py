"""Finds and imports an application, and says plainly why it cannot."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import os
import sys
import time
import traceback
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any, Callable, Union

from .logs import format_error, is_own_file, trim


class LoadError(Exception):
    """The application cannot be loaded. The message is for operators: a title, then lines with file and line."""


def distrust_new_sources() -> None:
    """Keeps Python from caching the bytecode of a source that was just changed.

    A cache counts as fresh while size and second of the last change are the same. A second save within that second would
    go unseen, also by later workers.
    """
    write = SourceFileLoader._cache_bytecode  # type: ignore[attr-defined]

    def write_if_old(self: Any, source_path: str, bytecode_path: str, data: bytes) -> Any:
        try:
            if time.time() - os.stat(source_path).st_mtime < _NEW_SECONDS:
                return None
        except OSError:
            pass
        return write(self, source_path, bytecode_path, data)

    SourceFileLoader._cache_bytecode = write_if_old  # type: ignore[attr-defined]


_NEW_SECONDS = 3.0


class Spec:
    """A parsed name of an application: `module`, `module:name`, `module:name.part`, `module:factory(1, debug=True)`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.module, colon, expression = text.partition(":")
        self.names: "list[str]" = []
        self.arguments: "tuple[list[Any], dict[str, Any]] | None" = None
        if self.module.endswith(".py") or "/" in self.module:
            guess = self.module[: -len(".py")] if self.module.endswith(".py") else self.module
            meant = guess.strip("./").replace("/", ".")
            raise self._refuse(f'found a file, expected a module such as "{meant}:{expression or "app"}"')
        if not all(part.isidentifier() for part in self.module.split(".")):
            raise self._refuse('expected a module, a colon and a name, such as "myapp:app"')
        if colon:
            self._parse(expression)

    def import_module(self) -> ModuleType:
        """Imports the module."""
        return importlib.import_module(self.module)

    def source(self, folder: str) -> str:
        """Returns the file of the module, relative to the folder of the application; the module if unknown."""
        path = self.module.replace(".", "/")
        for candidate in (f"{path}.py", f"{path}/__init__.py"):
            if os.path.isfile(os.path.join(folder, candidate)):
                return candidate
        return self.module

    def _parse(self, expression: str) -> None:
        try:
            node: ast.AST = ast.parse(expression.strip(), mode="eval").body
        except SyntaxError:
            raise self._refuse('expected a name or a call after the colon, such as "app" or "create_app()"') from None
        if isinstance(node, ast.Call):
            try:
                values = [ast.literal_eval(value) for value in node.args]
                named = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
            except ValueError:
                raise self._refuse("expected only plain values as arguments of the factory") from None
            self.arguments = (values, named)
            node = node.func
        while isinstance(node, ast.Attribute):
            self.names.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise self._refuse('expected a name or a call after the colon, such as "app" or "create_app()"')
        self.names.insert(0, node.id)

    def _refuse(self, text: str) -> LoadError:
        return LoadError(f"Cannot load the application {self.text}: {text}")


class FileSpec:
    """An application that is a file, whose name need not be a name of Python: `handlers/legacy/[...path].py`.

    The module is part of the package that its folder is, as seen from the folder of the application. Therefore
    `from ._models import User` and `from handlers.legacy._models import User` find the same module.
    """

    names: "list[str]" = []
    arguments = None

    def __init__(self, text: str, file: "dict[str, Any]", folder: str) -> None:
        self.text = text
        self._path: str = file["path"]
        self._folder = folder
        self._handlers: str = file["handlersDir"]
        self.module = os.path.basename(self._path)

    def import_module(self) -> ModuleType:
        """Imports the file."""
        package = self._import_package(os.path.dirname(self._path))
        name = _to_module_name(self.module[: -len(".py")])
        return _import_file(f"{package}.{name}" if package else name, self._path, None)

    def source(self, folder: str) -> str:
        """Returns the file, relative to the folder of the application."""
        return os.path.relpath(self._path, folder)

    def _import_package(self, folder: str) -> str:
        """Imports the folders from the application's down to this one. Returns the name of the last."""
        at, name = self._folder, ""
        path = os.path.relpath(folder, at)
        if path.startswith(os.pardir):
            # The handlers lie elsewhere: no other name of these modules can be imported.
            at, name, path = self._handlers, "edgicorn_handlers", os.path.relpath(folder, self._handlers)
            _import_folder(name, at)
        for part in path.split(os.sep):
            if part != os.curdir:
                at = os.path.join(at, part)
                name = f"{name}.{_to_module_name(part)}" if name else _to_module_name(part)
                _import_folder(name, at)
        return name


def _import_folder(name: str, folder: str) -> None:
    if name in sys.modules:
        return
    init = os.path.join(folder, "__init__.py")
    if os.path.isfile(init):
        _import_file(name, init, [folder])
    else:
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [folder]


def _import_file(name: str, path: str, search: "list[str] | None") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=search)
    if spec is None or spec.loader is None:
        raise ImportError(f"Cannot import {path}: expected a Python module")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _to_module_name(file_name: str) -> str:
    """A dot in a name would separate packages."""
    return file_name.replace(".", "_")


AnySpec = Union[Spec, FileSpec]


def load_application(spec: AnySpec) -> Any:
    """Imports the module and returns the application. Raises `LoadError` with everything that helps to mend it."""
    try:
        module = spec.import_module()
        found = _find(spec, module)
        if spec.arguments is not None:
            values, named = spec.arguments
            found = found(*values, **named)
    except LoadError:
        raise
    except SystemExit as error:
        raise LoadError(_describe(spec, error, f"the module ended the process: sys.exit({error.code!r})")) from error
    except BaseException as error:
        raise LoadError(_describe(spec, error, None)) from error
    if not callable(found):
        kind = type(found).__name__
        raise LoadError(
            f"Cannot load the application {spec.text}: found an object of type {kind}, expected one that can be called"
        )
    return found


def _find(spec: AnySpec, module: Any) -> Any:
    if not spec.names:
        for name in ("application", "app"):
            if hasattr(module, name):
                return getattr(module, name)
        raise LoadError(
            f"Cannot load the application {spec.text}: its module has neither application nor app, "
            + ("expected one of them" if isinstance(spec, FileSpec) else f'expected "{spec.module}:NAME"')
        )
    found = module
    for name in spec.names:
        if not hasattr(found, name):
            holder = spec.module if found is module else spec.text.rpartition(".")[0]
            callables = [each for each in vars(module) if not each.startswith("_") and _may_be_meant(getattr(module, each))]
            hint = f'; did you mean "{spec.module}:{callables[0]}"?' if len(callables) == 1 else ""
            raise LoadError(f"Cannot load the application {spec.text}: {holder} has no {name}{hint}")
        found = getattr(found, name)
    return found


def _may_be_meant(value: Any) -> bool:
    return callable(value) and not inspect.isclass(value) and not inspect.isroutine(value)


def _describe(spec: AnySpec, error: BaseException, text: "str | None") -> str:
    """Returns a title, a line `file:line: text`, the traceback and where Python looked."""
    place = place_of(error)
    what = text or f"{type(error).__name__}: {error}"
    lines = [f"Cannot load the application {spec.text}"]
    lines.append(f"{place}: {what}" if place is not None else what)
    lines.append(format_error(error).rstrip("\n"))
    if isinstance(error, ImportError):
        version = ".".join(map(str, sys.version_info[:3]))
        lines.append(f"Python is {sys.executable} ({version}), its folder {os.getcwd()}")
        lines.append(f"It looks for modules in {', '.join(path or '.' for path in sys.path)}")
    return "\n".join(lines)


def place_of(error: BaseException) -> "str | None":
    """Returns `file:line` of the innermost frame of the application; `None` where there is none."""
    if isinstance(error, SyntaxError) and error.filename is not None and error.lineno is not None:
        return f"{_display(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(trim(error.__traceback__))
    own = [frame for frame in frames if is_application_file(frame.filename)]
    if not own:
        return None
    return f"{_display(own[-1].filename)}:{own[-1].lineno}"


def _display(path: str) -> str:
    relative = os.path.relpath(path, display.folder)
    return path if relative.startswith("..") else relative


class _Display:
    #: Messages name files relative to it: the working directory of the primary.
    folder = "."


display = _Display()


def is_application_file(path: str) -> bool:
    """Tells whether a source file is the application's own, and no package and no part of Python."""
    if path.startswith("<") or is_own_file(path):
        return False
    full = os.path.abspath(path)
    if "site-packages" in full or "dist-packages" in full:
        return False
    return not full.startswith(_LIBRARY)


_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def detect_kind(application: Any) -> str:
    """Returns "asgi" for a coroutine function of three parameters, and "wsgi" for a function of two."""
    target = application
    while isinstance(target, functools.partial):
        target = target.func
    call: "Callable[..., Any]" = target if inspect.isroutine(target) else getattr(target, "__call__", target)
    if inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(call):
        return "asgi"
    try:
        parameters = inspect.signature(application).parameters.values()
    except (TypeError, ValueError):
        return "wsgi"
    needed = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is each.empty
    ]
    return "asgi" if len(needed) == 3 else "wsgi"
