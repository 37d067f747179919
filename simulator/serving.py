"""One generation from arrival to its last byte, whatever the route."""

import asyncio
from typing import Protocol

from simulator.engine import Engine
from simulator.errors import EngineAbort, RequestError
from simulator.faults import Fault, Kind
from simulator.planning import Order, Run, Sample, plan
from simulator.scheduler import Cut, Job
from simulator.wire import DONE, ConnectionBrokenError, Exchange

_TIMED_OUT = "Request running timeout reached."
_BROKEN = "\ufffd"  # stands for a broken byte until the bytes are written


class Form(Protocol):
    """How a route writes what the engine made."""

    def opening(self, run: Run, sample: Sample) -> bytes:
        """What comes before the first text of an answer."""
        ...

    def delta(self, run: Run, sample: Sample, text: str, start: int, end: int) -> bytes:
        """The event of tokens `start` to `end`."""
        ...

    def closing(self, run: Run, sample: Sample) -> bytes:
        """The event that tells how an answer ended."""
        ...

    def tail(self, run: Run) -> bytes:
        """What comes between the last answer and [DONE]."""
        ...

    def whole(self, run: Run) -> bytes:
        """The plain response."""
        ...

    def error(self, error: RequestError) -> bytes:
        """The body of an error response."""
        ...

    def error_event(self, error: RequestError) -> bytes:
        """An error inside a stream."""
        ...


class _SilentEndError(Exception):
    """The stream ends cleanly and says nothing of an end."""


async def serve(engine: Engine, exchange: Exchange, order: Order, form: Form) -> None:
    """Run an order and write its answer."""
    faults = order.faults
    if (fault := faults.get(Kind.RESET)) and not fault.tokens:
        exchange.close(reset=True)
        await exchange.gone()
        return
    job = Job(order.rid, order.priority, 0)
    watcher = asyncio.create_task(_watch(engine, exchange, job, stream=order.stream))
    failure: RequestError | None = None
    try:
        await _generate(engine, exchange, order, job, form)
    except RequestError as error:
        failure = error
        await _fail(exchange, order, error, form)
    except ConnectionBrokenError:
        job.end(Cut.GONE)
        await exchange.gone()
    except _SilentEndError:
        await exchange.finish()
    finally:
        watcher.cancel()
        engine.scheduler.leave(job, failure)


async def _watch(engine: Engine, exchange: Exchange, job: Job, *, stream: bool) -> None:
    """Cut the job when the client leaves: at once in a stream, at the next look otherwise."""
    await exchange.gone()
    if not stream:
        period = engine.settings.disconnect_poll
        waited = asyncio.get_running_loop().time() - job.arrived
        await asyncio.sleep(period - waited % period)
    job.end(Cut.GONE)


async def _fail(exchange: Exchange, order: Order, error: RequestError, form: Form) -> None:
    """Write an error where the request is by now: a status, or an event inside the 200."""
    if exchange.status is None and not (order.stream and isinstance(error, EngineAbort)):
        await exchange.respond(error.status, form.error(error))
        return
    if exchange.status is None:
        await exchange.start_stream()
    await exchange.write(form.error_event(error))
    if Kind.NO_DONE not in order.faults:
        await exchange.write(DONE)
    await exchange.finish()


async def _generate(engine: Engine, exchange: Exchange, order: Order, job: Job, form: Form) -> None:
    if fault := order.faults.get(Kind.STATUS):
        kind = "InternalServerError" if fault.status == 500 else str(fault.status)  # noqa: PLR2004  HTTP
        raise RequestError(fault.status, fault.message or _status_text(fault.status), kind)
    run = plan(engine, order, job)
    await engine.scheduler.enter(job)
    _prefill(engine, run)
    if (fault := order.faults.get(Kind.HANG)) is not None:
        await _stop_clock(run, fault.seconds)
    if order.stream:
        await _stream(engine, exchange, run, form)
    else:
        await _plain(exchange, run, form)
    _count(engine, run)


def _status_text(status: int) -> str:
    return {500: "Internal server error: ", 502: "Bad Gateway", 503: "The request queue is full."}.get(status, "")


def _prefill(engine: Engine, run: Run) -> None:
    """Look the prompt up in the cache and set the clock of the tokens."""
    settings, count = engine.settings, len(run.prompt_pieces)
    if settings.prefix_cache:
        run.cached = engine.cache.cached_tokens(run.order.prompt, run.prompt_pieces)
        engine.cache.add(run.order.prompt, count)
    work = (count - run.cached) / settings.prefill_tps if settings.prefill_tps else 0.0
    run.first_at = run.job.started + settings.ttft + work
    run.interval = 1.0 / settings.tps if settings.tps else 0.0


