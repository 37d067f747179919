"""`/_sim/`: the switches and eyes of a test; nothing of it exists on the real engine."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError

from simulator.answer import Script
from simulator.engine import Engine
from simulator.faults import AT_ONCE, Fault, Kind
from simulator.settings import Settings
from simulator.wire import Exchange, compact

_FAULTS = TypeAdapter(list[Fault])
_FIGURES = ("running", "queued", "total", "completed", "aborted", "refused", "active")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "": lambda found, wanted: found == wanted,
    "_min": lambda found, wanted: found >= wanted,
    "_max": lambda found, wanted: found <= wanted,
}


def figures(engine: Engine) -> dict[str, int]:
    """The counters a test waits on."""
    scheduler = engine.scheduler
    return {
        "running": len(scheduler.running),
        "queued": scheduler.queued,
        "total": engine.total,
        "completed": scheduler.completed,
        "aborted": scheduler.aborted,
        "refused": scheduler.refused,
        "active": engine.active,
    }


async def state(engine: Engine, exchange: Exchange) -> None:
    """`GET /_sim/state?last=N`: figures, switches and the last requests as they arrived."""
    await exchange.respond(200, compact(_state(engine, _query(exchange))))


def _query(exchange: Exchange) -> dict[str, str]:
    return dict(parse_qsl(exchange.query))


def _state(engine: Engine, query: dict[str, str]) -> dict[str, Any]:
    last = int(query.get("last", "50"))
    records = list(engine.records)[-last:] if last else []
    return {
        **figures(engine),
        "status": engine.status.value,
        "draining": engine.draining,
        "running_rids": list(engine.scheduler.running),
        "faults": engine.faults.report(),
        "fields": dict(engine.fields),
        "settings": engine.settings.model_dump(),
        "requests": [record.report() for record in records],
    }


async def wait(engine: Engine, exchange: Exchange) -> None:
    """`GET /_sim/wait?running=1&queued_min=2&timeout=5`: answers when all conditions hold, else 408."""
    query = _query(exchange)
    seconds = float(query.pop("timeout", "10"))
    conditions = [_condition(name, float(value)) for name, value in query.items() if name != "last"]
    try:
        async with asyncio.timeout(seconds):
            while not all(holds(figures(engine)) for holds in conditions):
                await engine.scheduler.changed()
    except TimeoutError:
        await exchange.respond(408, compact(_state(engine, {"last": "0"})))
        return
    await exchange.respond(200, compact(_state(engine, {"last": "0", **query})))


def _condition(name: str, wanted: float) -> Callable[[dict[str, int]], bool]:
    figure = name.removesuffix("_min").removesuffix("_max")
    if figure not in _FIGURES:
        raise ValueError(f"no such figure: {name}")
    compare = _OPERATORS[name.removeprefix(figure)]
    return lambda found: compare(found[figure], wanted)


async def set_faults(engine: Engine, exchange: Exchange) -> None:
    """`POST /_sim/faults` with one fault or a list: replaces the switches; refuse and restart happen at once."""
    given: Any = json.loads(exchange.body)
    faults = _FAULTS.validate_python(given if isinstance(given, list) else [given])
    engine.faults.set(faults)
    await exchange.respond(200, compact({"faults": engine.faults.report()}))
    for fault in faults:
        if fault.kind in AT_ONCE:
            _act(engine, fault)


def _act(engine: Engine, fault: Fault) -> None:
    seconds = 1.0 if fault.seconds is None else fault.seconds
    if fault.kind is Kind.RESTART:
        engine.restart(seconds, fault.starting)
    else:
        engine.refuse(seconds)


async def clear_faults(engine: Engine, exchange: Exchange) -> None:
    """`DELETE /_sim/faults`."""
    engine.faults.set([])
    await exchange.respond(200, compact({"faults": []}))


async def set_settings(engine: Engine, exchange: Exchange) -> None:
    """`POST /_sim/settings` with some fields: changes the running engine."""
    changes: dict[str, Any] = json.loads(exchange.body)
    engine.use(Settings.model_validate({**engine.settings.model_dump(), **changes}))
    await exchange.respond(200, compact(engine.settings.model_dump()))


async def set_script(engine: Engine, exchange: Exchange) -> None:
    """`POST /_sim/script` with a list of answers, or an object of them by a text of the prompt; empty: no script."""
    engine.author.set_script(script_of(json.loads(exchange.body)))
    await exchange.respond(200, b"{}")


def script_of(value: Any) -> Script:
    """Answers from JSON, in a list or in an object: strings as they are, anything else as its JSON text.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, dict):
        return {text: _answer(row) for text, row in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return tuple(_answer(row) for row in cast("list[Any]", value))
    raise ValueError("a script is a list of answers, or an object of answers by a text that the prompt holds")


def _answer(row: Any) -> str:
    return row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)


async def reset(engine: Engine, exchange: Exchange) -> None:
    """`POST /_sim/reset`: aborts what runs and forgets faults, script, cache, records and figures; settings stay."""
    scheduler = engine.scheduler
    scheduler.abort("")
    engine.faults.set([])
    engine.author.set_script(())
    engine.cache.clear()
    engine.records.clear()
    engine.fields.clear()
    while scheduler.running or scheduler.queued:
        await scheduler.changed()
    scheduler.completed = scheduler.aborted = scheduler.refused = engine.total = 0
    await exchange.respond(200, compact(figures(engine)))


Handler = Callable[[Engine, Exchange], Awaitable[None]]
_ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/_sim/state"): state,
    ("GET", "/_sim/wait"): wait,
    ("POST", "/_sim/faults"): set_faults,
    ("DELETE", "/_sim/faults"): clear_faults,
    ("POST", "/_sim/settings"): set_settings,
    ("POST", "/_sim/script"): set_script,
    ("POST", "/_sim/reset"): reset,
}


async def control(engine: Engine, exchange: Exchange) -> None:
    """Serve one request under `/_sim/`."""
    handler = _ROUTES.get((exchange.method, exchange.path))
    if handler is None:
        await exchange.respond(404, b'{"detail":"Not Found"}')
        return
    try:
        await handler(engine, exchange)
    except (ValidationError, ValueError, TypeError) as error:
        await exchange.respond(422, compact({"detail": str(error)}))
