"""The channel of a worker whose requests run in threads (WSGI).

One thread at a time reads: it *leads*. An application thread that has nothing to do leads. When it has read a request, it
gives the lead to the next idle thread and runs the request itself, so that a request changes no thread. While all
application threads work, a thread of the link's own leads, so that pings, aborts and credit are seen.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
import traceback
from collections import deque
from typing import Any, Callable

from . import protocol as p
from .codec import FrameReader, make_packer, to_frame
from .current import to_current, to_request_id
from .ending import Ending
from .logs import Log, is_own_file
from .vitals import to_vitals

#: Time between looks of the link's own thread whether all application threads work; the shorter one while requests come.
LOOK_SECONDS = 0.2
LOOK_OFTEN_SECONDS = 0.04

#: Requests that wait behind ones that have run for so long go back to the primary.
RETURN_AFTER_SECONDS = 0.03

#: While requests take less time, several answers leave in one frame.
QUICK_SECONDS = 0.0015

#: Most answers in one frame, and the longest that the first one waits for the others.
MOST_ANSWERS = 16
FLUSH_SECONDS = 0.002


class Exchange:
    """One request, from its arrival until its thread is free again."""

    __slots__ = (
        "message",
        "id",
        "aborted",
        "started_at",
        "began_answer",
        "was_told",
        "chunks",
        "chunks_ended",
        "credit",
        "signal",
        "file_taken",
    )

    def __init__(self, message: "list[Any]", credit: int) -> None:
        self.message = message
        self.id = message[p.ID]
        #: Why the primary aborted it; `None`: it did not.
        self.aborted: "str | None" = None
        self.started_at = 0.0
        self.began_answer = False
        #: The log has the stack of its thread.
        self.was_told = False
        #: Pieces of a request body that follows the request; `None`: it came whole.
        self.chunks: "deque[bytes] | None" = deque() if message[p.BODY] is True else None
        self.chunks_ended = False
        #: Bytes of the response that may be sent.
        self.credit = credit
        #: Set when something arrived that its thread may wait for; made by the first wait.
        self.signal: "threading.Event | None" = None
        #: Whether the primary sends the file that it was given; `None`: it has not said.
        self.file_taken: "bool | None" = None


class Slot:
    """One application thread, and the exchange that it runs."""

    __slots__ = ("exchange", "ident", "pack", "answers", "answered_at", "lock")

    def __init__(self) -> None:
        self.exchange: "Exchange | None" = None
        self.ident = 0
        self.pack: "Callable[[Any], bytes]" = make_packer()
        #: Answers that have not left, and when the first of them was ready.
        self.answers: "list[Any]" = []
        self.answered_at = 0.0
        #: Held by the thread that changes `answers` or packs.
        self.lock = threading.Lock()


class Link:
    """Reads the channel by turns of its threads, and writes to it from any thread."""

    def __init__(self, sock: socket.socket, reader: FrameReader, settings: "dict[str, Any]", log: Log) -> None:
        self._sock = sock
        self._reader = reader
        self._log = log
        self._prefix = settings["requestIdPrefix"]
        self._credit_bytes = settings["responseCreditBytes"]
        self._writing = threading.Lock()
        self._pack = make_packer()
        self._packing = threading.Lock()
        self._lead = threading.Lock()
        self._own_thread_leads = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._requests: "deque[Exchange]" = deque()
        #: Requests whose abort the primary has not sent, by number.
        self._exchanges: "dict[Any, Exchange]" = {}
        #: Exchanges whose threads wait for a message and do not lead.
        self._waiting: "dict[Exchange, None]" = {}
        self._ended = False
        self._draining = False
        self._drained = False
        self.slots: "list[Slot]" = []
        self.ending = Ending(log, lambda: sum(slot.exchange is not None for slot in self.slots))
        self._busy_seconds = 0.0
        self._measured_at = time.monotonic()
        #: Moving average of the time that a request takes.
        self._request_seconds = 1.0
        self._has_traffic = False

    # Application threads.

    def next_request(self, slot: Slot) -> "Exchange | None":
        """Waits for a request and gives it to the slot. Returns `None` at the end of the channel."""
        lead = self._lead
        requests = self._requests
        while True:
            if slot.answers and not requests:
                self.flush(slot)
            self._take_lead()
            try:
                while not requests and not self._ended:
                    self._read()
                if not requests:
                    return None
                exchange = requests.popleft()
                exchange.started_at = time.monotonic()
                slot.exchange = exchange
                return exchange
            finally:
                lead.release()
                if self._waiting:
                    self._wake_waiting()

    def finish(self, slot: Slot) -> None:
        """The slot's thread is free again. An exchange that was aborted is settled now, because its thread was not free before."""
        exchange = slot.exchange
        if exchange is None:
            return
        slot.exchange = None
        took = time.monotonic() - exchange.started_at
        self._busy_seconds += took
        self._request_seconds += (took - self._request_seconds) / 16
        self._has_traffic = True
        if self._exchanges.pop(exchange.id, None) is None:
            self.send([[p.SETTLED, exchange.id]])
        if self._draining:
            self._finish_drain()

    def wait_for(self, exchange: Exchange, is_ready: "Callable[[], bool]") -> None:
        """Waits until the condition holds, which messages of this exchange change. Leads meanwhile, if no other thread does.

        Raises `ChannelEnded` at the end of the channel.
        """
        lead = self._lead
        while not is_ready():
            if self._ended:
                raise p.ChannelEnded
            if self._acquire_lead():
                try:
                    if not is_ready() and not self._ended:
                        self._read()
                finally:
                    lead.release()
                    if self._waiting:
                        self._wake_waiting()
                continue
            signal = exchange.signal
            if signal is None:
                signal = exchange.signal = threading.Event()
            signal.clear()
            self._waiting[exchange] = None
            if not is_ready():
                # The leader may have left between the attempt above and this line.
                signal.wait(LOOK_SECONDS)
            self._waiting.pop(exchange, None)

    def send_answer(self, slot: Slot, message: "list[Any]") -> None:
        """Sends a whole answer, together with the next ones where those take hardly any time."""
        with slot.lock:
            answers = slot.answers
            answers.append(message)
            if self._requests and self._request_seconds < QUICK_SECONDS and len(answers) < MOST_ANSWERS:
                if len(answers) == 1:
                    slot.answered_at = time.monotonic()
                    return
                if time.monotonic() - slot.answered_at < FLUSH_SECONDS:
                    return
            slot.answers = []
            try:
                payload = slot.pack(answers)
            except UnicodeEncodeError:
                # The last one is wrong. The others are another client's.
                slot.answers = answers[:-1]
                raise
        self.send_packed(payload)

    def flush(self, slot: Slot) -> None:
        """Sends the answers that have not left."""
        with slot.lock:
            answers = slot.answers
            if not answers:
                return
            slot.answers = []
            payload = slot.pack(answers)
        self.send_packed(payload)

    def send(self, messages: "list[Any]") -> None:
        """Sends messages as one frame. Only code without a slot needs it: a slot has a packer of its own."""
        with self._packing:
            payload = self._pack(messages)
        self.send_packed(payload)

    def send_packed(self, payload: bytes) -> None:
        """Sends a packed array of messages. Raises `ChannelEnded` when the primary is gone."""
        frame = to_frame(payload)
        try:
            with self._writing:
                self._sock.sendall(frame)
        except OSError as error:
            self._ended = True
            raise p.ChannelEnded from error

    # The link's own thread.

    def start_own_thread(self) -> None:
        """Starts the thread that leads while all application threads work."""
        threading.Thread(target=self._lead_when_busy, name="edgicorn-link", daemon=True).start()

    def _lead_when_busy(self) -> None:
        while not self._ended:
            time.sleep(LOOK_OFTEN_SECONDS if self._has_traffic else LOOK_SECONDS)
            self._has_traffic = False
            try:
                for slot in self.slots:
                    if slot.answers:
                        self.flush(slot)
                self._tell_overdue()
                if self._plays_dead():
                    continue
                self._own_thread_leads = True
                if not self._lead.acquire(False):
                    continue
                try:
                    self._read_until_woken()
                finally:
                    self._lead.release()
                    if self._waiting:
                        self._wake_waiting()
            except p.ChannelEnded:
                break
            except Exception as error:
                self._log.failure("the worker's own thread failed: bug", error)
            finally:
                self._own_thread_leads = False
        # The primary is gone, or has closed the channel. Threads that work would keep the process alive.
        if any(slot.exchange is not None for slot in self.slots):
            os._exit(0)

    def _read_until_woken(self) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        self._return_requests()
        while not self._ended:
            seconds = LOOK_OFTEN_SECONDS if self._requests else LOOK_SECONDS
            ready = {fd for fd, _ in poll.poll(seconds * 1000)}
            if self._wake_read in ready:
                os.read(self._wake_read, 64)
                return
            if ready:
                self._read()
            if self._requests and any(slot.exchange is None for slot in self.slots):
                return
            self._return_requests()
            self._tell_overdue()
            if self._plays_dead():
                return

    def _return_requests(self) -> None:
        """Gives back requests that no thread comes to, because all run slow ones. Only the thread that leads may call it."""
        if not self._requests:
            return
        begun = time.monotonic() - RETURN_AFTER_SECONDS
        for slot in self.slots:
            exchange = slot.exchange
            if exchange is None or exchange.started_at > begun:
                return
        returned = []
        for exchange in [each for each in self._requests if each.chunks is None]:
            self._requests.remove(exchange)
            self._exchanges.pop(exchange.id, None)
            returned.append([p.RETURNED, exchange.id])
        if returned:
            self.send(returned)

    def _take_lead(self) -> None:
        lead = self._lead
        if lead.acquire(False):
            return
        if self._own_thread_leads:
            self._wake_own_thread()
        lead.acquire()

    def _acquire_lead(self) -> bool:
        """Tries to lead. An application thread that leads keeps the lead, the link's own thread gives it up."""
        lead = self._lead
        if lead.acquire(False):
            return True
        if not self._own_thread_leads:
            return False
        self._wake_own_thread()
        return lead.acquire(True, LOOK_SECONDS / 4)

    def _wake_own_thread(self) -> None:
        try:
            os.write(self._wake_write, b"w")
        except OSError:
            # The pipe is full: the thread will wake up.
            pass

    def _wake_waiting(self) -> None:
        for exchange in list(self._waiting):
            signal = exchange.signal
            if signal is not None:
                signal.set()

    # Threads that are stuck.

    def _tell_overdue(self) -> None:
        """Writes the stack of each thread that works on a request whose time is over, once."""
        now = time.monotonic()
        for slot in self.slots:
            exchange = slot.exchange
            if exchange is None or exchange.was_told or not is_overdue(exchange, now):
                continue
            exchange.was_told = True
            stack = stack_of(slot.ident)
            if stack:
                place, lines = stack
                self._log.warn(
                    "request still runs after its time was over",
                    requestId=to_request_id(self._prefix, to_current(exchange.message)),
                    method=exchange.message[p.METHOD],
                    path=path_of(exchange.message[p.URL]),
                    forMs=round((now - exchange.started_at) * 1000),
                    blockedAt=place,
                    stack=lines,
                )

    def _plays_dead(self) -> bool:
        """Tells whether all threads work on requests whose time is over.

        The worker is then of no use. It answers no pings any more, and `hangTimeout` ends it, unless a thread becomes free.
        """
        now = time.monotonic()
        for slot in self.slots:
            exchange = slot.exchange
            if exchange is None or not is_overdue(exchange, now):
                return False
        return bool(self.slots)

    # Reading.

    def _read(self) -> None:
        """Reads once and carries out what came. Only the thread that leads may call it."""
        try:
            count = self._sock.recv_into(self._reader.space())
        except OSError:
            count = 0
        if count == 0:
            self._end()
            return
        for messages in self._reader.filled(count):
            for message in messages:
                self._receive(message)

    def _receive(self, message: "list[Any]") -> None:
        kind = message[0]
        if kind == p.REQUEST:
            exchange = Exchange(message, self._credit_bytes)
            self._exchanges[exchange.id] = exchange
            self._requests.append(exchange)
        elif kind == p.RESPONSE_CREDIT:
            exchange = self._exchanges.get(message[1])
            if exchange is not None:
                exchange.credit += message[2]
                self._wake(exchange)
        elif kind == p.REQUEST_CHUNK:
            exchange = self._exchanges.get(message[1])
            if exchange is not None and exchange.chunks is not None:
                exchange.chunks.append(message[2])
                self._wake(exchange)
        elif kind == p.REQUEST_END:
            exchange = self._exchanges.get(message[1])
            if exchange is not None:
                exchange.chunks_ended = True
                self._wake(exchange)
        elif kind == p.FILE_TAKEN:
            exchange = self._exchanges.get(message[1])
            if exchange is not None:
                exchange.file_taken = message[2]
                self._wake(exchange)
        elif kind == p.ABORT:
            self._abort(message[1], message[2])
        elif kind == p.PING:
            self.send([[p.PONG, message[1], to_vitals(self._utilization())]])
        elif kind == p.PROBE:
            self.send([[p.PROBED, message[1]]])
        elif kind == p.DRAIN:
            self._draining = True
            self.ending.begin(message[1])
            self._finish_drain()
        else:
            raise p.ProtocolError(f"Cannot read a message of kind {kind!r}")

    def _abort(self, number: Any, reason: str) -> None:
        # Removing it decides between this thread and `finish`: the one that finds it gone tells the primary.
        exchange = self._exchanges.pop(number, None)
        if exchange is None:
            self.send([[p.SETTLED, number]])
            return
        exchange.aborted = reason
        if exchange in self._requests:
            self._requests.remove(exchange)
            self.send([[p.SETTLED, number]])
            return
        self._wake(exchange)

    def _wake(self, exchange: Exchange) -> None:
        signal = exchange.signal
        if signal is not None:
            signal.set()

    def _finish_drain(self) -> None:
        if self._drained or self._exchanges or any(slot.exchange is not None for slot in self.slots):
            return
        self._drained = True
        self.send([[p.DRAINED]])

    def _end(self) -> None:
        self._ended = True
        self._wake_waiting()

    def _utilization(self) -> float:
        """Returns the share of its time for which the average thread has worked since the last call."""
        now = time.monotonic()
        busy = self._busy_seconds
        self._busy_seconds = 0.0
        since = self._measured_at
        self._measured_at = now
        for slot in self.slots:
            exchange = slot.exchange
            if exchange is not None:
                busy += now - max(since, exchange.started_at)
        span = (now - since) * max(1, len(self.slots))
        return busy / span if span > 0 else 0.0


