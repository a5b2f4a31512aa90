"""Files that the primary sends: it opens the file that the worker has open, and no byte passes through Python."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from typing import Any

from . import protocol as p


class FileWrapper:
    """`wsgi.file_wrapper`: yields a file in blocks, from where it stands, unless the primary sends it."""

    def __init__(self, file: Any, block_bytes: int = p.CHUNK_BYTES) -> None:
        self.file = file
        self._block_bytes = max(block_bytes, p.CHUNK_BYTES)
        # Werkzeug seeks to the begin of a range.
        for name in ("close", "seek", "seekable", "tell"):
            method = getattr(file, name, None)
            if method is not None:
                setattr(self, name, method)

    def __iter__(self) -> "FileWrapper":
        return self

    def __next__(self) -> bytes:
        data = self.file.read(self._block_bytes)
        if data:
            return data
        raise StopIteration


def to_handed(file: Any, length: "int | None") -> "dict[str, Any] | None":
    """Returns the bytes of a file from where it stands, for the primary; `None` if this worker must send them.

    A small file costs less as bytes in one message. A length that the file does not have is an error, which sending shows.
    """
    raw = _to_regular(file)
    if raw is None:
        return None
    try:
        if type(raw) is io.BufferedRandom:
            raw.flush()
        start = raw.tell()
        info = os.fstat(raw.fileno())
    except (OSError, ValueError):
        return None
    rest = info.st_size - start
    if length is None:
        length = rest
    if not stat.S_ISREG(info.st_mode) or length > rest or length <= p.CHUNK_BYTES:
        return None
    # The primary compares numbers of 64 bits as floats.
    return {
        "fd": raw.fileno(),
        "device": float(info.st_dev),
        "inode": float(info.st_ino),
        "start": start,
        "lengthBytes": length,
    }


def _to_regular(file: Any) -> Any:
    """Returns the file of Python's own behind known wrappers.

    Any other object may read something else than its descriptor has: `gzip.GzipFile` has the descriptor of the packed file.
    """
    for _ in range(3):
        kind = type(file)
        if kind is io.FileIO:
            return file
        if kind is io.BufferedReader or kind is io.BufferedRandom:
            return file if type(file.raw) is io.FileIO and "read" not in vars(file) else None
        if kind is tempfile._TemporaryFileWrapper or (kind.__module__, kind.__qualname__) == ("django.core.files.base", "File"):
            file = file.file
        else:
            return None
    return None
