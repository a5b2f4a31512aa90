"""A worker of Edgicorn that runs a WSGI or ASGI application. docs/protocol.md says what it speaks."""
