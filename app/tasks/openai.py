"""Chat in OpenAI's words: its request -> a generation, the answer -> its response or its chunks. Pure."""

import re
from typing import Any, NamedTuple

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
    SpentUsage,
)
from app.tasks.chat import Answer, ChatDefaults

_LEAST_TOP_P = 1e-6  # OpenAI takes 0, engines do not; the likeliest token alone is what it means
_NAME = re.compile(r"[A-Za-z0-9_.:/@+-]{1,200}", re.ASCII)  # anything else may be somebody's words, and is not repeated
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


def _role(message: ChatCompletionMessage) -> Role:
    return "system" if message.role == "developer" else message.role


def _sampling(request: ChatCompletionRequest, defaults: ChatDefaults) -> Sampling:
    return Sampling(
        temperature=defaults.temperature if request.temperature is None else request.temperature,
        top_p=None if request.top_p is None else max(request.top_p, _LEAST_TOP_P),
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        seed=None if request.seed is None else request.seed & _SEED_BITS,
        stop=tuple(request.stop),
    )


class Envelope(NamedTuple):
    """What the response and all chunks of one request have in common.

    Attributes:
        id: ``chatcmpl-`` and the request's id.
        created: Unix time.
        model: The model's name.
    """

    id: str
    created: int
    model: str

    def completion(self, answer: Answer) -> dict[str, Any]:
        """The whole answer: a ``ChatCompletion``, as a plain dictionary because it need not be validated."""
        message = {"role": "assistant", "content": answer.content, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_of(answer.finish)}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            "usage": _usage(answer.usage),
        }

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
