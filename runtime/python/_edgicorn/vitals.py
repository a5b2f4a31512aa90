"""The worker's measurements of itself."""

from __future__ import annotations

import os
import sys

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def rss_bytes() -> int:
    """Returns the resident memory of this process, in bytes."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        pass
    try:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    except (ImportError, OSError):
        return 0


def to_vitals(utilization: float) -> "dict[str, float]":
    """Returns the vitals of a pong: docs/protocol.md."""
    return {
        # A float: JavaScript would read a whole number of 64 bits as another type.
        "rssBytes": float(rss_bytes()),
        "heapUsedBytes": 0,
        "loopUtilization": min(1.0, max(0.0, utilization)),
    }
