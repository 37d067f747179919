"""What Python alone costs: uvicorn and a connection to the engine, and nothing of a service between them.

Nobody is checked, admitted, counted or logged, nothing is understood or bounded; bytes go through. It is no peer but
the floor under this service: whatever costs less than this cannot be reached with this server and this client.
"""

import os
from typing import Any

from app.core.http_pool import HttpPool, Response
from app.engines.base import Address

_HEADERS = {"content-type": "application/json"}
_host, _, _port = os.environ["ENGINE_URL"].removeprefix("http://").partition(":")
_engine = Address(_host, int(_port))
_pool = HttpPool()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Pass a request on, and its answer back."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    async with _pool.exchange("POST", _engine, scope["path"], headers=_HEADERS, body=body) as response:
        if b'"stream":true' in body.replace(b" ", b""):
            await _events(response, send)
            return
        answer = await response.read()
    headers = [(b"content-length", b"%d" % len(answer)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _events(response: Response, send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    async for chunk in response.chunks():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body"})
