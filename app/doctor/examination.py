"""The order in which everything is looked at; what depends on something broken is left out, and said so."""

import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

import httpx2

from app.config import Settings, load_settings
from app.core.llm_engine import LLMEngine
from app.doctor import engine, generation, gpu, machine, sizes
from app.doctor.checks import Check, ok, problem, warning
from app.doctor.limits import in_thread, limited
from app.engines.catalog import MODELS
from app.engines.models import model_source
from app.errors import EngineFailure, ServiceError, StartupError
from app.wiring import running_engine

SETTINGS, START = "Settings", "Engine start"
_LOOPBACK = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}  # noqa: S104  only compared
Checks = AsyncGenerator[Check, None]


async def examine(*, embedded: bool) -> Checks:
    """Look at everything, one result at a time.

    Args:
        embedded: As if ENGINE=embedded were set.
    """
    yield machine.python_check(sys.version_info)
    try:
        settings = load_settings(engine="embedded") if embedded else load_settings()
        flags = shlex.split(settings.sglang_args)
    except (StartupError, ValueError) as error:
        for check in _wrong_settings(error):
            yield check
        return
    yield ok(SETTINGS, f"all allowed; ENGINE={settings.engine}.")
    yield await _blocking(machine.PORT, lambda: machine.port_check(settings.app_host, settings.app_port))
    if settings.engine == "sglang" and settings.sglang_host in _LOOPBACK and settings.sglang_port == settings.app_port:
        yield machine.same_port(settings.app_port)
    async for check in _embedded(settings) if settings.engine == "embedded" else _sglang(settings, flags):
        yield check


def _wrong_settings(error: Exception) -> Iterable[Check]:
    """A line for each variable that is not allowed."""
    lines = str(error).splitlines() if isinstance(error, StartupError) else [f"SGLANG_ARGS is not allowed: {error}."]
    for line in lines:
        name = line.split("=")[0].split()[0]
        yield problem(SETTINGS, line, f"Set {name} to an allowed value, in the environment or in .env, or remove it.")


async def _blocking(title: str, work: Callable[[], Check]) -> Check:
    try:
        return await limited(title, in_thread(work))
    except OSError as error:
        return problem(title, f"cannot be looked at: {error}.", "Check the path and its permissions.")


async def _sglang(settings: Settings, flags: list[str]) -> Checks:
    source = model_source(settings.model_name)
    known = await in_thread(lambda: sizes.size_of(source))
    size = sizes.with_flags(known, flags) if known else None
    async for check in _disks(settings, source, size):
        yield check
    async for check in _gpus(settings, source, size):
        yield check
    if size is not None:
        yield sizes.length_check(source, size, settings.max_model_len)
    async for check in _engine(settings):
        yield check


async def _disks(settings: Settings, source: str, size: sizes.ModelSize | None) -> Checks:
    yield await _blocking(machine.DISK, lambda: machine.service_disk_check(settings.models_dir))
    if size is None or settings.sglang_host not in _LOOPBACK:
        return
    weights = size.weights
    yield await _blocking(machine.WEIGHTS, lambda: machine.weights_disk_check(source, weights))


async def _gpus(settings: Settings, source: str, size: sizes.ModelSize | None) -> Checks:
    tensor_parallel, memory = settings.tensor_parallel_size, None
    if settings.device == "cpu":
        yield ok(gpu.GPU, "none is needed: DEVICE=cpu.")
        return
    if settings.sglang_host not in _LOOPBACK:
        yield ok(gpu.GPU, f"not looked at: SGLang runs on {settings.sglang_host}.")
    else:
        try:
            gpus = await in_thread(gpu.read_gpus)
        except gpu.NoGpuError as error:
            yield gpu.no_gpu_check(str(error))
        else:
            for check in gpu.gpu_checks(gpus, tensor_parallel):
                yield check
            memory = gpu.smallest_memory(gpus, tensor_parallel)
    if size is not None:
        yield sizes.memory_check(source, size, memory, tensor_parallel, settings.max_model_len)
        return
    yield warning(
        sizes.MEMORY,
        f"the size of {source} is not known here.",
        "Compare its weights and 2 x layers x KV heads x head_dim x 2 bytes a token with the memory of the GPUs.",
    )


