"""Attempts to steer the judge, in the place of a request where they stand. Pure."""

from collections.abc import Sequence
from typing import Literal

from app.core.integrity import Flag, find_flags
from app.schemas.scoring import IntegrityFlag
from app.schemas.task import TaskRequest
from app.tasks.judging.case import Case, Exchange

# A caller's own prompt is full of headers and of talk about scores, so of a whole prompt only this is worth telling.
_ANYWHERE = {"instruction", "control_token", "hidden_text", "encoded"}


def flags_of(exchange: Exchange | None, request: TaskRequest) -> Sequence[Flag]:
    """The flags in one answer, spans in it; in the whole user prompt if no answer could be cut out of it."""
    if exchange is not None:
        return find_flags(exchange.answer)
    return tuple(flag for flag in find_flags(request.user_prompt) if flag.kind in _ANYWHERE)


def told(flags: Sequence[Flag], exchange: Exchange | None, field: str = "answer") -> list[IntegrityFlag]:
    """The wire form: spans in the user prompt, or in the request's own ``field`` if the answer came there."""
    at = exchange.at if exchange is not None else 0
    where, offset = (field, 0) if at is None else ("user_prompt", at)
    return [IntegrityFlag(kind=f.kind, where=where, start=f.start + offset, end=f.end + offset) for f in flags]


def judged(case: Case) -> Literal["fields", "labels", "whole prompt"]:
    """What ``meta.judged`` says."""
    return "whole prompt" if case.source == "none" else case.source
