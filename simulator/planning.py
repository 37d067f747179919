"""What one request will say, decided before its first token."""

import time
from dataclasses import dataclass, field

from simulator.answer import Constraint, cut_at_bytes
from simulator.engine import Engine
from simulator.errors import EngineAbort, InvalidRequest
from simulator.faults import ENDLESS, Fault, Kind
from simulator.scheduler import Job
from simulator.text import dice, language_of, sentences
from simulator.tokens import split

_LONGEST = 200_000  # characters of an endless text


@dataclass(slots=True)
class Order:
    """What a route asks of the engine."""

    prompt: str
    model: str
    rid: str
    stream: bool
    limit: int | None
    samples: int = 1
    stop: tuple[str, ...] = ()
    priority: int | None = None
    constraint: Constraint | None = None
    ignore_eos: bool = False
    begun: str = ""
    faults: dict[Kind, Fault] = field(default_factory=dict[Kind, Fault])


@dataclass(slots=True)
class Sample:
    """One answer: its tokens and how it ends."""

    index: int
    pieces: list[str]
    finish: str
    matched: int | str | None
    extra: int  # tokens that leave no text: the end token

    @property
    def tokens(self) -> int:
        """Completion tokens."""
        return len(self.pieces) + self.extra

    def abort(self, done: int) -> None:
        """End the answer early."""
        self.pieces, self.extra = self.pieces[: max(0, done)], 0
        self.finish, self.matched = "abort", None


@dataclass(slots=True)
class Run:
    """An order on its way through the engine."""

    order: Order
    job: Job
    samples: list[Sample]
    prompt_pieces: list[str]
    cached: int = 0
    created: int = field(default_factory=lambda: int(time.time()))
    first_at: float = 0.0
    interval: float = 0.0
    reasoning: bool = False
    spent: set[Kind] = field(default_factory=set[Kind])

    @property
    def longest(self) -> int:
        """Tokens with text of the longest answer."""
        return max(len(sample.pieces) for sample in self.samples)

    def due(self, token: int) -> float:
        """When a token is there."""
        return self.first_at + token * self.interval


def plan(engine: Engine, order: Order, job: Job) -> Run:
    """Check an order against the engine's bounds and decide what it will say.

    Raises:
        RequestError: It does not fit, or its constraint does not compile.
    """
    pieces = split(order.prompt)
    _check_room(engine, order, len(pieces))
    if engine.scheduler.known(order.rid):
        raise InvalidRequest(f"Duplicate request ID detected: {order.rid}")
    engine.author.compile(order.constraint)
    room = engine.settings.context_length - len(pieces)
    samples = [_sample(engine, order, index, room) for index in range(order.samples)]
    run = Run(order, job, samples, pieces, reasoning=Kind.REASONING in order.faults)
    job.held_tokens = len(pieces) + sum(sample.tokens for sample in samples)
    return run


def _check_room(engine: Engine, order: Order, count: int) -> None:
    context = engine.settings.context_length
    if count >= context:
        raise InvalidRequest(
            f"The input ({count} tokens) is longer than the model's context length ({context} tokens)."
        )
    wanted = order.limit or 0
    if count + wanted > context:
        raise InvalidRequest(
            f"Requested token count exceeds the model's maximum context length of {context} tokens. You requested a "
            f"total of {count + wanted} tokens: {count} tokens from the input messages and {wanted} tokens for the "
            "completion. Please reduce the number of tokens in the input messages or the completion to fit within "
            "the limit."
        )
    allowed = engine.settings.longest_input
    if count >= allowed:
        raise EngineAbort(
            400,
            f"Input length ({count} tokens) exceeds the maximum allowed length ({allowed} tokens). Use a shorter "
            "input or enable --allow-auto-truncate.",
        )


def _sample(engine: Engine, order: Order, index: int, room: int) -> Sample:
    """Decide one answer: the text, bent by faults, cut by stop strings and by the token limit."""
    text = _going_on(engine.author.write(order.prompt, order.constraint, engine.settings, index), order.begun)
    text, ended = _bend(text, order)
    limit = room if order.limit is None else order.limit
    finish, matched, extra = "stop", engine.settings.eos_token_id, 1
    found = [(text.index(stop), stop) for stop in order.stop if stop in text]
    if found:
        at, matched_stop = min(found)
        pieces = split(text[:at])
        sample = Sample(index, pieces, "stop", matched_stop, len(split(matched_stop)))
    else:
        sample = Sample(index, split(text), finish, matched, extra)
    if ended or len(sample.pieces) + 1 > limit or (order.ignore_eos and not found):
        sample.pieces = sample.pieces[:limit]
        sample.finish, sample.matched, sample.extra = "length", None, 0
    return sample


def _going_on(text: str, begun: str) -> str:
    """An answer without its beginning; if it lacks only the sentence with which a text begins there, behind that."""
    at = begun.rfind('"') + 1
    if 0 < at < len(begun) and not text.startswith(begun) and text.startswith(begun[:at]):
        return " " + text[at:]
    return text.removeprefix(begun)


def _bend(text: str, order: Order) -> tuple[str, bool]:
    """Apply the faults of the text itself; whether it now ends without an end token."""
    for kind in ENDLESS & order.faults.keys():
        head = cut_at_bytes(text, order.faults[kind].bytes)
        return head + _endless(kind, head, text), True
    if fault := order.faults.get(Kind.TRUNCATE):
        return cut_at_bytes(text, fault.bytes), True
    return text, False


def _endless(kind: Kind, head: str, text: str) -> str:
    if kind is Kind.WHITESPACE:
        return "\n\n\n\n        " * (_LONGEST // 12)
    if kind is Kind.REPETITION:
        words = f" {head[-12:] or text[:12]}"
        return words * (_LONGEST // len(words))
    once = sentences(language_of(text), 2000, dice(0)) + " "
    return once * (_LONGEST // len(once))