async def _engine(settings: Settings) -> Checks:
    """Its address, its state and its key; without them nothing else can be asked."""
    key = settings.sglang_api_key.get_secret_value()
    info = engine.EngineInfo(settings.sglang_host, settings.sglang_port, key)
    yield (last := await limited(engine.ENGINE, engine.reachable_check(info)))
    if last.level == "ok":
        yield (last := await _asked(engine.READY, engine.ready_check(info)))
    if last.level == "ok":
        yield (last := await _asked(engine.KEY, _key(info, key_set=bool(key))))
    if last.level != "ok":
        yield _left_out("model, context, flags, thinking, cached tokens, constrained decoding, Korean, speed", last)
        return
    async for check in _served(settings, info):
        yield check
    async with running_engine(settings, warm=False) as client:
        async for check in _generations(settings, client):
            yield check


async def _key(info: engine.EngineInfo, *, key_set: bool) -> Check:
    return engine.key_check(await info.get("/v1/models"), key_set=key_set)


async def _served(settings: Settings, info: engine.EngineInfo) -> Checks:
    try:
        models, server = await info.get("/v1/models"), await info.get("/server_info")
    except httpx2.TransportError as error:
        yield _broke_off(engine.MODEL, error)
        return
    yield engine.model_check(models, settings.model_name)
    yield engine.context_check(models, settings.max_model_len)
    for check in engine.flag_checks(server, settings.sglang_max_queue):
        yield check


async def _asked(title: str, work: Awaitable[Check]) -> Check:
    try:
        return await limited(title, work)
    except httpx2.TransportError as error:
        return _broke_off(title, error)


def _broke_off(title: str, error: Exception) -> Check:
    return problem(title, f"the engine broke off ({type(error).__name__}).", "Look at the engine's log.")


def _left_out(what: str, cause: Check) -> Check:
    return warning("Not checked", f"{what}.", f"Mend this first: {cause.title}.")


async def _generations(settings: Settings, client: LLMEngine) -> Checks:
    """A few tokens, through the client that serves every request."""
    found: list[generation.Sample] = []

    async def ready() -> Check:
        await client.monitor.wait_ready()
        return ok(START, "the engine can answer.")

    async def thinking() -> Check:
        found.append(await generation.free_sample(client))
        return generation.thinking_check(found[0], client.model)

    async def cached() -> Check:
        return generation.cached_check(await generation.free_sample(client))

    last = await limited(START, ready())
    if last.level != "ok":
        last = _not_started(client)
    if last.level != "ok" or settings.engine == "embedded":
        yield last
    if last.level == "ok":
        yield (last := await _generated(generation.THINKING, thinking()))
    if last.level != "ok":
        yield _left_out("cached tokens, constrained decoding, Korean, speed", last)
        return
    yield await _generated(generation.CACHED, cached())
    yield (last := await _generated(generation.CONSTRAINED, generation.constrained_check(client)))
    if last.level == "ok":
        yield await _generated(generation.KOREAN, generation.korean_check(client))
    yield generation.speed_check(found[0], settings.default_max_tokens, settings.request_timeout)


def _not_started(client: LLMEngine) -> Check:
    return problem(
        START,
        f"the engine cannot answer in time: {client.monitor.trouble}.",
        "Look at its log (embedded: LOG_LEVEL=DEBUG llm-service serve --embedded; a smaller model starts sooner).",
    )


async def _generated(title: str, work: Awaitable[Check]) -> Check:
    try:
        return await limited(title, work)
    except EngineFailure as error:
        if title == generation.CONSTRAINED:
            return generation.constraint_ignored("the engine refuses a generation with a grammar.")
        return problem(title, str(error), "Look at the engine's log.")
    except ServiceError as error:
        return problem(title, str(error), "Run this again when the engine is less busy; its log tells more.")


async def _embedded(settings: Settings) -> Checks:
    name, folder = settings.embedded_model, settings.models_dir
    model = MODELS.get(name)
    yield machine.cores_check()
    if model is not None:
        yield await _blocking(machine.DISK, lambda: machine.download_disk_check(model, folder))
    yield (openmp := machine.openmp_check())
    yield (library := await _blocking(machine.LLAMACPP, machine.llamacpp_check))
    yield (file := await _blocking(machine.MODEL_FILE, lambda: machine.model_file_check(name, folder)))
    yield (memory := machine.memory_check(name, machine.model_bytes(name), machine.available_memory()))
    broken = next((check for check in (openmp, library, file, memory) if check.level == "problem"), None)
    if broken is not None:
        yield _left_out("a first answer, constrained decoding, Korean, speed", broken)
        return
    async with running_engine(settings, warm=False) as client:
        async for check in _generations(settings, client):
            yield check
