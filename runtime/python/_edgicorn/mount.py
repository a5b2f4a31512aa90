"""The part of a path below which an application answers: `SCRIPT_NAME`, `root_path`."""

from __future__ import annotations

from typing import Any


def depth_of(app: "dict[str, Any]") -> "int | None":
    """Returns how many segments of each path are the mount; `None`: the mount is the same for all paths."""
    file = app["file"]
    return None if file is None else file["depth"]


def split_mount(path: str, depth: int) -> "tuple[str, str]":
    """Splits an encoded path after so many segments: `/users/7/a` into `/users/7` and `/a`."""
    at = 0
    for _ in range(depth):
        at = path.find("/", at + 1)
        if at == -1:
            return path, ""
    return path[:at], path[at:]
