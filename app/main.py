"""create_app: middleware, routers, error handlers and lifespan, put together. ``app.main:app`` is for uvicorn."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from app import __version__
from app.api import chat, feedback, health, interview, metrics, openai, report
from app.api.at_once import AtOnce
from app.api.auth import document_keys
from app.api.browsers import allow_origins
from app.api.deps import Services
from app.api.errors import install_error_handlers
from app.api.lean import FastLane
from app.api.middleware import BodyGuard, CancelOnDisconnect, RequestContext
from app.api.text_log import TextLog
from app.config import Settings, load_settings
from app.core.drain import Drain
from app.errors import StartupError
from app.telemetry.logs import configure_logs
from app.telemetry.observer import Observer
from app.wiring import running_services

_DESCRIPTION = """AI 면접을 위한 LLM 서비스: 채팅, 답변 피드백, 다음 면접 단계, 최종 리포트.

The LLM service that AI interviews run on: chat, feedback on an answer, the next interview step, the final report."""


class State(TypedDict):
    """What the lifespan hands to every request, in ``request.state``."""

    services: Services


# Metrics and spans are ours (app.telemetry); FastAPI's own cost a look at the environment for each request.
_NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, auto_configure=False)


def create_app(
    settings: Settings,
    on_ready: Callable[[], None] | None = None,
    *,
    with_engine: bool = False,
    drain: Drain | None = None,
) -> FastAPI:
    """The application.

    Args:
        settings: Read once, here and in ``wiring``.
        on_ready: Called once, when the engine can answer for the first time.
        with_engine: Start SGLang too, as a child process.
        drain: Told by the server when the process is about to end.
    """
    drain = drain or Drain()
    observer = Observer()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[State, None]:
        async with running_services(settings, drain, observer, with_engine=with_engine) as services:
            announcer = asyncio.create_task(_announce(services, on_ready)) if on_ready else None
            yield State(services=services)
            if announcer is not None:
                announcer.cancel()

    app = FastAPIOffline(
        title="LLM Service", version=__version__, description=_DESCRIPTION, lifespan=lifespan, telemetry=_NO_TELEMETRY
    )
    for module in (chat, feedback, interview, report, openai, health, metrics):
        app.include_router(module.router)
    install_error_handlers(app)
    document_keys(app)
    # The last one added is the outermost.
    app.add_middleware(BodyGuard, max_bytes=settings.max_body_bytes)
    if settings.log_text:
        app.add_middleware(TextLog)
    app.add_middleware(CancelOnDisconnect)
    allow_origins(app, settings.cors_origins)
    app.add_middleware(RequestContext, drain=drain, observer=observer)
    lean = [route for module in (chat, feedback, interview, report, openai) for route in module.router.routes]
    app.middleware_stack = FastLane(app, app.build_middleware_stack(), app.user_middleware, lean)
    if not settings.log_text:
        app.state.at_once = AtOnce.of([chat.AT_ONCE, openai.AT_ONCE], drain, observer, settings.max_body_bytes)
    return app


def outermost(app: FastAPI) -> ASGIApp:
    """What a server of ours should call: ``app`` without the two layers that only pass requests on."""
    return app.middleware_stack or app


def at_once(app: FastAPI) -> AtOnce | None:
    """What a server of ours should offer requests to before it calls ``app``."""
    return getattr(app.state, "at_once", None)


async def _announce(services: Services, on_ready: Callable[[], None]) -> None:
    await services.engine.monitor.wait_ready()
    on_ready()


def _app_for_uvicorn() -> FastAPI:
    try:
        settings = load_settings()
    except StartupError as error:
        sys.exit(f"llm-service: {error}")
    configure_logs(settings.log_level)
    return create_app(settings)


def __getattr__(name: str) -> FastAPI:
    """``app``, made when uvicorn asks for it: importing this module reads no settings."""
    if name == "app":
        return _app_for_uvicorn()
    raise AttributeError(name)
