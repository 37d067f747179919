"""One generation that came in one piece. Pure, but for the clock-free memory of how fast the engine is."""

from typing import Any, NamedTuple

from pydantic_core import from_json

from app.core.engine_errors import refused
from app.core.generation import FinishReason, Usage
from app.core.thinking import ThoughtFilter
from app.core.token_stream import finish_of, nonsense
from app.engines.profiles import EngineProfile
from app.errors import EngineFailure, ServiceError

_SLOWEST = 0.1  # seconds a token while nothing has been seen: the pace of somebody who reads
_WEIGHT = 0.1  # of the newest observation
_MARGIN = 2.0


class Completion(NamedTuple):
    """A whole answer of the engine.

    Attributes:
        text: Without thinking.
        finish: Why the engine stopped.
        usage: Tokens spent.
        first_text: Always 0: nobody saw it come.
        failure: Always None: what failed is no answer.
    """

    text: str
    finish: FinishReason
    usage: Usage
    first_text: float = 0.0
    failure: ServiceError | None = None


def read_completion(raw: bytes, profile: EngineProfile) -> Completion:
    """The answer to a plain chat.

    Raises:
        ServiceError: it is an error that came with status 200.
        EngineFailure: it makes no sense, or does not say why it ended.
    """
    try:
        body: Any = from_json(raw, cache_strings="keys")
        if "error" in body or body.get("object") == "error":
            raise refused(body, profile)
        choice = body["choices"][0]
        text: str = choice["message"].get("content") or ""
        finish = finish_of(choice["finish_reason"]) if choice.get("finish_reason") else "unknown"
        usage = Usage.told(body["usage"])
        thoughts = ThoughtFilter()
        answer = thoughts.feed(text) + thoughts.close()
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise nonsense() from error
    if finish == "unknown":
        raise EngineFailure("The engine ended its answer without saying why. Repeat the call.")
    return Completion(answer, finish, usage)


class Pace:
    """How long a plain answer may take before its engine counts as silent: it says nothing until it is done."""

    def __init__(self, stall: float) -> None:
        """``stall``: seconds of silence that count as a failure when tokens come one by one."""
        self._stall = stall
        self._per_token = _SLOWEST

    def note(self, seconds: float, tokens: int) -> None:
        """An answer of so many tokens took so long."""
        if tokens > 0:
            self._per_token += _WEIGHT * (seconds / tokens - self._per_token)

    def patience(self, most: int) -> float:
        """Seconds for an answer of at most ``most`` tokens, at half the pace seen lately."""
        return self._stall + _MARGIN * self._per_token * most