async def _stop_clock(run: Run, seconds: float | None) -> None:
    """Nothing happens for a while; what was due later is due that much later."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    await run.job.pause(None if seconds is None else before + seconds)
    run.first_at += loop.time() - before


async def _stream(engine: Engine, exchange: Exchange, run: Run, form: Form) -> None:
    """Write the answer as it comes, one event a token (or as many as the settings say)."""
    job, step, faulty = run.job, engine.settings.tokens_per_chunk, bool(run.order.faults)
    await job.pause(run.first_at)
    if job.cut is Cut.GONE:
        return
    await _open_stream(exchange, run, form)
    sent, longest = 0, run.longest
    while sent < longest:
        if sent:
            await job.pause(run.due(sent))
        if faulty:
            await _strike(exchange, run, form, sent)
        if job.cut:
            break
        for sample in run.samples:
            if text := "".join(sample.pieces[sent : sent + step]):
                await exchange.write(form.delta(run, sample, text, sent, sent + step))
        sent += step
    await _close_stream(exchange, run, form, sent)


async def _open_stream(exchange: Exchange, run: Run, form: Form) -> None:
    """Send the headers, which the engine holds back until the first token is there."""
    fault = run.order.faults.get(Kind.ERROR_EVENT)
    if fault and not fault.tokens:
        raise EngineAbort(fault.status, fault.message or _TIMED_OUT)
    await exchange.start_stream()
    _slow_down(exchange, run)
    for sample in run.samples:
        if opening := form.opening(run, sample):
            await exchange.write(opening)


async def _close_stream(exchange: Exchange, run: Run, form: Form, sent: int) -> None:
    job, faults = run.job, run.order.faults
    if not job.cut:
        await job.pause(run.due(run.longest + max(sample.extra for sample in run.samples) - 1))
        await _strike(exchange, run, form, 1 << 30)
    if job.cut is Cut.GONE:
        return
    for sample in run.samples:
        if job.cut:
            sample.abort(sent)
        await exchange.write(form.closing(run, sample))
    if tail := form.tail(run):
        await exchange.write(tail)
    if Kind.NO_DONE not in faults:
        await exchange.write(DONE)
    await exchange.finish()


def _slow_down(exchange: Exchange, run: Run) -> None:
    if fault := run.order.faults.get(Kind.DRIP):
        exchange.drip_seconds = 0.01 if fault.seconds is None else fault.seconds


def _reached(run: Run, kind: Kind, sent: int) -> Fault | None:
    """A fault of this kind whose token has come, once."""
    fault = run.order.faults.get(kind)
    if fault is None or kind in run.spent or sent < fault.tokens:
        return None
    run.spent.add(kind)
    return fault


async def _strike(exchange: Exchange, run: Run, form: Form, sent: int) -> None:
    """Let the faults happen whose token has come."""
    if fault := _reached(run, Kind.STALL, sent):
        await _stop_clock(run, fault.seconds)
    if _reached(run, Kind.INVALID_UTF8, sent):
        broken = form.delta(run, run.samples[0], _BROKEN, sent, sent)
        await exchange.write(broken.replace(_BROKEN.encode(), b"\xff"))
    if _reached(run, Kind.ABORT, sent):
        run.job.end(Cut.ABORTED)
    if fault := _reached(run, Kind.ERROR_EVENT, sent):
        raise EngineAbort(fault.status, fault.message or _TIMED_OUT)
    if _reached(run, Kind.SILENT_END, sent):
        raise _SilentEndError
    cut = run.order.faults.get(Kind.TRUNCATE)
    broken_off = cut is not None and cut.how == "drop" and sent >= run.longest
    for kind in (Kind.RESET, Kind.DROP):
        if _reached(run, kind, sent) or broken_off:
            exchange.close(reset=kind is Kind.RESET and not broken_off)
            raise ConnectionBrokenError


async def _plain(exchange: Exchange, run: Run, form: Form) -> None:
    """Write the answer when all of it is there."""
    job, faults = run.job, run.order.faults
    if fault := faults.get(Kind.STALL):
        await job.pause(run.due(fault.tokens))
        await _stop_clock(run, fault.seconds)
    if fault := faults.get(Kind.ABORT):
        await job.pause(run.due(fault.tokens))
        job.end(Cut.ABORTED)
    await job.pause(run.due(max(sample.tokens for sample in run.samples) - 1))
    if job.cut is Cut.GONE:
        return
    if job.cut:
        passed = asyncio.get_running_loop().time() - run.first_at
        done = int(passed / run.interval) + 1 if run.interval and passed >= 0 else 0
        for sample in run.samples:
            sample.abort(done)
    if fault := faults.get(Kind.ERROR_EVENT):
        raise EngineAbort(fault.status, fault.message or _TIMED_OUT)
    await _send_plain(exchange, run, form)


async def _send_plain(exchange: Exchange, run: Run, form: Form) -> None:
    faults = run.order.faults
    _slow_down(exchange, run)
    if Kind.RESET in faults:
        exchange.close(reset=True)
        raise ConnectionBrokenError
    if Kind.INVALID_UTF8 in faults:
        run.samples[0].pieces.append(_BROKEN)
    body = form.whole(run).replace(_BROKEN.encode(), b"\xff" * len(_BROKEN.encode()))
    cut = faults.get(Kind.TRUNCATE)
    if Kind.DROP in faults or (cut and cut.how == "drop"):
        await exchange.start(
            200, [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
        )
        await exchange.write(body[: len(body) // 2])
        exchange.close(reset=False)
        raise ConnectionBrokenError
    await exchange.respond(200, body)


def _count(engine: Engine, run: Run) -> None:
    """Put a finished run into the figures."""
    metrics, order = engine.metrics, run.order
    now = asyncio.get_running_loop().time()
    labels = metrics.by_stream(stream=order.stream)
    tokens = sum(sample.tokens for sample in run.samples)
    metrics.add("prompt_tokens_total", labels, len(run.prompt_pieces))
    metrics.add("generation_tokens_total", labels, tokens)
    metrics.add("num_requests_total", labels)
    metrics.add("cached_tokens_total", metrics.by_source(), run.cached)
    if order.constraint is not None:
        metrics.add("num_so_requests_total", metrics.by_model())
    if run.job.cut:
        metrics.add("num_aborted_requests_total", metrics.by_model())
        return
    metrics.observe("time_to_first_token_seconds", labels, max(0.0, run.first_at - run.job.arrived))
    metrics.observe("e2e_request_latency_seconds", labels, now - run.job.arrived)
    metrics.observe("queue_time_seconds", metrics.by_rank(), run.job.started - run.job.arrived)
    if tokens > 1:
        gap = max(0.0, now - run.first_at) / (tokens - 1)
        metrics.observe("inter_token_latency_seconds", metrics.by_model(), gap, tokens - 1)
