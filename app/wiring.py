"""Settings -> the parts of the service. The only place that chooses between engines."""

import asyncio
import ipaddress
import math
import secrets
import shlex
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from app.api.auth import Guard
from app.api.deps import Services, Timeouts
from app.config import Settings
from app.core.admission import Admission
from app.core.coalescing import Coalescer
from app.core.drain import Drain
from app.core.http_pool import HttpPool
from app.core.key_store import KeyStore
from app.core.llm_engine import LLMEngine
from app.core.quotas import Quota
from app.core.retry import RetryPolicy
from app.engines.base import EngineHost, RemoteHost
from app.engines.catalog import find_model
from app.engines.llamacpp import llamacpp_command
from app.engines.models import model_profile, model_source
from app.engines.profiles import EMBEDDED, SGLANG, EngineProfile
from app.engines.sglang import SGLangOptions, sglang_command
from app.engines.supervisor import Supervisor
from app.tasks.chat import ChatDefaults
from app.tasks.feedback import FEEDBACK
from app.tasks.interview import interview_step
from app.tasks.judging.doubt import GRAMMAR as DOUBT_GRAMMAR
from app.tasks.judging.remembered import Remembered
from app.tasks.judging.rubric import GRAMMAR as DIGIT_GRAMMAR
from app.tasks.report import REPORT
from app.tasks.structured import Policy
from app.telemetry.observer import Observer
from app.watching import watched

log = structlog.get_logger("wiring")


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
async def running_engine(
    settings: Settings, *, with_engine: bool = False, warm: bool = True
) -> AsyncGenerator[LLMEngine, None]:
    """Open the client of the engine and, if it is ours to run, the engine; close them in reverse order.

    Does not wait until the engine is ready: ``LLMEngine.monitor`` tells.

    Args:
        settings: All settings.
        with_engine: Start SGLang too, as a child process. The embedded engine always is one.
        warm: Have the grammars compiled before the engine counts as ready.

    Raises:
        StartupError: the embedded model is missing.
    """
    chosen = _choose(settings, with_engine=with_engine)
    pool = HttpPool()
    engine = LLMEngine(
        host=chosen.host,
        profile=chosen.profile,
        model=chosen.model,
        context=chosen.context,
        api_key=chosen.api_key,
        admission=Admission(
            settings.max_concurrency or chosen.profile.concurrency,
            settings.max_queue,
            max_wait=settings.max_wait or math.inf,
        ),
        pool=pool,
        grammars=_grammars(settings) if warm else (),
        retries=RetryPolicy(stall=policy_of(settings).stall),
    )
    tasks = [asyncio.create_task(engine.monitor.run(), name="engine monitor")]
    if chosen.supervisor is not None:
        tasks.append(asyncio.create_task(chosen.supervisor.run(), name="engine supervisor"))
    try:
        yield engine
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await engine.close()
        pool.close()


@asynccontextmanager
async def running_services(
    settings: Settings, drain: Drain, observer: Observer, *, with_engine: bool = False
) -> AsyncGenerator[Services, None]:
    """Open everything the API needs; see ``running_engine``.

    Raises:
        StartupError: the embedded model is missing, or the API keys cannot be read.
    """
    async with (
        _guarded(settings) as guard,
        running_engine(settings, with_engine=with_engine) as engine,
        _sharing(settings) as coalescer,
        watched(settings, observer, engine, coalescer) as registry,
    ):
        yield Services(
            engine=engine,
            chat=ChatDefaults(settings.default_temperature, settings.default_max_tokens),
            step=interview_step(settings.interview_order),
            policy=policy_of(settings),
            remembered=Remembered(settings.score_memory_seconds) if settings.score_memory_seconds else None,
            timeouts=_timeouts(settings, _profile(settings)),
            coalescer=coalescer,
            idempotency_seconds=settings.idempotency_seconds,
            guard=guard,
            drain=drain,
            observer=observer,
            registry=registry,
            started_at=int(time.time()),
        )


