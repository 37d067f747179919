"""Task[A, R]: the caller's prompt plus an output contract -> one validated answer.

Decoding is constrained by the exact grammar of ``A``, so the JSON is right by construction; it is validated all the
same, and asked for once more if the engine broke the contract (an answer cut off, for example).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from app.core.deadline import Deadline
from app.core.generation import FinishReason, Generation, Priority, Sampling, Usage
from app.core.grammar import grammar_for
from app.core.llm_engine import LLMEngine, Slot
from app.core.prompt_builder import LANGUAGES, Contract, Language, build_messages, language_of
from app.core.tokens import estimate_tokens
from app.errors import EngineFailure
from app.schemas.common import Meta, TokenUsage
from app.schemas.task import TaskRequest

A = TypeVar("A", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)

_ATTEMPTS = 2
_LEAST_TOKENS = 256

log = structlog.get_logger("task")


@dataclass(frozen=True)
class Task(Generic[A, R]):
    """One thing the service asks of the model.

    Attributes:
        name: For logs and metrics.
        answer: What the model must say, keys in the order in which it says them.
        contract: The same in words.
        priority: Its place when requests wait.
        max_tokens: Enough for the longest answer the grammar allows at about one token a character of Korean
            (measured on Qwen's vocabulary: 0.7 for prose).
        sampling: How tokens are drawn.
        settle: Pure: what the model said -> what the endpoint returns.
    """

    name: str
    answer: type[A]
    contract: Contract
    priority: Priority
    max_tokens: int
    sampling: Sampling
    settle: Callable[[A, Meta], R]

    @cached_property
    def grammars(self) -> Mapping[Language, str]:
        """The decoding grammar of ``answer`` by language: few and fixed texts, so that engines compile them once."""
        return {language: grammar_for(self.answer, language) for language in LANGUAGES}

    def generation(self, request: TaskRequest, context: int) -> Generation:
        """What is asked of an engine with room for ``context`` tokens."""
        language = language_of(request.system_prompt + request.user_prompt)
        messages = build_messages(request.system_prompt, request.user_prompt, self.contract.text(language))
        # SGLang refuses a prompt whose answer might not fit, so a long prompt gets a smaller budget; if it is not even
        # worth trying, the engine says so by its own count.
        room = context - estimate_tokens(*(message.content for message in messages))
        return Generation(
            messages=messages,
            max_tokens=min(self.max_tokens, max(room, _LEAST_TOKENS)),
            sampling=self.sampling,
            grammar=self.grammars[language],
            priority=self.priority,
        )

    async def run(self, engine: LLMEngine, request: TaskRequest, deadline: Deadline) -> R:
        """Ask the model and return a settled answer.

        Raises:
            ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
            EngineFailure: two generations broke the contract.
        """
        generation = self.generation(request, engine.context)
        used = Usage()
        async with engine.admit(self.priority, deadline) as slot:
            for attempt in range(1, _ATTEMPTS + 1):
                text, finish, usage = await _collect(slot, generation)
                used += usage
                answer = self._read(text, finish)
                if answer is not None:
                    return self.settle(answer, _meta(engine, finish, attempt, used))
                generation = replace(generation, sampling=_varied(self.sampling))
        raise EngineFailure(f"The model broke the output contract {_ATTEMPTS} times. Repeat the call.")

    def _read(self, text: str, finish: FinishReason) -> A | None:
        try:
            return self.answer.model_validate_json(text)
        except ValidationError as error:
            log.warning("contract broken", task=self.name, finish=finish, length=len(text), faults=_faults(error))
            return None


async def _collect(slot: Slot, generation: Generation) -> tuple[str, FinishReason, Usage]:
    async with slot.stream(generation) as tokens:
        text = "".join([piece async for piece in tokens])
        return text, tokens.finish, tokens.usage


def _varied(sampling: Sampling) -> Sampling:
    """Other sampling for the second try: the same prompt at temperature 0 would fail the same way."""
    return replace(sampling, temperature=min(1.0, sampling.temperature + 0.3), seed=None)


def _faults(error: ValidationError) -> list[str]:
    """Where and how the contract was broken, without the text itself."""
    return [f"{'.'.join(map(str, item['loc']))}: {item['type']}" for item in error.errors(include_input=False)][:5]


def _meta(engine: LLMEngine, finish: FinishReason, attempts: int, usage: Usage) -> Meta:
    return Meta(
        engine=engine.name,
        model=engine.model,
        finish=finish,
        attempts=attempts,
        repaired=[],
        usage=token_usage(usage),
    )


def token_usage(usage: Usage) -> TokenUsage:
    """The wire form of ``usage``."""
    return TokenUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
    )
