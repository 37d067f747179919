"""Settings -> the parts of the service. The only place that chooses between engines."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.api.deps import Services
from app.config import Settings
from app.core.admission import Admission
from app.core.http_pool import HttpPool
from app.core.llm_engine import LLMEngine
from app.engines.base import EngineHost, RemoteHost
from app.engines.catalog import find_model
from app.engines.llamacpp import llamacpp_command
from app.engines.profiles import EMBEDDED, SGLANG, EngineProfile
from app.engines.supervisor import Supervisor
from app.tasks.chat import ChatDefaults


@dataclass(frozen=True, slots=True)
class _Engine:
    """Which engine, where, and the process to keep running for it, if it is ours."""

    host: EngineHost
    profile: EngineProfile
    model: str
    context: int
    api_key: str
    supervisor: Supervisor | None = None


@asynccontextmanager
async def running_services(settings: Settings) -> AsyncGenerator[Services, None]:
    """Open everything the API needs, the embedded engine included, and close it in reverse order.

    Does not wait for the engine: the API answers 503 with the reason until it is ready.

    Raises:
        StartupError: the embedded model is missing.
    """
    chosen = _choose(settings)
    pool = HttpPool()
    engine = LLMEngine(
        host=chosen.host,
        profile=chosen.profile,
        model=chosen.model,
        context=chosen.context,
        api_key=chosen.api_key,
        admission=Admission(settings.max_concurrency or chosen.profile.concurrency, settings.max_queue),
        pool=pool,
    )
    tasks = [asyncio.create_task(engine.monitor.run(), name="engine monitor")]
    if chosen.supervisor is not None:
        tasks.append(asyncio.create_task(chosen.supervisor.run(), name="engine supervisor"))
    try:
        yield Services(
            engine=engine,
            chat=ChatDefaults(settings.default_temperature, settings.default_max_tokens),
            request_timeout=settings.request_timeout,
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pool.close()


def _choose(settings: Settings) -> _Engine:
    if settings.engine == "sglang":
        return _Engine(
            host=RemoteHost(settings.sglang_host, settings.sglang_port),
            profile=SGLANG,
            model=settings.model_name,
            context=settings.max_model_len,
            api_key=settings.sglang_api_key.get_secret_value(),
        )
    file = find_model(settings.embedded_model, settings.models_dir)
    context = min(settings.max_model_len, file.context or settings.max_model_len)
    api_key = secrets.token_urlsafe(32)
    supervisor = Supervisor(
        llamacpp_command(
            file.path,
            context=context,
            slots=settings.max_concurrency or EMBEDDED.concurrency,
            api_key=api_key,
        )
    )
    return _Engine(
        host=supervisor, profile=EMBEDDED, model=file.name, context=context, api_key=api_key, supervisor=supervisor
    )
