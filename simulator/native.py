"""`POST /generate`: the engine's own route."""

import time
from uuid import uuid4

from simulator.answer import Constraint
from simulator.engine import Engine
from simulator.errors import RequestError, flat_error, native_stream_error
from simulator.planning import Order, Run, Sample
from simulator.serving import serve
from simulator.tokens import token_id
from simulator.validation import NativeBody, NativeSampling, check_sampling, parse_body, parse_json
from simulator.wire import Exchange, compact


async def generate(engine: Engine, exchange: Exchange) -> None:
    """Generate from a text."""
    raw = parse_json(exchange.path, exchange.body, exchange.header("content-type"))
    body = parse_body(NativeBody, exchange.path, raw)
    sampling = body.sampling_params
    check_sampling(sampling.model_copy(update={"max_tokens": sampling.max_new_tokens}))
    order = Order(
        prompt=_prompt(body),
        model=engine.settings.model_id,
        rid=body.rid or uuid4().hex,
        stream=body.stream,
        limit=sampling.max_new_tokens,
        stop=sampling.stop,
        priority=body.priority,
        constraint=_constraint(sampling),
        ignore_eos=sampling.ignore_eos,
    )
    order.faults = engine.faults.draw(exchange.path, exchange.body, stream=body.stream)
    await serve(engine, exchange, order, NativeForm())


def _prompt(body: NativeBody) -> str:
    if body.input_ids is not None:
        return " ".join(map(str, body.input_ids))
    return body.text if isinstance(body.text, str) else " ".join(body.text or [])


def _constraint(sampling: NativeSampling) -> Constraint | None:
    if sampling.json_schema is not None:
        return Constraint("json", sampling.json_schema)
    if sampling.regex is not None:
        return Constraint("regex", sampling.regex)
    return Constraint("ebnf", sampling.ebnf) if sampling.ebnf is not None else None


class NativeForm:
    """The shapes of `/generate`; its events hold the whole text so far."""

    def opening(self, run: Run, sample: Sample) -> bytes:
        """Nothing."""
        del run, sample
        return b""

    def delta(self, run: Run, sample: Sample, text: str, start: int, end: int) -> bytes:
        """The text so far."""
        if start == end:  # a text that no token made
            return b"data: " + compact({"text": text}) + b"\n\n"
        if end >= len(sample.pieces) and sample.finish == "length":
            return b""  # the closing event is the one of the last token
        body = _body(run, sample, end, None)
        if start == 0:
            body["meta_info"]["response_sent_to_client_ts"] = time.time()
        return b"data: " + compact(body) + b"\n\n"

    def closing(self, run: Run, sample: Sample) -> bytes:
        """The last event, with the finish reason."""
        return b"data: " + compact(_final(run, sample)) + b"\n\n"

    def tail(self, run: Run) -> bytes:
        """Nothing."""
        del run
        return b""

    def whole(self, run: Run) -> bytes:
        """The plain response."""
        return compact(_final(run, run.samples[0]))

    def error(self, error: RequestError) -> bytes:
        """The error body: the framework's errors are flat, the route's own are not."""
        if error.kind == "BadRequestError":
            return compact({"error": {"message": error.message}})
        return flat_error(error.status, error.message, error.kind)

    def error_event(self, error: RequestError) -> bytes:
        """An error inside the stream."""
        return native_stream_error(error.status, error.message)


def _final(run: Run, sample: Sample) -> dict[str, dict[str, object]]:
    reason: dict[str, object] = {"type": sample.finish}
    if sample.finish == "length":
        reason["length"] = sample.tokens
    elif sample.finish == "stop":
        reason["matched"] = sample.matched
    else:
        reason["message"] = "Abort in waiting queue"
    return _body(run, sample, len(sample.pieces), reason)


def _body(run: Run, sample: Sample, count: int, reason: dict[str, object] | None) -> dict[str, dict[str, object]]:
    now = time.time()
    arrived = float(run.created)
    tokens = sample.tokens if reason else count
    meta: dict[str, object] = {
        "id": run.order.rid,
        "finish_reason": reason,
        "prompt_tokens": len(run.prompt_pieces),
        "weight_version": "default",
        "num_retractions": 0,
        "storage_prefetch_wait": 0.0,
        "storage_staging_wait": 0.0,
        "forward_entry_time": arrived,
        "prefill_finished_time": arrived,
        "queue_time": run.job.started - run.job.arrived,
        "reasoning_tokens": 0,
        "completion_tokens": tokens,
        "cached_tokens": run.cached,
    }
    if reason:
        meta["weight_versions"] = [{"version": "default", "start": 0, "end": tokens}]
    meta |= {"cached_tokens_details": {"device": run.cached, "host": 0}, "dp_rank": None}
    if reason:
        meta |= _times(run, arrived, now)
    pieces = sample.pieces[:count]
    whole: dict[str, object] = {"text": "".join(pieces), "output_ids": [token_id(piece) for piece in pieces]}
    return {**whole, "meta_info": meta}  # pyright: ignore[reportReturnType]  only meta_info is read again


def _times(run: Run, arrived: float, now: float) -> dict[str, object]:
    """The clock of a finished request; a stream writes when it sent its first event earlier than a plain answer."""
    sent: dict[str, object] = {"response_sent_to_client_ts": now}
    times: dict[str, object] = {
        "e2e_latency": now - arrived,
        "request_received_ts": arrived,
        "first_token_latency": run.first_at - run.job.arrived,
        "api_server_dispatch_finish_ts": arrived,
    }
    if run.order.stream:
        times |= sent
    times |= {"request_finished_ts": now, "decode_throughput": 1.0 / run.interval if run.interval else 0.0}
    return times if run.order.stream else {**times, **sent}
