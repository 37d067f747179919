"""Fault switches: what to break, for which requests, how often."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.text import dice

GENERATION_ROUTES = ("/v1/chat/completions", "/v1/completions", "/generate")


class Kind(StrEnum):
    """The ways to fail."""

    REFUSE = "refuse"  # at once: the port is closed for `seconds`
    RESTART = "restart"  # at once: connections die, the port is closed for `seconds`, then Starting for `starting`
    RESET = "reset"  # TCP RST after `tokens` (0: before the first byte)
    DROP = "drop"  # the connection closes in the middle of the body after `tokens`
    HANG = "hang"  # nothing before the first byte for `seconds` (unset: for ever)
    STALL = "stall"  # a pause of `seconds` (unset: for ever) after `tokens`
    DRIP = "drip"  # the body byte by byte, `seconds` apart
    STATUS = "status"  # an error answer with `status` and `message`
    TRUNCATE = "truncate"  # the text ends at byte `bytes`; `how` says with what
    WHITESPACE = "whitespace"  # blanks from byte `bytes` on, until max_tokens
    ENDLESS_STRING = "endless_string"  # prose without an end from byte `bytes` on
    REPETITION = "repetition"  # the last words again and again from byte `bytes` on
    REASONING = "reasoning"  # the text in reasoning_content, content null
    ABORT = "abort"  # finish_reason "abort" after `tokens`
    INVALID_UTF8 = "invalid_utf8"  # a broken byte in the text after `tokens`
    ERROR_EVENT = "error_event"  # an error event inside the 200 stream after `tokens`
    NO_DONE = "no_done"  # a stream without [DONE]
    SILENT_END = "silent_end"  # a stream that ends cleanly after `tokens`: no finish_reason, no [DONE]


AT_ONCE = frozenset({Kind.REFUSE, Kind.RESTART})
ENDLESS = frozenset({Kind.WHITESPACE, Kind.ENDLESS_STRING, Kind.REPETITION})


class Fault(BaseModel):
    """One switch, and which requests it hits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    routes: tuple[str, ...] = Field(GENERATION_ROUTES, description="exact paths it applies to")
    stream: bool | None = Field(None, description="only streamed (true) or only plain (false) requests")
    match: str | None = Field(None, description="only when the raw body holds this text")
    skip: int = Field(0, ge=0, description="let this many matching requests pass first")
    count: int | None = Field(None, ge=1, description="hit at most this many requests")
    probability: float = Field(1.0, ge=0, le=1, description="chance of a hit, drawn from `seed`")
    seed: int = 0
    seconds: float | None = Field(None, ge=0)
    starting: float = Field(0.0, ge=0)
    tokens: int = Field(0, ge=0)
    bytes: int = Field(0, ge=0)
    status: int = Field(500, ge=400, le=599)
    message: str | None = None
    how: Literal["length", "drop"] = "length"


class _Switch:
    """A fault with what it has done so far."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.hits = 0
        self._rng = dice(fault.seed)

    def draws(self, path: str, body: bytes, *, stream: bool) -> bool:
        """Whether it hits this request."""
        fault = self.fault
        if path not in fault.routes or fault.stream not in (None, stream):
            return False
        if fault.match is not None and fault.match.encode() not in body:
            return False
        self.seen += 1
        spent = fault.count is not None and self.hits >= fault.count
        if self.seen <= fault.skip or spent or self._rng.random() >= fault.probability:
            return False
        self.hits += 1
        return True


class FaultBoard:
    """The switches that are set."""

    def __init__(self) -> None:
        self._switches: list[_Switch] = []

    def set(self, faults: list[Fault]) -> None:
        """Replace all switches."""
        self._switches = [_Switch(fault) for fault in faults if fault.kind not in AT_ONCE]

    def draw(self, path: str, body: bytes, *, stream: bool) -> dict[Kind, Fault]:
        """The faults that hit a request: one of a kind, the first set wins."""
        if not self._switches:
            return {}
        drawn: dict[Kind, Fault] = {}
        for switch in self._switches:
            if switch.fault.kind not in drawn and switch.draws(path, body, stream=stream):
                drawn[switch.fault.kind] = switch.fault
        return drawn

    def report(self) -> list[dict[str, object]]:
        """Each switch with its counters."""
        return [
            {**switch.fault.model_dump(mode="json", exclude_defaults=True), "seen": switch.seen, "hits": switch.hits}
            for switch in self._switches
        ]
