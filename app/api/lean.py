"""Routes on the hot path: declared and documented by FastAPI, served in one step.

FastAPI's own way costs 200 microseconds a request: routing twice, a dependency graph, exit stacks, a parsed body that
is validated as Python objects, a response that is validated again. A lean route validates the JSON it was sent, calls
its endpoint and sends the bytes it gets. Errors leave in the same shapes from the same table.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated, Any, TypeAlias, get_type_hints

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.auth import ChatRoute, TasksRoute
from app.api.client import BEGUN, CLIENT, Begun, Client
from app.api.deps import AskedTimeout, Services
from app.api.errors import error_event, error_response, http_error_response, translate, unexpected
from app.core.deadline import Deadline
from app.errors import MalformedBody, ServiceError

TIMEOUT = b"x-request-timeout"
_ASKED: TypeAdapter[float | None] = TypeAdapter(AskedTimeout)
_JSON = (b"content-type", b"application/json")
EVENTS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # proxies must not collect a stream before they pass it on
]
"""Headers of a stream."""


class Call:
    """One request to a lean route, and the way its answer takes.

    Attributes:
        services: Of this process.
        request_id: As in its log line.
        scope: What the server knows of it.
        earlier: What went wrong with a first try at its answer, if there was one.
        started: Whether the answer has begun.
        write: Sends an event of a stream that has begun, at once, if our server and its client allow; see ``Client``.
    """

    __slots__ = ("_send", "earlier", "request_id", "scope", "services", "started", "write")

    def __init__(self, scope: Scope, send: Send) -> None:
        state = scope["state"]
        self.services: Services = state["services"]
        self.request_id: str = state["request_id"]
        begun: Begun | None = state.pop(BEGUN, None)
        self.earlier = None if begun is None else begun.earlier
        self.started = False
        self.scope = scope
        self._send = send
        client: Client | None = scope.get("extensions", {}).get(CLIENT)
        self.write: Callable[[bytes], bool] = _not_at_once if client is None else client.write

    def read(self, body: bytes) -> bytes:
        """``body``, which has come. It is not kept: a stream would hold it as long as it lasts."""
        return body

    def spent(self, tokens: int) -> None:
        """Tell the caller's quota what the answer has cost."""
        self.scope["state"]["tokens_spent"] = tokens

    def deadline(self, task: str = "") -> Deadline:
        """When it must be answered, counted from its arrival.

        Args:
            task: What is asked, if it has a time of its own.

        Raises:
            InvalidField: the caller's X-Request-Timeout is none.
        """
        asked = None
        for name, value in self.scope["headers"]:
            if name == TIMEOUT:
                asked = asked_timeout(value)
        return self.services.timeouts.deadline(self.scope["state"]["arrived_at"], asked, task)

    async def answer(self, content: bytes, *more: tuple[bytes, bytes]) -> None:
        """Send ``content``, which is JSON, with ``more`` headers."""
        self.started = True
        headers = [(b"content-length", str(len(content)).encode()), _JSON, *more]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": content})

    async def stream(self, events: AsyncGenerator[bytes, None]) -> None:
        """Send server-sent events as they come. One that fails raises: ``LeanRoute`` then ends the stream."""
        send = self._send
        self.started = True
        await send({"type": "http.response.start", "status": 200, "headers": list(EVENTS)})
        async with aclosing(events):
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body"})

    async def fail(self, error: ServiceError) -> None:
        """End a stream that has begun with the one event that says why."""
        event = error_event(self.scope["path"], error, self.request_id)
        await self._send({"type": "http.response.body", "body": event})


def _not_at_once(_: bytes) -> bool:
    return False


async def _documented(asked: AskedTimeout = None) -> Call:
    """What FastAPI reads of ``Call``: the header. Lean routes make their calls themselves."""
    raise NotImplementedError(asked)


CallDep = Annotated[Call, Depends(_documented)]

Endpoint: TypeAlias = Callable[[Any, Call], Awaitable[None]]


