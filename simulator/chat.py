"""`POST /v1/chat/completions`."""

import json
from typing import Any, cast
from uuid import uuid4

from simulator.answer import Constraint, distribution, logprob_entry, next_tokens
from simulator.engine import Engine
from simulator.errors import RequestError, flat_error, stream_error
from simulator.planning import Order, Run, Sample
from simulator.serving import serve
from simulator.validation import ChatBody, ResponseFormat, Sampling, check_chat, check_sampling, parse_body, parse_json
from simulator.wire import Exchange, compact

_PLAIN_DELTA = '{"reasoning_content":null,"content":%s}'
_REASONING_DELTA = '{"reasoning_content":%s}'


async def chat(engine: Engine, exchange: Exchange) -> None:
    """Answer a chat."""
    raw = parse_json(exchange.path, exchange.body, exchange.header("content-type"))
    body = parse_body(ChatBody, exchange.path, raw)
    engine.note_fields(raw)
    check_chat(body)
    check_sampling(body)
    order = order_of(body, render(body), body.max_completion_tokens or body.max_tokens)
    order.begun = body.begun
    order.faults = engine.faults.draw(exchange.path, exchange.body, stream=body.stream)
    await serve(engine, exchange, order, ChatForm(engine, body))


def order_of(body: Sampling, prompt: str, limit: int | None) -> Order:
    """What an OpenAI body asks of the engine."""
    return Order(
        prompt=prompt,
        model=body.model,
        rid=body.rid or uuid4().hex,
        stream=body.stream,
        limit=limit,
        samples=body.n,
        stop=body.stop,
        priority=body.priority,
        constraint=constraint_of(body),
        ignore_eos=body.ignore_eos,
    )


def constraint_of(body: Sampling) -> Constraint | None:
    """The constraint a body sets, if any."""
    if body.ebnf is not None:
        return Constraint("ebnf", body.ebnf)
    if body.regex is not None:
        return Constraint("regex", body.regex)
    return _json_constraint(body.response_format)


def _json_constraint(wanted: ResponseFormat | None) -> Constraint | None:
    if wanted is None or wanted.type not in ("json_object", "json_schema"):
        return None
    if wanted.type == "json_schema":
        return Constraint("json", json.dumps((wanted.json_schema or {})["schema"], ensure_ascii=False))
    free = {"type": "object", "properties": {"answer": {"type": "string"}}}
    return Constraint("json", json.dumps(free))


def render(body: ChatBody) -> str:
    """The prompt, by Qwen's chat template, and what the answer begins with."""
    said = body.messages[:-1] if body.begun else body.messages
    turns = [f"<|im_start|>{turn.get('role')}\n{content_text(turn.get('content'))}<|im_end|>\n" for turn in said]
    closed = (body.chat_template_kwargs or {}).get("enable_thinking") is False
    return "".join(turns) + "<|im_start|>assistant\n" + ("<think>\n\n</think>\n\n" if closed else "") + body.begun


def content_text(content: Any) -> str:
    """The text of a message, also when it comes in parts."""
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        return "".join(str(part.get("text", "")) for part in parts)
    return "" if content is None else str(content)


def usage_of(run: Run, completion: int) -> dict[str, object]:
    """The `usage` object."""
    prompt = len(run.prompt_pieces)
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": run.cached},
        "reasoning_tokens": completion if run.reasoning else 0,
        "completion_tokens_details": None,
    }


def metadata_of(run: Run) -> dict[str, object]:
    """The `metadata` object; its span is that of the first answer."""
    span = {"version": "default", "start": 0, "end": run.samples[0].tokens}
    return {"weight_version": "default", "weight_versions": [span]}


def all_tokens(run: Run) -> int:
    """Completion tokens of all answers."""
    return sum(sample.tokens for sample in run.samples)