def is_overdue(exchange: Exchange, now: float) -> bool:
    """Tells whether no client waits for this request any more, and its timeout is over."""
    if exchange.aborted is None:
        return False
    if exchange.aborted == "deadline" or exchange.began_answer:
        return True
    timeout = exchange.message[p.TIMEOUT_MS] / 1000
    return now - exchange.started_at >= timeout


def path_of(url: str) -> str:
    """Returns the path of an absolute URL, without the query, which may hold secrets."""
    rest = url.partition("://")[2].partition("?")[0]
    at = rest.find("/")
    return rest[at:] if at != -1 else "/"


def stack_of(thread: int) -> "tuple[str, list[str]] | None":
    """Returns the innermost place of a thread in the application, and the stack, innermost first."""
    # The module's only way to another thread's stack.
    frame = sys._current_frames().get(thread)
    if frame is None:
        return None
    frames = [each for each in traceback.extract_stack(frame) if not is_own_file(each.filename)]
    lines = [f"{each.name} ({each.filename}:{each.lineno})" for each in reversed(frames)]
    if not lines:
        return None
    from .loading import is_application_file

    own = [each for each in reversed(frames) if is_application_file(each.filename)] or frames[-1:]
    return f"{own[0].filename}:{own[0].lineno}", lines[:20]
