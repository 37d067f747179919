"""The graded answers of the evaluation suite, read for tests."""

import tomllib
from typing import Any, NamedTuple

from tests.support.service import ROOT

SUITE = ROOT / "evals" / "suite"


class GradedAnswer(NamedTuple):
    """One answer of the suite."""

    id: str
    phase: str
    question: str
    kind: str
    answer: str
    split: str


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((SUITE / name).read_text("utf-8"))


def graded(*kinds: str) -> list[GradedAnswer]:
    """The answers of these kinds, both splits."""
    questions = [
        one for name in ("technical.toml", "technical2.toml", "people.toml") for one in _read(name)["question"]
    ]
    return [
        GradedAnswer(one["id"], one["phase"], one["question"], kind, answer, one["split"])
        for one in questions
        for kind, answer in one["answers"].items()
        if kind in kinds
    ]


def variants(*kinds: str) -> list[tuple[str, str]]:
    """Question and reworded answer of these kinds of pairs, both splits."""
    return [(one["question"], one["variant"]) for one in _read("variants.toml")["pair"] if one["kind"] in kinds]


def injected() -> list[tuple[str, str, str]]:
    """Id, question and text of every answer with an attack in it."""
    return [(one["id"], one["question"], one["text"]) for one in _read("injections.toml")["injection"]]
