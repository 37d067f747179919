"""The suite: what is asked, answered and expected, as TOML files in one folder."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from app.errors import StartupError
from app.schemas.interview import Action
from app.tasks.judging.case import Level, Phase
from evals.integrity import SPLITS, Injection, Split

Grade = Literal["excellent", "solid", "thin", "wrong", "dont_know", "insincere"]
GRADES: tuple[Grade, ...] = get_args(Grade)
REAL_GRADES: tuple[Grade, ...] = ("excellent", "solid", "thin", "wrong")
LEVELS: Mapping[Grade, int] = MappingProxyType(
    {"excellent": 4, "solid": 3, "thin": 2, "wrong": 1, "dont_know": 0, "insincere": 0}
)
"""What a grade is worth: only answers of different levels make a pair."""

SHIPPED = Path(__file__).parent.parent / "suite"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GradedQuestion:
    """A question, and one answer of each grade."""

    id: str
    split: Split
    phase: Phase
    level: Level
    question: str
    answers: Mapping[Grade, str]


@dataclass(frozen=True, slots=True)
class Variant:
    """The same content twice: plain, and in another form."""

    kind: str
    split: Split
    phase: Phase
    level: Level
    question: str
    base: str
    variant: str


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One question of a situation, and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Situation:
    """A phase of an interview so far, and the steps a good interviewer could take next.

    Attributes:
        id: Its words name the kind of the last answer: ``dont-know``, ``insincere``, ``evasive`` and ``echo`` are none.
        split: Its half of the suite.
        phase: Of the interview.
        level: Of the candidate.
        follow_up_count: Follow-ups asked on the current topic.
        follow_up_limit: Follow-ups that may be asked on one topic.
        right: The steps that are right.
        history: Questions and answers of the phase, oldest first.
    """

    id: str
    split: Split
    phase: Phase
    level: Level
    follow_up_count: int
    follow_up_limit: int
    right: tuple[Action, ...]
    history: tuple[Exchanged, ...]

    @property
    def no_answer(self) -> bool:
        """Whether the candidate did not answer the last question."""
        return any(word in self.id for word in ("dont-know", "insincere", "evasive", "echo"))

    @property
    def at_limit(self) -> bool:
        """Whether no follow-up is left on the topic."""
        return bool(self.history) and self.follow_up_count >= self.follow_up_limit


@dataclass(frozen=True, slots=True)
class Suite:
    """One half of the suite."""

    questions: tuple[GradedQuestion, ...]
    variants: tuple[Variant, ...]
    situations: tuple[Situation, ...]
    injections: tuple[Injection, ...]


def load_suite(folder: Path, split: Split) -> Suite:
    """The half ``split`` of all ``*.toml`` files in ``folder``, by their top-level tables.

    Raises:
        StartupError: there is no such folder or nothing in it, or a file is not what it should be.
    """
    entries: dict[str, list[Any]] = {"question": [], "pair": [], "situation": [], "injection": []}
    for file in sorted(folder.glob("*.toml")):
        for table, found in _tables(file).items():
            entries.setdefault(table, []).extend(found)
    suite = Suite(
        questions=_half(GradedQuestion, entries["question"], split),
        variants=_half(Variant, entries["pair"], split),
        situations=_half(Situation, entries["situation"], split),
        injections=_half(Injection, entries["injection"], split),
    )
    if not any((suite.questions, suite.variants, suite.situations, suite.injections)):
        raise StartupError(f"{folder} holds nothing to evaluate: no *.toml file with entries of the half {split}.")
    return suite


def _tables(file: Path) -> Mapping[str, list[Any]]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"{file} is not TOML: {error}.") from error


def _half(kind: type[T], entries: Sequence[Any], split: Split) -> tuple[T, ...]:
    adapter = TypeAdapter(kind)
    read: list[T] = []
    for entry in entries:
        if entry.get("split") in SPLITS and entry["split"] != split:
            continue
        try:
            read.append(adapter.validate_python(entry))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            name = entry.get("id") or entry.get("question")
            raise StartupError(
                f"The suite's entry {name!r} is not a {kind.__name__}: {where}: {first['msg']}."
            ) from error
    return tuple(read)


def spread(items: Sequence[T], count: int) -> tuple[T, ...]:
    """``count`` of ``items``, evenly over all of them; all if there are no more."""
    if count >= len(items):
        return tuple(items)
    return tuple(items[index * len(items) // count] for index in range(count))


def spread_over_kinds(injections: Sequence[Injection], count: int) -> tuple[Injection, ...]:
    """``count`` attacks, one of each kind in turn, so that no kind is left out."""
    kinds = dict.fromkeys(one.kind for one in injections)
    by_kind = {kind: [one for one in injections if one.kind == kind] for kind in kinds}
    longest = max((len(group) for group in by_kind.values()), default=0)
    turns = [group[turn] for turn in range(longest) for group in by_kind.values() if turn < len(group)]
    return tuple(turns[:count])
