"""Kinds and bounds of the channel's messages: docs/protocol.md, runtime/channel/messages.ts."""

VERSION = 2

# To the worker.
HELLO = 0
REQUEST = 1
REQUEST_CHUNK = 2
REQUEST_END = 3
ABORT = 4
RESPONSE_CREDIT = 5
DRAIN = 6
PING = 7
PROBE = 8
FILE_TAKEN = 9
SOCKET_MESSAGE = 65
SOCKET_CLOSED = 66
SOCKET_FORGET = 67
SOCKET_BUFFERED = 68
SOCKET_OPENED = 69
SOCKET_FLUSHED = 70

# To the primary.
WORKER_HELLO = 16
READY = 17
BOOT_FAILED = 18
RESPONSE = 19
RESPONSE_CHUNK = 20
RESPONSE_END = 21
RESPONSE_ABORT = 22
REQUEST_CREDIT = 23
DRAINED = 24
SETTLED = 25
PONG = 26
PROBED = 27
LOADING = 28
RETURNED = 29
RESPONSE_FILE = 30
FAILED = 40
RESPONSE_SOCKET = 80
SOCKET_ACTS = 81

# First elements of acts on WebSockets.
ACT_SEND = 0
ACT_CLOSE = 1
ACT_CONFIRM = 6
ACT_FLUSH = 8

# Elements of a request.
ID = 1
PARAMS = 3
METHOD = 4
URL = 5
FIELDS = 6
CLIENT_ADDRESS = 7
TIMEOUT_MS = 8
BODY = 9

#: Descriptor of the channel.
CHANNEL_FD = 4
#: Descriptor to which Python writes its stacks, at SIGUSR1 and at a crash.
STACK_FD = 3

#: Longest chunk of a body, and longest body that travels whole.
CHUNK_BYTES = 64 * 1024
#: Bytes of a request body that the primary sends before the worker grants more.
REQUEST_CREDIT_BYTES = 128 * 1024
#: Longest head of a response, in characters.
MAX_RESPONSE_HEAD = 1024 * 1024
#: Longest message of a WebSocket, in bytes.
MAX_SOCKET_MESSAGE_BYTES = 8 * 1024 * 1024


class ChannelEnded(Exception):
    """The primary closed the channel, or is gone."""


class ProtocolError(Exception):
    """The primary sent a message that this worker does not know."""
