from fastapi import FastAPI
from starlette.responses import Response

application = FastAPI()


@application.get("/")
async def hello():
    return Response("Hello, world!", media_type="text/plain")
