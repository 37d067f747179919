"""Chat in OpenAI's words: its request -> a generation, the answer -> its response or its chunks. All but pure."""

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import to_json

from app.core.completion import Completion
from app.core.defuse import defuse
from app.core.generation import FinishReason as EngineReason
from app.core.generation import Generation, Message, Priority, Role, Sampling, Usage
from app.errors import UnknownModel
from app.schemas.openai import (
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionRequest,
    ChunkChoice,
    Delta,
    FinishReason,
    PlainChat,
    SpentUsage,
)
from app.tasks.chat import ChatDefaults

_LEAST_TOP_P = 1e-6  # OpenAI takes 0, engines do not; the likeliest token alone is what it means
_NAME = re.compile(r"[A-Za-z0-9_.:/@+-]{1,200}", re.ASCII)  # anything else may be somebody's words, and is not repeated
_WHOLE = (
    b'{"id":"chatcmpl-%b","object":"chat.completion","created":%d,"model":%b,"choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":%b,"refusal":null},"logprobs":null,"finish_reason":"%b"}],"usage":{"prompt_tokens":%d,'
    b'"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d}}}'
)
_ROLES: Mapping[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_SEED_BITS = 0x7FFF_FFFF  # engines take seeds of 31 bits at least


def require_model(name: str, served: str) -> None:
    """Refuse ``name`` unless it is the model that is served.

    Raises:
        UnknownModel: it is not.
    """
    if name != served:
        shown = f"'{name}'" if _NAME.fullmatch(name) else "that name"
        raise UnknownModel(f"model: {shown} does not exist here. Send '{served}'.", param="model")


def generation(request: ChatCompletionRequest, defaults: ChatDefaults) -> Generation:
    """What is asked of the engine: a new value, made of accepted fields only."""
    return Generation(
        messages=tuple(Message(_role(m), defuse(m.content)) for m in request.messages),
        max_tokens=request.max_completion_tokens or request.max_tokens or defaults.max_tokens,
        sampling=_sampling(request, defaults),
        priority=Priority.CHAT,
    )


def plain_generation(request: PlainChat, defaults: ChatDefaults) -> Generation:
    """The same of a request in its plain form."""
    messages = [Message(_ROLES[m["role"]], defuse(m["content"])) for m in request["messages"]]
    top_p = request.get("top_p")
    return Generation(
        tuple(messages),
        request.get("max_completion_tokens") or request.get("max_tokens") or defaults.max_tokens,
        Sampling(request.get("temperature", defaults.temperature), None if top_p is None else max(top_p, _LEAST_TOP_P)),
    )


def _role(message: ChatCompletionMessage) -> Role:
    return _ROLES[message.role]


def _sampling(request: ChatCompletionRequest, defaults: ChatDefaults) -> Sampling:
    return Sampling(
        temperature=defaults.temperature if request.temperature is None else request.temperature,
        top_p=None if request.top_p is None else max(request.top_p, _LEAST_TOP_P),
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        seed=None if request.seed is None else request.seed & _SEED_BITS,
        stop=tuple(request.stop),
    )


def completion(request_id: str, model: str, answer: Completion) -> bytes:
    """The whole answer: a ``ChatCompletion`` in JSON, around the text as the engine wrote it."""
    spent = answer.usage
    return _WHOLE % (
        request_id.encode(),
        int(time.time()),
        _quoted(model),
        answer.literal,
        b"length" if answer.finish == "length" else b"stop",
        spent.prompt_tokens,
        spent.completion_tokens,
        spent.prompt_tokens + spent.completion_tokens,
        spent.cached_tokens,
    )


_quoted = lru_cache(4)(to_json)


class Envelope(NamedTuple):
    """What all chunks of one request have in common.

    Attributes:
        id: ``chatcmpl-`` and the request's id.
        created: Unix time.
        model: The model's name.
    """

    id: str
    created: int
    model: str

    def chunk(self, delta: Delta, finish: FinishReason | None, *, include_usage: bool) -> ChatCompletionChunk:
        """One event of a stream."""
        choice: ChunkChoice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = self._blank([choice])
        return {**chunk, "usage": None} if include_usage else chunk

    def usage_chunk(self, usage: Usage) -> ChatCompletionChunk:
        """The one with the usage."""
        return {**self._blank([]), "usage": _usage(usage)}

    def _blank(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def finish_of(reason: EngineReason) -> FinishReason:
    """Why an answer ended, in OpenAI's words."""
    return "length" if reason == "length" else "stop"


def _usage(usage: Usage) -> SpentUsage:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
