"""`POST /v1/completions`."""

from collections.abc import Mapping, Sequence

from simulator.chat import all_tokens, metadata_of, order_of, usage_of
from simulator.engine import Engine
from simulator.errors import RequestError, flat_error, stream_error
from simulator.planning import Run, Sample
from simulator.serving import serve
from simulator.validation import CompletionBody, check_sampling, parse_body, parse_json
from simulator.wire import Exchange, compact

_DEFAULT_LIMIT = 16  # the OpenAI default, which the engine keeps on this route only


async def complete(engine: Engine, exchange: Exchange) -> None:
    """Continue a text."""
    raw = parse_json(exchange.path, exchange.body, exchange.header("content-type"))
    body = parse_body(CompletionBody, exchange.path, raw)
    check_sampling(body)
    limit = _DEFAULT_LIMIT if body.max_tokens is None else body.max_tokens
    order = order_of(body, prompt_text(body.prompt), limit)
    order.faults = engine.faults.draw(exchange.path, exchange.body, stream=body.stream)
    await serve(engine, exchange, order, CompletionForm(body))


def prompt_text(prompt: str | list[str] | list[int]) -> str:
    """One text; the simulator does not batch, and token ids have no text here."""
    return prompt if isinstance(prompt, str) else " ".join(map(str, prompt))


class CompletionForm:
    """The completion shapes of one request."""

    def __init__(self, body: CompletionBody) -> None:
        options = body.stream_options
        self._usage = bool(options and options.include_usage)
        self._continuous = bool(options and options.continuous_usage_stats)

    def _event(self, run: Run, choices: Sequence[Mapping[str, object]], usage: Mapping[str, object] | None) -> bytes:
        head = {"id": run.order.rid, "object": "text_completion", "created": run.created, "model": run.order.model}
        return b"data: " + compact({**head, "choices": choices, "usage": usage}) + b"\n\n"

    def opening(self, run: Run, sample: Sample) -> bytes:
        """Nothing: completions have no role."""
        del run, sample
        return b""

    def delta(self, run: Run, sample: Sample, text: str, start: int, end: int) -> bytes:
        """The event of some tokens; the last one of a cut answer carries the finish reason itself."""
        del start
        usage = usage_of(run, min(end, len(sample.pieces))) if self._continuous else None
        if end >= len(sample.pieces) and sample.finish == "length":
            return self._event(run, [_choice(sample, text)], usage)
        choice = {"index": sample.index, "text": text, "logprobs": None, "finish_reason": None, "matched_stop": None}
        return self._event(run, [choice], usage)

    def closing(self, run: Run, sample: Sample) -> bytes:
        """The event with the finish reason, unless the last text had it."""
        if sample.finish == "length" and sample.pieces:
            return b""
        return self._event(run, [_choice(sample, "")], None)

    def tail(self, run: Run) -> bytes:
        """The event with the usage, when it was asked for."""
        return self._event(run, [], usage_of(run, all_tokens(run))) if self._usage else b""

    def whole(self, run: Run) -> bytes:
        """The plain response."""
        return compact(
            {
                "id": run.order.rid,
                "object": "text_completion",
                "created": run.created,
                "model": run.order.model,
                "choices": [_choice(sample, "".join(sample.pieces)) for sample in run.samples],
                "usage": usage_of(run, all_tokens(run)),
                "metadata": metadata_of(run),
            }
        )

    def error(self, error: RequestError) -> bytes:
        """The flat error body."""
        return flat_error(error.status, error.message, error.kind)

    def error_event(self, error: RequestError) -> bytes:
        """An error inside the stream."""
        return stream_error(error.status, error.message)


def _choice(sample: Sample, text: str) -> dict[str, object]:
    return {
        "index": sample.index,
        "text": text,
        "logprobs": None,
        "finish_reason": sample.finish,
        "matched_stop": sample.matched,
    }
