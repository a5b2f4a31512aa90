"""The Python application of the soaks: it answers the paths that their clients request of the handlers, too."""

import ctypes
import os
import random
import time
from urllib.parse import parse_qs

TEXT = ("Content-Type", "text/plain")


def app(environ, start_response):
    view = VIEWS.get(environ["PATH_INFO"].split("/")[1], missing)
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    return view(environ, start_response, query)


def answer(start_response, body, status="200 OK"):
    start_response(status, [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def missing(environ, start_response, query):
    return answer(start_response, b"not found", "404 Not Found")


def hello(environ, start_response, query):
    return answer(start_response, b"hello")


def echo(environ, start_response, query):
    """Returns the body, behind the id of its request if it has one."""
    body = environ["wsgi.input"].read()
    if "id" not in query:
        return answer(start_response, body)
    time.sleep(random.uniform(0.001, 0.006))
    return answer(start_response, f"{query['id']};".encode() + body)


def reads(environ, start_response, query):
    size = 0
    while piece := environ["wsgi.input"].read(65_536):
        size += len(piece)
    return answer(start_response, str(size).encode())


def produces(environ, start_response, query):
    """Streams as many bytes as ordered, in pieces of the ordered size."""
    size, piece = int(query["bytes"]), int(query["piece"])
    start_response("200 OK", [TEXT])
    return (b"x" * min(piece, size - at) for at in range(0, size, piece))


def fails(environ, start_response, query):
    raise ValueError("fails")


def poison(environ, start_response, query):
    """Ends, blocks or blows up the worker."""
    how = query["how"]
    if how == "exit":
        os._exit(3)
    elif how == "abort":
        os.abort()
    elif how == "fault":
        ctypes.string_at(0)
    elif how == "bomb":
        held = []
        while True:
            held.append(bytearray(b"x" * 20_000_000))
            time.sleep(0.01)
    elif how == "loop":
        while True:
            pass
    return answer(start_response, b"harmless")


VIEWS = {"": hello, "echo": echo, "reads": reads, "produces": produces, "fails": fails, "poison": poison}
