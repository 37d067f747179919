"""The service itself, called in this process as uvicorn calls it: its middleware, routes, engine client, all of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Message

from app.api.deps import Services
from app.config import load_settings
from app.main import create_app
from app.telemetry.logs import configure_logs
from chaos.stage import Engine
from fuzz.bodies import MODEL, Request


@dataclass(slots=True)
class Response:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Door:
    """The application, as a server sees it."""

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state

    async def ask(self, request: Request) -> Response:
        """One request. The application's own errors come out as they are: a server would have made a 500 of them."""
        raw_path = quote(request.path, safe="/%", errors="surrogatepass")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(raw_path),
            "raw_path": raw_path.encode("ascii"),
            "query_string": request.query.encode(),
            "root_path": "",
            "headers": [
                (b"host", b"127.0.0.1"),
                (b"content-length", str(len(request.body)).encode()),
                *((name.encode(), value.encode("utf-8")) for name, value in request.headers.items()),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
            "state": self._state.copy(),
        }
        response = Response(0, {}, b"")
        given = False
        pieces: list[bytes] = []

        async def receive() -> Message:
            nonlocal given
            if given:
                await asyncio.Event().wait()
            given = True
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                response.status = message["status"]
                response.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
            else:
                pieces.append(message.get("body", b""))

        await self._app(scope, receive, send)
        response.body = b"".join(pieces)
        return response


@asynccontextmanager
async def serving(**settings: Any) -> AsyncGenerator[tuple[Door, Engine, dict[str, Any]], None]:
    """The open door, the engine behind it, and the OpenAPI document, while the body runs."""
    configure_logs("ERROR")
    engine = Engine(slots=64, ttft=0.0, tps=0.0, typical_chars=20)
    await engine.start()
    try:
        given = {"sglang_host": "127.0.0.1", "sglang_port": engine.port, "max_model_len": 8192, "model_name": MODEL}
        app = create_app(
            load_settings(_env_file=None, app_host="127.0.0.1", log_level="ERROR", **{**given, **settings})
        )
        async with app.router.lifespan_context(app) as state:
            services: Services = cast("Any", state)["services"]
            await services.engine.monitor.wait_ready()
            yield Door(app, dict(state or {})), engine, app.openapi()
    finally:
        await engine.kill()