@asynccontextmanager
async def _guarded(settings: Settings) -> AsyncGenerator[Guard, None]:
    store = None
    if settings.api_keys or settings.api_keys_file:
        store = await asyncio.to_thread(KeyStore, settings.api_keys, settings.api_keys_file)
    elif not is_loopback(settings.app_host):
        log.warning(
            "ANYONE WHO REACHES THIS PORT MAY USE THE SERVICE: there are no API keys. Create one with "
            "`llm-service keys create`, or let only the callers' network reach it",
            host=settings.app_host,
            port=settings.app_port,
        )
    guard = Guard(
        store,
        Quota(settings.key_requests_per_minute, settings.key_tokens_per_minute, settings.key_concurrency),
        Quota(settings.requests_per_minute, settings.tokens_per_minute),
    )
    watcher = asyncio.create_task(store.watch(), name="API keys") if store else None
    try:
        yield guard
    finally:
        if watcher is not None:
            watcher.cancel()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def _sharing(settings: Settings) -> AsyncGenerator[Coalescer, None]:
    coalescer = Coalescer(settings.retry_grace_seconds)
    try:
        yield coalescer
    finally:
        await coalescer.close()


def _timeouts(settings: Settings, profile: EngineProfile) -> Timeouts:
    """Never more than REQUEST_TIMEOUT, unless a task's own setting says so."""
    usual = min(settings.request_timeout, profile.task_timeout or settings.request_timeout)
    return Timeouts(
        settings.request_timeout,
        {
            FEEDBACK.name: settings.feedback_timeout or usual,
            interview_step(settings.interview_order).name: settings.interview_timeout or usual,
            REPORT.name: settings.report_timeout or usual,
        },
    )


def _grammars(settings: Settings) -> list[str]:
    tasks = (FEEDBACK, interview_step(settings.interview_order), REPORT)
    languages = policy_of(settings).languages
    wanted = [grammar for task in tasks for language in languages for grammar in task.grammars(language)]
    return [DIGIT_GRAMMAR, DOUBT_GRAMMAR, *dict.fromkeys(wanted)]


def policy_of(settings: Settings) -> Policy:
    """What the operator decided for all tasks."""
    return Policy(settings.language, settings.stall_timeout or _profile(settings).stall, settings.pass_score)


def _profile(settings: Settings) -> EngineProfile:
    return SGLANG if settings.engine == "sglang" else EMBEDDED


def sglang_options(settings: Settings, extra: Sequence[str] = ()) -> SGLangOptions:
    """How SGLang is to be started.

    Args:
        settings: All settings.
        extra: Further flags, after those of SGLANG_ARGS.
    """
    return SGLangOptions(
        python=settings.sglang_python or sys.executable,
        model=settings.model_name,
        profile=model_profile(settings.model_name),
        device=settings.device,
        context=settings.max_model_len,
        tensor_parallel=settings.tensor_parallel_size,
        host=settings.sglang_host,
        port=settings.sglang_port,
        api_key=settings.sglang_api_key.get_secret_value(),
        max_queue=settings.sglang_max_queue,
        extra=(*shlex.split(settings.sglang_args), *extra),
    )


def _choose(settings: Settings, *, with_engine: bool) -> _Engine:
    return _sglang(settings, with_engine=with_engine) if settings.engine == "sglang" else _embedded(settings)


def _sglang(settings: Settings, *, with_engine: bool) -> _Engine:
    source = model_source(settings.model_name)
    if source != settings.model_name:
        log.warning(
            "MODEL_NAME is not on the hub; the model that is meant is used", given=settings.model_name, used=source
        )
    supervisor = Supervisor(sglang_command(sglang_options(settings))) if with_engine else None
    return _Engine(
        host=supervisor or RemoteHost(settings.sglang_host, settings.sglang_port),
        profile=SGLANG,
        model=settings.model_name,
        context=settings.max_model_len,
        api_key=settings.sglang_api_key.get_secret_value(),
        supervisor=supervisor,
    )


def _embedded(settings: Settings) -> _Engine:
    file = find_model(settings.embedded_model, settings.models_dir)
    context = min(settings.max_model_len, file.context or settings.max_model_len)
    api_key = secrets.token_urlsafe(32)
    slots = settings.max_concurrency or EMBEDDED.concurrency
    supervisor = Supervisor(llamacpp_command(file.path, context=context, slots=slots, api_key=api_key))
    return _Engine(
        host=supervisor, profile=EMBEDDED, model=file.name, context=context, api_key=api_key, supervisor=supervisor
    )
