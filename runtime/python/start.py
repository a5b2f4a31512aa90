"""Starts a Python worker: the primary runs this file, with the channel on descriptor 4."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main() -> int:
    """Runs the worker until its channel ends. Returns the exit code."""
    # Python puts the folder of this file first. The application must not find our modules there.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != HERE]
    sys.path.insert(0, HERE)
    from _edgicorn.worker import run_worker

    sys.path.remove(HERE)
    return run_worker()


if __name__ == "__main__":
    sys.exit(main())
