"""Which of an engine's requests measured an answer, and which asked for words."""

import json
from collections import Counter
from typing import Any

from app.tasks.judging.doubt import GRAMMAR as BELIEF
from app.tasks.judging.rubric import GRAMMAR as DIGIT
from tests.simulator.sim_harness import CHAT, Simulator

MEASURING = '"max_tokens":1,'  # in the raw body of a call for one token, for faults that are to hit only those
BROKEN_MEASURE: dict[str, Any] = {"kind": "abort", "tokens": 0, "match": MEASURING}


def bodies(engine: Simulator, since: float = 0.0) -> list[Any]:
    """What the engine was asked to generate after ``since`` by its own clock, as far as it remembers."""
    requests = engine.state(last=1000)["requests"]
    return [one["body"] for one in requests if one["path"] == CHAT and one["received"] > since]


def last_heard(engine: Simulator) -> float:
    """When its last request came, by the engine's own clock."""
    return max((one["received"] for one in engine.state(last=1000)["requests"]), default=0.0)


def measuring(engine: Simulator) -> list[Any]:
    """The calls that measured an answer."""
    return [body for body in bodies(engine) if body["max_tokens"] == 1 and body["ebnf"] == DIGIT]


def doubting(engine: Simulator) -> list[Any]:
    """The calls that asked whether an answer is to be believed."""
    return [body for body in bodies(engine) if body["max_tokens"] == 1 and body["ebnf"] == BELIEF]


def choosing(engine: Simulator) -> list[Any]:
    """The calls that asked for the first token of a step: which of several actions comes next."""
    return [body for body in bodies(engine) if body["max_tokens"] == 1 and body["ebnf"] not in {DIGIT, BELIEF}]


def asking(engine: Simulator) -> list[Any]:
    """The calls that asked for words."""
    return [body for body in bodies(engine) if body["max_tokens"] > 1]


def last_words(call: Any) -> str:
    """What was asked last: what follows it is how the engine's answer begins."""
    return str([message for message in call["messages"] if message["role"] == "user"][-1]["content"])


def tries(calls: list[Any]) -> Counter[str]:
    """How often each thing was asked; what the service adds after its last rule is not part of what it is."""
    return Counter(last_words(call).rpartition("\n---\n")[0] for call in calls)


def words(**said: Any) -> str:
    """An answer as a constrained model writes it."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def of_its_words(repair: str) -> bool:
    """Whether a repair is due to what a simulated model says: it has no idea of answers and scores."""
    return repair.endswith(("to rest on, dropped", "contradicts the score was left out")) or (
        "it contradicts the score; a prepared" in repair
    )
