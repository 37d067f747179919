"""The values that describe one generation: what is asked, how, and what it cost. No behaviour, no vendor.

Named tuples, as every request makes them: a frozen dataclass takes three times as long to make.
"""

from enum import IntEnum
from typing import Any, Literal, NamedTuple

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "abort", "unknown"]


class Priority(IntEnum):
    """Who goes first when requests wait; a smaller number goes first."""

    INTERVIEW_STEP = 0
    FEEDBACK = 1
    CHAT = 2
    REPORT = 3


class Message(NamedTuple):
    """One chat message."""

    role: Role
    content: str


class Sampling(NamedTuple):
    """How tokens are drawn; None means the value of the model's profile.

    Every value is sent to the engine in the end, so that no default of its own can slip in.
    """

    temperature: float = 0.7
    top_p: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Generation(NamedTuple):
    """One generation to be done by an engine.

    Attributes:
        messages: The chat, oldest first.
        max_tokens: The most tokens the answer may have.
        sampling: How tokens are drawn.
        grammar: A decoding grammar (the common subset of EBNF and GBNF, start rule ``root``), or None for free text.
        priority: Passed on to engines that schedule by priority.
        alternatives: For each token, how many of the likeliest ones are told with their log-probabilities.
        common: Whether many generations begin with this system message and some worked examples.
        begun: What the answer begins with; the engine reads it and goes on, and the grammar is that of the rest.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    sampling: Sampling = Sampling()
    grammar: str | None = None
    priority: Priority = Priority.CHAT
    alternatives: int = 0
    common: bool = False
    begun: str = ""


class Usage(NamedTuple):
    """Tokens spent, as the engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @classmethod
    def told(cls, usage: Any) -> "Usage":
        """From OpenAI's ``usage`` object.

        Raises:
            LookupError, TypeError, AttributeError: it is something else.
        """
        details: Any = usage.get("prompt_tokens_details") or {}
        return cls(usage["prompt_tokens"], usage["completion_tokens"], details.get("cached_tokens") or 0)

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def and_of(self, other: "Usage") -> "Usage":
        """The sum."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )
