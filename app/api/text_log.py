"""LOG_TEXT: bodies of requests and responses in the log, for finding a fault. Installed only when that is set."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("text")

_MOST = 16_384  # bytes of each body


class TextLog:
    """Logs what callers send and get, word for word."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        log.warning("LOG_TEXT is on: candidates' words go into this log. Turn it off when the fault is found")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked, said = bytearray(), bytearray()

        async def receive_seen() -> Message:
            message = await receive()
            _add(asked, message)
            return message

        async def send_seen(message: Message) -> None:
            _add(said, message)
            await send(message)

        try:
            await self._app(scope, receive_seen, send_seen)
        finally:
            log.info("text", id=scope["state"]["request_id"], request=_text(asked), response=_text(said))


def _add(seen: bytearray, message: Message) -> None:
    seen += message.get("body", b"")[: max(0, _MOST - len(seen))]


def _text(seen: bytearray) -> str:
    return seen.decode("utf-8", "replace")