class ChatForm:
    """The chat shapes of one request; what never changes in its events is built once."""

    def __init__(self, engine: Engine, body: ChatBody) -> None:
        self._engine = engine
        self._body = body
        options = body.stream_options
        self._usage = bool(options and options.include_usage)
        self._continuous = bool(options and options.continuous_usage_stats)
        self._prefix = ""
        self._choices: list[str] | None = None

    def _event(self, run: Run, sample: Sample, delta: str, end: str, usage: str = "") -> bytes:
        if not self._prefix:
            self._prefix = (
                f'data: {{"id":{json.dumps(run.order.rid)},"object":"chat.completion.chunk",'
                f'"created":{run.created},"model":{json.dumps(run.order.model, ensure_ascii=False)},"choices":['
            )
        return f'{self._prefix}{{"index":{sample.index},"delta":{delta},{end}}}]{usage}}}\n\n'.encode(
            "utf-8", "replace"
        )

    def opening(self, run: Run, sample: Sample) -> bytes:
        """The event with the role."""
        delta = '{"reasoning_content":null,"role":"assistant","content":""}'
        return self._event(run, sample, delta, '"logprobs":null,"finish_reason":null,"matched_stop":null')

    def delta(self, run: Run, sample: Sample, text: str, start: int, end: int) -> bytes:
        """The event of some tokens."""
        delta = (_REASONING_DELTA if run.reasoning else _PLAIN_DELTA) % json.dumps(text, ensure_ascii=False)
        logprobs = "null"
        if self._body.logprobs:
            logprobs = compact(self._logprobs(run, sample, start, end)).decode()
        rest = f'"logprobs":{logprobs},"finish_reason":null,"matched_stop":null'
        usage = ""
        if self._continuous:
            usage = ',"usage":' + compact(usage_of(run, min(end, len(sample.pieces)))).decode()
        return self._event(run, sample, delta, rest, usage)

    def closing(self, run: Run, sample: Sample) -> bytes:
        """The event with the finish reason."""
        matched = json.dumps(sample.matched, ensure_ascii=False)
        end = f'"logprobs":null,"finish_reason":"{sample.finish}","matched_stop":{matched}'
        return self._event(run, sample, '{"reasoning_content":null}', end)

    def tail(self, run: Run) -> bytes:
        """The event with the usage, when it was asked for."""
        if not self._usage:
            return b""
        usage = compact(usage_of(run, all_tokens(run))).decode()
        return f'{self._prefix}],"usage":{usage}}}\n\n'.encode()

    def whole(self, run: Run) -> bytes:
        """The plain response."""
        return compact(
            {
                "id": run.order.rid,
                "object": "chat.completion",
                "created": run.created,
                "model": run.order.model,
                "choices": [self._choice(run, sample) for sample in run.samples],
                "usage": usage_of(run, all_tokens(run)),
                "metadata": metadata_of(run),
            }
        )

    def _choice(self, run: Run, sample: Sample) -> dict[str, object]:
        text = "".join(sample.pieces)
        return {
            "index": sample.index,
            "message": {
                "role": "assistant",
                "content": None if run.reasoning else text,
                "reasoning_content": text if run.reasoning else None,
            },
            "logprobs": self._logprobs(run, sample, 0, len(sample.pieces)) if self._body.logprobs else None,
            "finish_reason": sample.finish,
            "matched_stop": sample.matched,
        }

    def _logprobs(self, run: Run, sample: Sample, start: int, end: int) -> dict[str, object]:
        constraint = run.order.constraint
        if self._choices is None:
            self._choices = self._engine.author.choices(constraint)
        before = "".join(sample.pieces[:start])
        entries: list[dict[str, object]] = []
        for piece in sample.pieces[start:end]:
            options = next_tokens(self._choices, before, piece, constrained=constraint is not None)
            own, others = distribution(piece, options, self._body.top_logprobs or 0, seed=self._engine.settings.seed)
            entries.append(logprob_entry(piece, others, own))
            before += piece
        return {"content": entries}

    def error(self, error: RequestError) -> bytes:
        """The flat error body."""
        return flat_error(error.status, error.message, error.kind)

    def error_event(self, error: RequestError) -> bytes:
        """An error inside the stream."""
        return stream_error(error.status, error.message)
