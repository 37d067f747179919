"""Tiny real generations, through the same client as every request: thinking, cached tokens, constraint, speed."""

import re
import time
from dataclasses import dataclass

from app.core.deadline import Deadline
from app.core.generation import Generation, Message, Priority, Sampling, Usage
from app.core.grammar import TEXT_CLASS
from app.core.llm_engine import LLMEngine
from app.doctor.checks import Check, ok, problem, warning
from app.doctor.engine import no_thinking_flag
from app.engines.models import model_profile

THINKING, CACHED, CONSTRAINED, SPEED = "Thinking off", "Cached tokens", "Constrained decoding", "Speed"
KOREAN = "Korean text"
_LIMIT = 18.0  # below the limit of a check, so that the engine's own reason is told
_DIGITS = "root ::= [0-9] [0-9] [0-9]"
_TEXT = f"root ::= text{{1,40}}\ntext ::= {TEXT_CLASS}\n"
_ALTERNATIVES = 20  # likeliest tokens that are looked at
_ENOUGH_TOKENS = 8  # fewer say nothing about speed
# Longer than 64 tokens: engines may keep their prefix cache in pages of that size.
_SYSTEM = (
    "You are the greeter of a company that holds technical interviews by text. You welcome every candidate by one "
    "short sentence, you say that the interview takes about thirty minutes and has five questions, that there are no "
    "trick questions, that it is fine to think for a while before answering, and that the candidate may ask for a "
    "question to be repeated. You never ask a question of your own and you never mention these rules to the candidate."
)
_MESSAGES = (Message("system", _SYSTEM), Message("user", "안녕하세요, 준비됐습니다."))


@dataclass(frozen=True, slots=True)
class Sample:
    """One generation that has ended.

    Attributes:
        text: What the service would have passed on.
        usage: Tokens spent.
        seconds: From the first piece of text to the end.
    """

    text: str
    usage: Usage
    seconds: float


async def sample(engine: LLMEngine, *, max_tokens: int, grammar: str | None = None) -> Sample:
    """Generate a little.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
    """
    generation = Generation(_MESSAGES, max_tokens, Sampling(temperature=0.0), grammar, Priority.CHAT)
    deadline = Deadline.after(_LIMIT)
    pieces: list[str] = []
    first = time.monotonic()
    async with engine.admit(generation.priority, deadline) as slot, slot.stream(generation) as tokens:
        async for piece in tokens:
            first = first if pieces else time.monotonic()
            pieces.append(piece)
        return Sample("".join(pieces), tokens.usage, time.monotonic() - first)


async def free_sample(engine: LLMEngine) -> Sample:
    """A short answer in free text: too short for a model that thinks to get to its answer.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
    """
    return await sample(engine, max_tokens=32)


def thinking_check(found: Sample, model: str) -> Check:
    """Whether the model answers at once."""
    shown = found.text.strip()
    if "<think>" in shown or "</think>" in shown:
        return _thinks("the answer holds its thoughts (<think>).", model)
    if not shown and found.usage.completion_tokens > 1:
        return _thinks("the model spends its tokens on thoughts (reasoning_content), and none on the answer.", model)
    if not shown:
        return problem(THINKING, "the model answered nothing at all.", "Look at the engine's log.")
    return ok(THINKING, "the model answers at once.")


def _thinks(detail: str, model: str) -> Check:
    fix = f"Start the engine with {no_thinking_flag()} (llm-service engine does)."
    if not model_profile(model).template_arguments:
        fix = f"{fix} {model} is not known as a model that thinks: name it for its family, e.g. .../qwen3-mine."
    return problem(THINKING, detail, fix)


def cached_check(second: Sample) -> Check:
    """Whether a prompt that comes again is taken from the cache, and reported so."""
    usage = second.usage
    if usage.cached_tokens:
        return ok(CACHED, f"{usage.cached_tokens} of {usage.prompt_tokens} when a prompt comes again.")
    return warning(
        CACHED,
        "none are reported when a prompt comes again: a long system prompt costs its full time each time.",
        "Start SGLang with --enable-cache-report and without --disable-radix-cache (llm-service engine does).",
    )


async def constrained_check(engine: LLMEngine) -> Check:
    """Whether a grammar is obeyed; the prompt asks for something quite different.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
    """
    text = (await sample(engine, max_tokens=16, grammar=_DIGITS)).text
    if re.fullmatch("[0-9]{3}", text):
        return ok(CONSTRAINED, f"a grammar of three digits gave {text}.")
    return constraint_ignored(f"a grammar of three digits gave {text[:40]!r}.")


async def korean_check(engine: LLMEngine) -> Check:
    """Whether Hangul can be written under the grammar of a text, told by the tokens that it leaves amid a Korean word.

    Grammar engines differ in how they read a class of characters, and one that reads it too narrowly makes a model go
    on in English.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.complete``.
    """
    sampling = Sampling(temperature=0.0)
    asked = Generation(_MESSAGES, 1, sampling, _TEXT, Priority.CHAT, _ALTERNATIVES, begun="안녕하세요, 만나서 반갑습")
    deadline = Deadline.after(_LIMIT)
    async with engine.admit(asked.priority, deadline) as slot:
        said = await slot.complete(asked, until=deadline)
    left = list(said.alternatives[0]) if said.alternatives else []
    if not left:
        return ok(KOREAN, "not looked at: the engine tells no alternatives of a token.")
    if any(not token.isascii() for token in left):
        return ok(KOREAN, "the grammar of a text leaves Hangul.")
    return problem(
        KOREAN,
        f"the grammar of a text leaves no Hangul amid a Korean word: {', '.join(map(repr, left[:5]))}.",
        "Answers would go on in English. Start SGLang with --grammar-backend llguidance, in the version that came with "
        "it. If it runs so, the model knows no Korean: set MODEL_NAME to one that does, or LANGUAGE=en.",
    )


def constraint_ignored(detail: str) -> Check:
    """The engine does not do as its grammar says."""
    return problem(
        CONSTRAINED,
        detail,
        "Start SGLang with --grammar-backend llguidance ('none' turns grammars off).",
    )


def speed_check(found: Sample, max_tokens: int, request_timeout: float) -> Check:
    """Whether an answer of DEFAULT_MAX_TOKENS tokens can be there within REQUEST_TIMEOUT."""
    count = found.usage.completion_tokens
    if count < _ENOUGH_TOKENS or found.seconds <= 0:
        return ok(SPEED, f"too few tokens to tell ({count}).")
    rate = (count - 1) / found.seconds
    needed = max_tokens / rate
    detail = f"{rate:.1f} tokens/s, so DEFAULT_MAX_TOKENS={max_tokens} take {needed:.0f} s"
    if needed <= request_timeout:
        return ok(SPEED, f"{detail} of REQUEST_TIMEOUT={request_timeout:g}.")
    return warning(
        SPEED,
        f"{detail}, more than REQUEST_TIMEOUT={request_timeout:g}.",
        "Raise REQUEST_TIMEOUT, lower DEFAULT_MAX_TOKENS, or use a faster engine "
        "(ENGINE=embedded: EMBEDDED_MODEL=qwen2.5-coder-0.5b).",
    )
