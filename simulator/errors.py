"""What can go wrong with a request, and the bodies SGLang sends for it.

```
RequestError              the request gets an error body instead of (the rest of) an answer
├── InvalidRequest        refused before dispatch: a real HTTP status, streamed or not
└── EngineAbort           ended by the scheduler: inside the HTTP 200 stream when streamed
GrammarError              a constraint does not compile; becomes an EngineAbort 400
```
"""

import json
from http import HTTPStatus


class RequestError(Exception):
    """A request that ends in an error body."""

    def __init__(self, status: int, message: str, kind: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind or _plain_type(status)


class InvalidRequest(RequestError):
    """Refused while the request was validated."""

    def __init__(self, message: str, kind: str = "BadRequestError") -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, message, kind)


class EngineAbort(RequestError):
    """Ended by the scheduler after the request was accepted."""


class GrammarError(ValueError):
    """A grammar, pattern or schema that cannot be compiled."""


def queue_full() -> EngineAbort:
    """The answer when no more requests may wait."""
    return EngineAbort(HTTPStatus.SERVICE_UNAVAILABLE, "The request queue is full.")


def evicted() -> EngineAbort:
    """The answer of a queued request that gave its place to a more urgent one."""
    return EngineAbort(HTTPStatus.SERVICE_UNAVAILABLE, "The request is aborted by a higher priority request.")


def _plain_type(status: int) -> str:
    """The `type` of a scheduler abort outside a stream: a name for 400, digits for the rest."""
    return "BadRequestError" if status == HTTPStatus.BAD_REQUEST else str(int(status))


def flat_error(status: int, message: str, kind: str) -> bytes:
    """The flat error body of the OpenAI routes."""
    body = {"object": "error", "message": message, "type": kind, "param": None, "code": int(status)}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def stream_error(status: int, message: str) -> bytes:
    """The event that carries an error inside a 200 stream (the real one is spaced and ASCII-escaped)."""
    body = {
        "object": "error",
        "message": message,
        "type": HTTPStatus(status).name,
        "param": None,
        "code": int(status),
    }
    return b"data: " + json.dumps({"error": body}).encode() + b"\n\n"


def native_stream_error(status: int, message: str) -> bytes:
    """The same for `/generate`, which has a shape of its own."""
    body = {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "code": int(status),
            "retryable": False,
        }
    }
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
