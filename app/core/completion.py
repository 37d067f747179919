"""One generation that came in one piece. Pure, but for the clock-free memory of how fast the engine is."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from app.core.engine_errors import refused
from app.core.engine_events import LITERAL, finish_of, is_utf8, likeliest, nonsense
from app.core.generation import FinishReason, Usage
from app.core.thinking import ThoughtFilter
from app.engines.profiles import EngineProfile
from app.errors import EngineFailure, ServiceError

_SLOWEST = 0.1  # seconds a token while nothing has been seen: the pace of somebody who reads
_WEIGHT = 0.1  # of the newest observation
_MARGIN = 2.0


# What SGLang answers to nearly every plain chat. Its text stays the JSON literal that the engine wrote: to parse it and
# to write it again would cost more. One that may begin with a thought (blanks, escapes, ``<``) is parsed.
_USUAL = re.compile(
    rb'\{"id":"\w*","object":"chat\.completion","created":\d+,"model":"[^"\\]*","choices":\[\{"index":0,'
    rb'"message":\{"role":"assistant","content":(?="[!#-;=-\[\]-~\xea-\xed])'
    + LITERAL
    + rb',"reasoning_content":null\},'
    rb'"logprobs":null,"finish_reason":"(stop|length)","matched_stop":(?:null|\d+|"[^"\\]*")\}\],'
    rb'"usage":\{"prompt_tokens":(\d+),"total_tokens":\d+,"completion_tokens":(\d+),"prompt_tokens_details":'
    rb'(?:null|\{"cached_tokens":(\d+)\}),"reasoning_tokens":\d+,"completion_tokens_details":null\}'
    rb'(?:,"metadata":\{.*\})?\}'
).fullmatch


class Completion(NamedTuple):
    """A whole answer of the engine.

    Attributes:
        literal: Its text without thinking, as a JSON string in UTF-8.
        finish: Why the engine stopped.
        usage: Tokens spent.
        alternatives: For each token the likeliest ones and their log-probabilities; empty unless they were asked for.
        reasoning: What came in ``reasoning_content``; see ``TokenStream``.
        first_text: Always 0: nobody saw it come.
        failure: Always None: what failed is no answer.
    """

    literal: bytes
    finish: FinishReason
    usage: Usage
    alternatives: Sequence[Mapping[str, float]] = ()
    reasoning: str = ""
    first_text: float = 0.0
    failure: ServiceError | None = None


def read_completion(raw: bytes, profile: EngineProfile) -> Completion:
    """The answer to a plain chat.

    Raises:
        ServiceError: it is an error that came with status 200.
        EngineFailure: it makes no sense, or does not say why it ended.
    """
    if (usual := _USUAL(raw)) is None:
        return _parsed(raw, profile)
    literal, finish, taken, given, cached = usual.groups(b"0")
    if not is_utf8(literal):
        return _parsed(raw, profile)
    usage = Usage(int(taken), int(given), int(cached))
    return Completion(literal, "stop" if finish == b"stop" else "length", usage)


def _parsed(raw: bytes, profile: EngineProfile) -> Completion:
    try:
        body: Any = from_json(raw, cache_strings="keys")
        if "error" in body or body.get("object") == "error":
            raise refused(body, profile)
        choice = body["choices"][0]
        text: str = choice["message"].get("content") or ""
        reasoning = str(choice["message"].get("reasoning_content") or "")
        finish = finish_of(choice["finish_reason"]) if choice.get("finish_reason") else "unknown"
        usage = Usage.told(body["usage"])
        told: Any = choice["logprobs"]["content"] if choice.get("logprobs") else None
        alternatives = tuple(likeliest(token) for token in told or ())
        thoughts = ThoughtFilter()
        answer = to_json(thoughts.feed(text) + thoughts.close())
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise nonsense() from error
    if finish == "unknown":
        raise EngineFailure("The engine ended its answer without saying why. Repeat the call.")
    return Completion(answer, finish, usage, alternatives, reasoning)


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
