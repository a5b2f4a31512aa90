"""Tells why a worker that drains has not ended, shortly before the primary kills it."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

from .logs import Log

#: How long before the end of the grace the line is written. It is a twentieth of a short grace.
#: The primary cuts requests off earlier: a second before the end, or a tenth of a short grace.
LAST_WORDS_SECONDS = 0.2


class Ending:
    """Watches a worker from its drain to the end of its process.

    The steps: requests, then the shutdown of a lifespan, then the exit, for which Python first waits for threads and then
    runs functions of `atexit`. A thread of its own writes the line, because each step may hold up the main thread.
    """

    def __init__(self, log: Log, count_requests: "Callable[[], int]") -> None:
        self._log = log
        self._count_requests = count_requests
        #: The present step: "requests", "lifespan" or "exit".
        self.step = "requests"
        self._changed = threading.Condition()
        self._line_at: "float | None" = None

    def begin(self, grace_ms: float) -> None:
        """Begins to watch. Once it does, only a shorter grace has an effect."""
        seconds = grace_ms / 1000
        line_at = time.monotonic() + seconds - min(LAST_WORDS_SECONDS, seconds / 20)
        with self._changed:
            before = self._line_at
            if before is not None:
                self._line_at = min(before, line_at)
                self._changed.notify()
                return
            self._line_at = line_at
        try:
            threading.Thread(target=self._watch, name="edgicorn-ending", daemon=True).start()
        except RuntimeError:
            # The system creates no more threads. The worker ends without the line.
            pass

    def _watch(self) -> None:
        with self._changed:
            while True:
                left = (self._line_at or 0.0) - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
        reason, fields = self._describe()
        self._log.error(f"worker is about to be killed at the end of its grace: {reason}", **fields)

    def _describe(self) -> "tuple[str, dict[str, Any]]":
        # Only for this line.
        from .wsgi_link import stack_of

        if self.step == "requests":
            return "requests have not ended", {"requests": self._count_requests()}
        if self.step == "lifespan":
            return "the shutdown of the lifespan has not ended", {}
        main = threading.main_thread()
        threads = [each for each in threading.enumerate() if each is not main and not each.daemon]
        if threads:
            places = [(each.name, stack_of(each.ident or 0)) for each in threads]
            shown = [f"{name} ({stack[0]})" if stack else name for name, stack in places]
            return "threads have not ended, expected daemons or threads that end", {"threads": shown}
        stack = stack_of(main.ident or 0)
        return "functions of atexit have not ended", {"stack": stack[1]} if stack else {}
