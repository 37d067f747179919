"""Plumbing around every request, as plain ASGI: ids and the access log, cancelling for clients that leave, body limits.

``BaseHTTPMiddleware`` is not used anywhere: it wraps ``receive``, and then nobody sees a client leave.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.browsers import FOR_PAGES, NO_SNIFFING
from app.api.client import BEGUN, CLIENT, Begun, Client
from app.api.errors import error_body, error_event
from app.core.drain import Drain
from app.errors import NotReady
from app.telemetry.observer import Observer
from app.telemetry.record import CLIENT_CLOSED_REQUEST, RequestRecord

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

_JSON = b"application/json"
SHUTTING_DOWN = NotReady("The service is shutting down. Repeat the call.", retry_after=1)


class RequestContext:
    """Gives each request an id and its time of arrival, and writes one log line when it is over."""

    def __init__(self, app: ASGIApp, drain: Drain, observer: Observer) -> None:
        self._app = app
        self._drain = drain
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        record = self._record(scope, state.get(BEGUN))
        request_id = record.id
        state.update(request_id=request_id, arrived_at=record.arrived, key_id="", key_name="")
        streaming, named = False, request_id.encode()

        async def send_with_id(message: Message) -> None:
            nonlocal streaming
            if message["type"] == "http.response.start":
                record.status = message["status"]
                kind = next((value for name, value in message.get("headers", ()) if name == b"content-type"), b"")
                headers = [*message.get("headers", ()), (b"x-request-id", named), NO_SNIFFING]
                if kind.startswith(b"text/html"):
                    headers += FOR_PAGES
                if self._drain.draining:  # whoever keeps connections goes elsewhere with the next call
                    headers = [*((n, v) for n, v in headers if n != b"connection"), (b"connection", b"close")]
                message["headers"] = headers
                streaming = kind.startswith(b"text/event-stream")
            else:
                streaming = streaming and message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            # Not the client, whose leaving CancelOnDisconnect handles: the server is shutting down and out of patience.
            if record.status == CLIENT_CLOSED_REQUEST:
                await JSONResponse(*shutting_down(request_id))(scope, receive, send_with_id)
            elif streaming:
                event = error_event(scope["path"], SHUTTING_DOWN, request_id)
                await send({"type": "http.response.body", "body": event, "more_body": False})
            if not self._drain.draining:
                raise
        finally:
            self._observer.end(record, state.get("key_name", ""))

    def _record(self, scope: Scope, begun: Begun | None) -> RequestRecord:
        if begun is None:
            return self._observer.begin(scope["path"], scope["headers"])
        begun.record.enter()
        return begun.record


def shutting_down(request_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """The answer to a request for which the server ran out of patience: its body, status and further headers."""
    return error_body(SHUTTING_DOWN, request_id), HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"}


class CancelOnDisconnect:
    """Cancels the handling of a request when its client leaves, in every phase: queued, generating, streaming.

    Starlette does this for streams only: a plain JSON handler would run to its end for nobody. Our server tells the
    task that handles the request. Under another one, a second task waits for the disconnect that follows the body, and
    the application reads the body through it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not _has_body(scope):
            await self._app(scope, receive, send)
            return
        client: Client | None = scope.get("extensions", {}).get(CLIENT)
        if client is None:
            await self._watched(scope, receive, send)
            return
        client.tell = cast("asyncio.Task[None]", asyncio.current_task()).cancel
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not client.left:
                raise  # the server is shutting down
        finally:
            client.tell = None

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Streaming responses would watch `receive` themselves up to 2.3; from 2.4 on they leave it to us.
        scope = {**scope, "asgi": {**scope["asgi"], "spec_version": "2.4"}}
        body_read = asyncio.Event()

        async def receive_body() -> Message:
            if body_read.is_set():
                await asyncio.Event().wait()  # nothing more comes; the watcher has taken over
            message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                body_read.set()
            return message

        handler = asyncio.ensure_future(self._app(scope, receive_body, send))
        watcher = asyncio.ensure_future(_disconnected(receive, body_read))
        try:
            await asyncio.wait({handler, watcher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watcher.cancel()
            handler.cancel()
            await asyncio.wait({handler, watcher})  # the place at the engine is free before anything else happens
        if not handler.cancelled():
            handler.result()


class BodyGuard:
    """Refuses bodies that are too large or not declared as JSON, before they are read or parsed.

    The refusal is raised where the application reads, so that it leaves in the shape of every other error.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        if not _has_body(scope):
            return self._app(scope, receive, send)
        headers: Headers = scope["headers"]
        left = self._max_bytes

        async def receive_checked() -> Message:
            nonlocal left
            if left == self._max_bytes:
                _check_declared(headers, self._max_bytes)
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        return self._app(scope, receive_checked, send)


def _has_body(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] not in {"GET", "HEAD", "OPTIONS"}


def _check_declared(headers: Headers, max_bytes: int) -> None:
    declared = dict(reversed(headers))  # of a header that came twice the first counts
    length = declared.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > max_bytes:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if b"content-encoding" in declared and declared[b"content-encoding"].strip().lower() != b"identity":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)  # nothing is ever unpacked
    media_type = declared.get(b"content-type", b"")
    if media_type != _JSON and media_type.partition(b";")[0].strip().lower() != _JSON:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


async def _disconnected(receive: Receive, body_read: asyncio.Event) -> None:
    """Return when the client leaves after its body has been read."""
    await body_read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass
