"""The OpenAI-compatible routes: POST /v1/chat/completions and GET /v1/models."""

import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError

from app.api.at_once import Asked, PlainRoute
from app.api.deps import Services, ServicesDep
from app.api.lean import CallDep, ProtectedChatRoute
from app.api.sse import sse_data
from app.api.words import Said, events_of
from app.core.completion import Completion
from app.schemas.openai import (
    OPENAI_ERRORS,
    ChatCompletion,
    ChatCompletionRequest,
    Delta,
    FinishReason,
    ModelCard,
    ModelList,
    PlainChat,
)
from app.tasks import chat, openai

router = APIRouter(route_class=ProtectedChatRoute, prefix="/v1", tags=["OpenAI"])

_PLAIN_FORM: Callable[[bytes | bytearray], PlainChat] = TypeAdapter(PlainChat).validator.validate_json

_DESCRIPTION = """Continue a chat in OpenAI's protocol; the official clients work unchanged. Text only.

**Accepted fields:** `model`, `messages` (roles `system`, `developer`, `user`, `assistant`; content a string or text
parts), `temperature`, `top_p`, `max_tokens`, `max_completion_tokens`, `stop`, `stream`,
`stream_options.include_usage`, `presence_penalty`, `frequency_penalty`, `seed`; `user` and a message's `name` are
accepted and ignored; `n`, `logprobs`, `store` and `response_format` only at `1`, `false`, `false` and
`{"type": "text"}`. Every other field is refused with a 400 that names it. A field that is null counts as not sent.

**Streams** are events `data: {chunk}`: the role, the text in pieces, the finish reason, with `include_usage` one more
chunk with the usage, then `data: [DONE]`. A stream that fails after its first byte ends with one
`data: {"error": {...}}` and no `[DONE]`; whatever fails earlier has its own status.
"""

_CHUNK = (
    '{"id":"chatcmpl-5f0c","object":"chat.completion.chunk","created":1795403411,"model":"Qwen/Qwen3-32B-Instruct",'
)
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; as events with `stream: true`.",
        "content": {
            "text/event-stream": {
                "example": f'data: {_CHUNK}"choices":[{{"index":0,"delta":{{"content":"네"}},"logprobs":null,'
                '"finish_reason":null}]}\n\ndata: [DONE]\n\n',
            }
        },
    }
}


@router.post(
    "/chat/completions", description=_DESCRIPTION, responses={**_STREAM, **OPENAI_ERRORS}, response_model=ChatCompletion
)
async def chat_completions(body: ChatCompletionRequest, call: CallDep) -> None:
    """Continue a chat."""
    services = call.services
    openai.require_model(body.model, services.engine.model)
    deadline = call.deadline()
    if not body.stream:
        asked = openai.generation(body, services.chat)
        answer = await chat.complete(services.engine, asked, deadline, call.earlier)
        call.spent(answer.usage.total_tokens)
        await call.answer(_whole(services, call.request_id, answer))
        return
    chunks = _Chunks.of(services, call.request_id, include_usage=body.stream_options.include_usage)
    opened = chat.stream(services.engine, openai.generation(body, services.chat), deadline, call.earlier)
    del body  # see LLMEngine.open
    async with opened as answering:
        await call.stream(events_of(answering, chunks, call))


def _asked(body: bytes | bytearray, services: Services, request_id: str) -> Asked | None:
    """What is asked by a request in its plain form; None: it is something else."""
    try:
        asked = _PLAIN_FORM(body)
    except ValidationError:
        return None
    if asked["model"] != services.engine.model:
        return None
    generation = openai.plain_generation(asked, services.chat)
    if not asked.get("stream", False):
        return Asked(generation)
    include_usage = asked.get("stream_options", {}).get("include_usage", False)
    return Asked(generation, _Chunks.of(services, request_id, include_usage=include_usage))


def _whole(services: Services, request_id: str, answer: Completion) -> bytes:
    return openai.completion(request_id, services.engine.model, answer)


AT_ONCE = PlainRoute("/v1/chat/completions", _asked, _whole)


class _Chunks:
    """See ``Words``: the role, the text in pieces, the finish reason, and the usage if asked for."""

    __slots__ = ("_after", "_before", "_envelope", "_include_usage")

    def __init__(self, envelope: openai.Envelope, *, include_usage: bool) -> None:
        self._envelope = envelope
        self._include_usage = include_usage
        self._before, _, self._after = self._chunk({"content": ""}).rpartition(b'""')

    @classmethod
    def of(cls, services: Services, request_id: str, *, include_usage: bool) -> "_Chunks":
        """Those of a request that has come just now."""
        envelope = openai.Envelope(f"chatcmpl-{request_id}", int(time.time()), services.engine.model)
        return cls(envelope, include_usage=include_usage)

    @property
    def head(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def told(self, pieces: list[bytes]) -> bytes:
        if len(pieces) == 1:
            return self._before + pieces[0] + self._after
        return b"".join([self._before + piece + self._after for piece in pieces])

    def sent(self, pieces: list[bytes]) -> None:
        """Nothing is kept of them."""

    def last(self, said: Said) -> bytes:
        last = self._chunk({}, openai.finish_of(said.finish))
        if self._include_usage:
            last += sse_data(self._envelope.usage_chunk(said.usage))
        return last + b"data: [DONE]\n\n"

    def _chunk(self, delta: Delta, finish: FinishReason | None = None) -> bytes:
        return sse_data(self._envelope.chunk(delta, finish, include_usage=self._include_usage))


@router.get("/models", responses={"default": OPENAI_ERRORS["default"]})
async def models(services: ServicesDep) -> ModelList:
    """The one model that is served."""
    return ModelList(data=[_card(services)])


@router.get("/models/{name:path}", responses={404: OPENAI_ERRORS[404], "default": OPENAI_ERRORS["default"]})
async def model(name: str, services: ServicesDep) -> ModelCard:
    """One model by its name, which may hold slashes."""
    openai.require_model(name, services.engine.model)
    return _card(services)


def _card(services: Services) -> ModelCard:
    engine = services.engine
    return ModelCard(id=engine.model, created=services.started_at, owned_by=engine.name, max_model_len=engine.context)
