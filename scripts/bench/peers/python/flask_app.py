from flask import Flask, Response

application = Flask(__name__)


@application.get("/")
def hello():
    return Response("Hello, world!", content_type="text/plain;charset=UTF-8")
