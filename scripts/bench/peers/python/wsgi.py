def application(environ, start_response):
    body = b"Hello, world!"
    start_response(
        "200 OK",
        [("Content-Type", "text/plain;charset=UTF-8"), ("Content-Length", str(len(body)))],
    )
    return [body]
