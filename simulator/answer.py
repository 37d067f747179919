"""What the engine "says": the text of an answer, and which tokens it could have been."""

import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from simulator.errors import EngineAbort, GrammarError
from simulator.grammar import Grammar, parse
from simulator.regexes import parse_regex
from simulator.schema import SchemaWriter
from simulator.settings import Settings
from simulator.text import dice, language_of, reply, seed_of
from simulator.tokens import split
from simulator.walker import Walker, words

_KEPT_GRAMMARS = 256
_WHERE = {"json": "json_schema_converter.cc:4175", "regex": "regex_converter.cc:83", "ebnf": "grammar_parser.cc:121"}
_REF_WHERE = "json_schema_converter.cc:4181"


Script: TypeAlias = tuple[str, ...] | Mapping[str, str]
"""Exact answers: in turn, or each by a text that the prompt holds (the first that fits)."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """The shape an answer must have."""

    kind: Literal["json", "regex", "ebnf"]
    value: str


class Author:
    """Writes answers: scripted ones where there are such, derived ones else."""

    def __init__(self, script: Script = ()) -> None:
        self._script = script
        self._turn = 0
        self._grammars: OrderedDict[Constraint, Grammar] = OrderedDict()

    def set_script(self, script: Script) -> None:
        """Give these answers; those that come in turn, again from the first after the last."""
        self._script, self._turn = script, 0

    def compile(self, constraint: Constraint | None) -> None:
        """Read a constraint.

        Raises:
            EngineAbort: It does not compile; the scheduler finds that, so a stream has its 200 by then.
        """
        if constraint is None:
            return
        try:
            if constraint.kind == "json":
                SchemaWriter(json.loads(constraint.value), dice(0), 1, "en")
            else:
                self._grammar(constraint)
        except (GrammarError, RecursionError) as error:
            place = _REF_WHERE if "Cannot find field" in str(error) else _WHERE[constraint.kind]
            stamp = datetime.now(UTC).strftime("%H:%M:%S")
            said = f"Failed to compile {constraint.kind} grammar: [{stamp}] /project/cpp/{place}: {error}\n"
            raise EngineAbort(400, said) from error

    def _grammar(self, constraint: Constraint) -> Grammar:
        known = self._grammars.get(constraint)
        if known is None:
            known = parse(constraint.value) if constraint.kind == "ebnf" else parse_regex(constraint.value)
            self._grammars[constraint] = known
            if len(self._grammars) > _KEPT_GRAMMARS:
                self._grammars.popitem(last=False)
        return known

    def write(self, prompt: str, constraint: Constraint | None, settings: Settings, index: int) -> str:
        """The answer number `index` to a prompt."""
        scripted = self._scripted(prompt)
        if scripted is not None:
            return scripted
        if constraint is None:
            return reply(prompt, settings.seed + index)
        rng = dice(seed_of(prompt, settings.seed, index))
        if constraint.kind == "json":
            schema: dict[str, Any] = json.loads(constraint.value)
            return SchemaWriter(schema, rng, settings.typical_chars, language_of(prompt)).text()
        return Walker(self._grammar(constraint), rng, settings.typical_chars, language_of(prompt)).text()

    def _scripted(self, prompt: str) -> str | None:
        if isinstance(self._script, Mapping):
            return next((answer for text, answer in self._script.items() if text in prompt), None)
        if not self._script:
            return None
        self._turn += 1
        return self._script[(self._turn - 1) % len(self._script)]

    def choices(self, constraint: Constraint | None) -> list[str]:
        """Every text a small constraint allows; empty when there are many or no constraint."""
        if constraint is None or constraint.kind == "json":
            return []
        return words(self._grammar(constraint)) or []


def logprob_entry(piece: str, others: list[tuple[str, float]], own: float) -> dict[str, object]:
    """One token of `logprobs.content`."""
    top = [{"token": token, "bytes": list(token.encode()), "logprob": value} for token, value in others]
    return {"token": piece, "bytes": list(piece.encode()), "logprob": own, "top_logprobs": top}


def next_tokens(choices: list[str], before: str, piece: str, *, constrained: bool) -> list[str]:
    """The tokens a constraint allows after a text; for a digit under a large constraint, all digits."""
    left = [choice[len(before) :] for choice in choices if choice.startswith(before)]
    found = sorted({split(rest)[0] for rest in left if rest})
    if piece in found:
        return found
    return list("0123456789") if constrained and piece.isdecimal() else []


def distribution(piece: str, options: list[str], top: int, *, seed: int) -> tuple[float, list[tuple[str, float]]]:
    """The token's own log-probability and the `top` likeliest of its options, best first."""
    digits = [option for option in options if option.isdecimal()]
    if piece in digits:
        ranked = _around(int(piece), digits)
    elif piece in options:
        rest = [option for option in options if option != piece]
        ranked = [(piece, math.log(0.72) if rest else 0.0)]
        ranked += [(option, math.log(0.28 / len(rest))) for option in rest]
    else:
        rng = dice(seed_of(piece, seed))
        own = -rng.expovariate(4.0) - 0.001
        left = max(1e-9, 1.0 - math.exp(own))
        ranked = [(piece, own)]
        ranked += [
            (f"{piece.rstrip()}{chr(0x61 + rank)}", min(own, math.log(left / 2**rank))) for rank in range(1, top)
        ]
    # Outside the constraint every token has the same vanishing mass.
    used = {token for token, _ in ranked}
    spare = (token for token in map(chr, range(0x30, 0x7F)) if token not in used)
    ranked += [(next(spare), -23.0 - rank) for rank in range(top - len(ranked))]
    return ranked[0][1], ranked[:top]


def _around(chosen: int, digits: list[str]) -> list[tuple[str, float]]:
    """A bell around the chosen number, over the numbers the constraint allows."""
    weights = {digit: math.exp(-((int(digit) - chosen) ** 2) / 1.2) for digit in digits}
    whole = sum(weights.values())
    pairs = [(digit, math.log(weight / whole)) for digit, weight in weights.items()]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0] != str(chosen)))


def cut_at_bytes(text: str, size: int) -> str:
    """The text up to a byte, without half a character."""
    return text.encode()[:size].decode("utf-8", "ignore")
