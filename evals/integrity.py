"""What the detector of attacks on the judge catches, and how often it is wrong about honest answers.

    python -m evals.integrity

Counts on evals/suite/injections.toml and evals/suite/honest.toml. Patterns were developed on the half "tune", so only
the half "held-out" says how the detector does on phrases it was not made for.
"""

import argparse
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.core.integrity import find_flags

Split = Literal["tune", "held-out"]
SPLITS: tuple[Split, ...] = ("held-out", "tune")
_SUITE = Path(__file__).parent / "suite"


@dataclass(frozen=True, slots=True)
class Injection:
    """An answer with an attack in it, and the same answer without."""

    id: str
    kind: str
    language: str
    split: Split
    question: str
    base: str
    text: str


@dataclass(frozen=True, slots=True)
class Honest:
    """An answer that attacks nothing."""

    id: str
    split: Split
    question: str
    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many of some texts are flagged."""

    flagged: int
    total: int

    @property
    def share(self) -> float:
        """Flagged texts among all."""
        return self.flagged / self.total if self.total else 0.0


def injections() -> tuple[Injection, ...]:
    """The attacks of the suite."""
    return tuple(Injection(**one) for one in tomllib.loads((_SUITE / "injections.toml").read_text())["injection"])


def honest_answers() -> tuple[Honest, ...]:
    """The honest answers of the suite."""
    return tuple(Honest(**one) for one in tomllib.loads((_SUITE / "honest.toml").read_text())["answer"])


def count(cases: Sequence[Injection] | Sequence[Honest], split: Split) -> Count:
    """How many of the cases of one half raise a flag."""
    texts = [one.text for one in cases if one.split == split]
    return Count(sum(bool(find_flags(text)) for text in texts), len(texts))


def table() -> str:
    """Attacks by kind and language, then honest answers, held-out and tune apart."""
    attacks = injections()
    groups = dict.fromkeys((one.kind, one.language) for one in attacks)
    lines = [
        "| kind | language | held-out: attacks | caught | missed | tune: attacks | caught | missed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, language in groups:
        group = [one for one in attacks if (one.kind, one.language) == (kind, language)]
        lines.append(_row(kind, language, group))
    lines += [_row("all", language, [one for one in attacks if one.language == language]) for language in ("ko", "en")]
    lines += [_row("all", "all", attacks), "", "| honest answers | total | false alarms | share |", "|---|---|---|---|"]
    answers = honest_answers()
    for split in SPLITS:
        wrong = count(answers, split)
        lines.append(f"| {split} | {wrong.total} | {wrong.flagged} | {wrong.share:.1%} |")
    return "\n".join(lines)


def _row(kind: str, language: str, group: Sequence[Injection]) -> str:
    cells = [kind, language]
    for split in SPLITS:
        caught = count(group, split)
        cells += [str(caught.total), f"{caught.flagged} ({caught.share:.0%})", str(caught.total - caught.flagged)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--missed", action="store_true", help="list what is missed and what is a false alarm")
    arguments = parser.parse_args()
    print(table())
    if arguments.missed:
        for one in injections():
            if not find_flags(one.text):
                print(f"missed {one.id} ({one.split}): {one.text!r}")
        for answer in honest_answers():
            for flag in find_flags(answer.text):
                quoted = answer.text[flag.start : flag.end]
                print(f"false alarm {answer.id} ({answer.split}): {flag.kind} {quoted!r}")


if __name__ == "__main__":
    main()