class LeanRoute(APIRoute):
    """A POST route whose endpoint takes a validated ``body`` and a ``call`` of some kind, which it answers."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        taken = get_type_hints(endpoint)
        kind = taken.get("call")
        self.lean = isinstance(kind, type) and issubclass(kind, Call)
        if self.lean:
            self._call: type[Call] = taken["call"]
            self._model: type[BaseModel] = taken["body"]

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not self.lean or scope["method"] != "POST":
            await super().handle(scope, receive, send)
            return
        call = self._call(scope, send)
        try:
            await self.endpoint(validated(self._model, call.read(await _body(receive))), call)
        except ServiceError as error:
            if call.started:
                await call.fail(error)
                return
            response = error_response(Request(scope), error)
        except HTTPException as error:
            response = http_error_response(Request(scope), error)
        except Exception as error:  # what Starlette's outermost layer does
            if call.started:
                raise
            response = unexpected(Request(scope), error)
        else:
            return
        await response(scope, receive, send)


class ProtectedChatRoute(ChatRoute, LeanRoute):
    """A lean route of a chat: the guard first, then the endpoint."""


class ProtectedTasksRoute(TasksRoute, LeanRoute):
    """A lean route of a task: the guard first, then the endpoint."""


class FastLane:
    """Takes requests for lean routes past the router and all that FastAPI puts around it.

    What only passes a request on returns the awaitable of the next one: a coroutine around it would cost each request
    half a microsecond, and each stream 250 bytes.
    """

    def __init__(
        self, app: FastAPI, others: ASGIApp, layers: Sequence[Middleware], routes: Iterable[BaseRoute]
    ) -> None:
        """``others``: for all other requests; ``layers``: the middleware that both ways have, the outermost first."""
        self._app = app
        self._others = others
        self._routes: Mapping[str, LeanRoute] = {
            route.path: route for route in routes if isinstance(route, LeanRoute) and route.lean
        }
        self._lane: ASGIApp = self._serve
        for layer in reversed(layers):
            self._lane = layer.cls(self._lane, *layer.args, **layer.kwargs)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        scope["app"] = self._app  # the server need not go through FastAPI's own layer, which does so
        lean = scope["type"] == "http" and scope["path"] in self._routes and scope["method"] == "POST"
        return (self._lane if lean else self._others)(scope, receive, send)

    def _serve(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._routes[scope["path"]].handle(scope, receive, send)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body", False):
        return message.get("body", b"")
    parts = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def validated(model: type[BaseModel], body: bytes) -> BaseModel:
    """``body`` as ``model``.

    Raises:
        MalformedBody: not JSON.
        CallerError: its first fault, by the name of the field.
    """
    try:
        return model.__pydantic_validator__.validate_json(body)
    except ValidationError:
        return _explained(model, body)


def _explained(model: type[BaseModel], body: bytes) -> BaseModel:
    """The same once more, slowly, by a parser that tells where JSON breaks and lets the model judge surrogates."""
    if not body:
        raise translate([{"type": "missing", "loc": ("body",), "msg": ""}])
    try:
        parsed = json.loads(body)
    except json.JSONDecodeError as error:
        raise translate([{"type": "json_invalid", "loc": ("body", error.pos), "msg": ""}]) from None
    except (ValueError, RecursionError):  # not UTF-8; nested too deeply
        raise MalformedBody("body: not valid JSON. Send one JSON object.", param="body") from None
    try:
        return model.__pydantic_validator__.validate_python(parsed)
    except ValidationError as error:
        raise translate([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]) from None


def asked_timeout(header: bytes) -> float | None:
    """What a caller asks for with the header ``TIMEOUT``.

    Raises:
        InvalidField: it makes no sense.
    """
    try:
        return _ASKED.validate_python(header.decode("latin-1"))
    except ValidationError as error:
        raise translate([{**error.errors()[0], "loc": ("header", "X-Request-Timeout")}]) from None
