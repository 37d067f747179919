"""Who may call what: API keys, scopes and quotas, checked by the route that was chosen.

The check sits on the route itself: whatever tricks a path, a Host or a method plays, the router has decided before, and
the handler that would run is the one that asks. It comes before the body is read.
"""

import math
from collections.abc import Callable, Iterable
from types import CoroutineType
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from app.api.errors import error_response
from app.core.key_store import KeyStore
from app.core.quotas import Level, Quota, Quotas, QuotaUsedUp, Visit
from app.errors import Forbidden, ServiceError, TooManyRequests, Unauthenticated
from app.schemas import keys

_LONGEST_KEY = 256
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="llm-service"'}
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}, {}]
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Only where API_KEYS or API_KEYS_FILE is set."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


class Guard:
    """Lets requests in, or not."""

    def __init__(self, store: KeyStore | None, quota: Quota, overall: Quota) -> None:
        """``store``: None leaves the service open; ``quota``: of each key that has none of its own."""
        self._store = store
        self._quota = quota
        self._quotas = Quotas(overall)
        self._counting = bool(quota) or bool(overall)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to check."""
        return self._store is None and not self._counting

    def passes(self, headers: Iterable[tuple[bytes, bytes]], needed: keys.Scope) -> str | None:
        """The name of the key that came, if it opens ``needed`` and nothing is counted; None: ``enter`` must judge."""
        if self._store is None:
            return None if self._counting else ""
        try:
            record = self._store.ring.owner(_presented(headers))
        except Unauthenticated:
            return None
        counted = self._counting or _own(record, self._quota)
        return None if counted or needed not in record.scopes else record.name

    def enter(self, scope: Scope, needed: keys.Scope) -> Visit | None:
        """Let a request in; None if nothing is counted. Tells the request's state whose it is.

        Raises:
            Unauthenticated: no live key.
            Forbidden: its scopes lack ``needed``.
            TooManyRequests: it used up what it may.
        """
        caller, quota = "", self._quota
        if self._store is not None:
            record = self._store.ring.owner(_presented(scope["headers"]))
            scope["state"].update(key_id=record.id, key_name=record.name)
            if needed not in record.scopes:
                raise Forbidden(
                    f"This API key does not open {needed}; it opens {', '.join(sorted(record.scopes))}. "
                    "Ask the service's operator for another."
                )
            caller = record.id
            if record.requests_per_minute or record.tokens_per_minute or record.concurrency:
                quota = _own(record, quota)
        if not (self._counting or quota):
            return None
        return self._quotas.enter(caller, quota, _length(scope["headers"]))


def protected(needed: keys.Scope) -> type[APIRoute]:
    """The class of routes that ask for a key with the scope ``needed``."""
    return {"tasks": TasksRoute, "chat": ChatRoute, "metrics": MetricsRoute}[needed]


class ProtectedRoute(APIRoute):
    """A route behind the guard."""

    needed: keys.Scope

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        documented: dict[str, Any] = options.pop("openapi_extra", None) or {}
        super().__init__(path, endpoint, openapi_extra={**documented, "security": _SECURITY}, **options)

    def handle(self, scope: Scope, receive: Receive, send: Send) -> "CoroutineType[Any, Any, None]":
        """Serve one request, if it may pass."""
        guard = cast("Guard", scope["state"]["services"].guard)
        if guard.idle:
            return super().handle(scope, receive, send)
        return self._guarded(guard, scope, receive, send)

    async def _guarded(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            visit = guard.enter(scope, self.needed)
        except (Unauthenticated, Forbidden, TooManyRequests) as error:
            await error_response(Request(scope), error, _headers_of(error))(scope, receive, send)
            return
        if visit is None:
            await super().handle(scope, receive, send)
            return
        try:
            await super().handle(scope, receive, _told(send, visit.levels) if visit.levels else send)
        finally:
            visit.leave(scope["state"].get("tokens_spent", 0))


class TasksRoute(ProtectedRoute):
    """For the interview tasks."""

    needed = "tasks"


class ChatRoute(ProtectedRoute):
    """For chat and the OpenAI routes."""

    needed = "chat"


class MetricsRoute(ProtectedRoute):
    """For metrics."""

    needed = "metrics"


def _headers_of(error: ServiceError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return _CHALLENGE
    if isinstance(error, QuotaUsedUp):
        return dict(zip(("RateLimit-Policy", "RateLimit"), _levels(error.levels), strict=True))
    return {}


def _presented(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The one key that came, or None.

    Raises:
        Unauthenticated: several different ones came, or something that cannot be one.
    """
    found: set[bytes] = set()
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() == b"bearer":
                found.add(rest.strip())
        elif name == b"x-api-key":
            found.add(value.strip())
    if not found:
        return None
    if len(found) > 1:
        raise Unauthenticated("Several different API keys came with the request. Send one.")
    (key,) = found
    if len(key) > _LONGEST_KEY or not key.isascii():
        raise Unauthenticated("What was sent as an API key is none. Send it exactly as it was printed.")
    return key.decode("ascii")


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Bytes that the body is declared to have; 0 if it is not told beforehand."""
    declared = next((value for name, value in headers if name == b"content-length"), b"0")
    return int(declared) if declared.isdigit() and len(declared) < 16 else 0  # noqa: PLR2004  digits of any size


def _own(record: keys.KeyRecord, usual: Quota) -> Quota:
    return Quota(
        record.requests_per_minute or usual.requests,
        record.tokens_per_minute or usual.tokens,
        record.concurrency or usual.concurrency,
    )


def _told(send: Send, levels: list[Level]) -> Send:
    """``send``, with the caller's levels in the headers (draft-ietf-httpapi-ratelimit-headers)."""
    policy, state = _levels(levels)

    async def send_told(message: Message) -> None:
        if message["type"] == "http.response.start":
            told = [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]
            message["headers"] = [*message.get("headers", ()), *told]
        await send(message)

    return send_told


def _levels(levels: list[Level]) -> tuple[str, str]:
    policy = ", ".join(f'"{level.name}";q={level.quota};w=60' for level in levels)
    state = ", ".join(f'"{level.name}";r={level.remaining};t={math.ceil(level.reset)}' for level in levels)
    return policy, state


def document_keys(app: FastAPI) -> None:
    """Have the OpenAPI document of ``app`` say how keys are sent."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        schema["components"]["securitySchemes"] = _SCHEMES
        return schema

    app.openapi = openapi
