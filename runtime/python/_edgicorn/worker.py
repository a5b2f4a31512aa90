"""A Python worker, from its hello to the end of its channel."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import socket
import sys
from typing import Any

from . import protocol as p
from .codec import FrameReader, codec_name, make_packer, to_frame
from .compression import LEVELS, Compression
from .current import Trust
from .loading import FileSpec, LoadError, Spec, detect_kind, display, distrust_new_sources, load_application
from .logs import Log, take_over_output
from .methods import limit_methods, with_options
from .mount import depth_of

#: Signals that are meant for the primary, which then drains its workers.
_IGNORED_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2")


def run_worker() -> int:
    """Boots and serves. Returns the exit code at the end of the channel."""
    for name in _IGNORED_SIGNALS:
        # A handler, because children of the application would inherit that a signal is ignored.
        signal.signal(getattr(signal, name), lambda *_: None)
    _prepare_stacks()
    os.set_inheritable(p.CHANNEL_FD, False)
    sock = socket.socket(fileno=p.CHANNEL_FD)
    sock.setblocking(True)
    os.register_at_fork(after_in_child=sock.close)
    return _Boot(sock).run()


def _prepare_stacks() -> None:
    """Lets Python write its stacks for the primary: at a crash, and at SIGUSR1 while the worker hangs."""
    try:
        os.set_inheritable(p.STACK_FD, False)
        faulthandler.enable(file=p.STACK_FD, all_threads=True)
        faulthandler.register(signal.SIGUSR1, file=p.STACK_FD, all_threads=True)
    except (OSError, AttributeError, ValueError):
        # Without the descriptor, as when a person starts this file by hand.
        pass


class _Boot:
    """The messages of a worker before it serves."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = FrameReader()
        self._pack = make_packer()

    def run(self) -> int:
        self._send([p.WORKER_HELLO, p.VERSION])
        settings = self._receive_hello()
        if settings is None:
            return 0
        app = settings["app"]
        display.folder = app["cwd"]
        log = Log(settings)
        Trust.request_ids = settings["trustsRequestIds"]
        Compression.level = LEVELS.get(settings["compression"])
        take_over_output(log)
        try:
            os.chdir(app["dir"])
            sys.path.insert(0, app["dir"])
            distrust_new_sources()
            file = app["file"]
            spec = Spec(app["spec"]) if file is None else FileSpec(app["spec"], file, app["dir"])
            self._send([p.LOADING, spec.source(app["dir"]), "import"])
            application = load_application(spec)
            # What was imported lives as long as the worker: collections of garbage need not look at it.
            gc.collect()
            gc.freeze()
            kind = app["kind"] if app["kind"] != "auto" else detect_kind(application)
            if file is not None and file["methods"] is not None:
                application = limit_methods(application, kind, file["methods"])
            log.debug("application loaded", app=app["spec"], kind=kind, codec=codec_name)
            if kind == "asgi":
                from .asgi_worker import serve_asgi

                return serve_asgi(application, self._sock, self._reader, settings, log)
            return self._serve_wsgi(application, settings, log)
        except LoadError as error:
            self._send([p.BOOT_FAILED, {"code": "ERR_HANDLER_LOAD", "message": str(error)}])
        except OSError as error:
            text = f"Cannot load the application {app['spec']}: {error}"
            self._send([p.BOOT_FAILED, {"code": "ERR_HANDLER_LOAD", "message": text}])
        return self._await_end()

    def _serve_wsgi(self, application: Any, settings: "dict[str, Any]", log: Log) -> int:
        from .wsgi import WsgiRunner, run_threads
        from .wsgi_link import Link

        app = settings["app"]
        link = Link(self._sock, self._reader, settings, log)
        log.send_failure = lambda failure: link.send([[p.FAILED, failure]])
        runner = WsgiRunner(
            application,
            link,
            log,
            mount=app["mount"],
            depth=depth_of(app),
            threads=app["threads"],
            is_development=settings["mode"] == "development",
        )
        # A thread must not wait for slow clients: bodies wait on disk.
        limits = {"overflow": "spool", "responseOverflow": "spool"} if app["spools"] else {}
        self._send([p.READY, to_report(settings, limits, app["threads"])])
        run_threads(runner, link, app["threads"])
        link.ending.step = "exit"
        return 0

    def _send(self, message: "list[Any]") -> None:
        self._sock.sendall(to_frame(self._pack([message])))

    def _receive_hello(self) -> "dict[str, Any] | None":
        while True:
            count = self._sock.recv_into(self._reader.space())
            if count == 0:
                return None
            for messages in self._reader.filled(count):
                kind, version, settings = messages[0]
                if kind != p.HELLO or version != p.VERSION:
                    raise p.ProtocolError(f"Cannot start: found protocol version {version}, expected {p.VERSION}")
                return settings

    def _await_end(self) -> int:
        """Waits until the primary has read the reason of a failed boot, and closes the channel."""
        while True:
            count = self._sock.recv_into(self._reader.space())
            if count == 0:
                return 0
            for messages in self._reader.filled(count):
                if any(message[0] == p.DRAIN for message in messages):
                    self._send([p.DRAINED])


def to_report(settings: "dict[str, Any]", limits: "dict[str, Any]", threads: "int | None") -> "dict[str, Any]":
    """Returns the report of `ready`: the same limits for each route of the pool."""
    count = settings["app"]["routes"]
    file = settings["app"]["file"]
    methods = None if file is None else file["methods"]
    if methods is not None:
        methods = with_options(methods)
    route = {"methods": methods, "limits": limits, "methodLimits": {}}
    return {"pid": os.getpid(), "routes": [route] * count, "warnings": [], "threads": threads}
