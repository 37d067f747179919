"""What is done with a task's answer before it leaves: it is counted, and put on record."""

import time
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from app.api.deps import Services
from app.schemas.common import Meta
from app.schemas.task import TaskRequest
from app.telemetry.audit import Decision
from app.telemetry.metrics import Metrics
from app.telemetry.record import RequestRecord, current

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Made(Generic[R]):
    """An answer and where it came from.

    Attributes:
        body: What is sent.
        record: Of the request for which it was made.
    """

    body: R
    record: RequestRecord | None


def made(body: R) -> Made[R]:
    """An answer that was made just now, for the current request."""
    record = current()
    if record is not None:
        record.settled_at = time.monotonic()
    return Made(body, record)


async def deliver(services: Services, key_name: str, asked: TaskRequest, version: str, answer: Made[Any]) -> None:
    """Count an answer and have it on record; it may leave when this returns.

    Args:
        services: Everything a route may use.
        key_name: Of the key with which the request came that gets the answer; empty if keys are not asked for.
        asked: Its body.
        version: Of the task's contract.
        answer: What it gets.

    Raises:
        NotRecorded: it cannot be recorded, and must be.
    """
    record, observer = current(), services.observer
    if record is None:
        return
    record.shared = answer.record is not record
    meta: Meta = answer.body.meta
    if observer.metrics is not None and not record.shared:
        _count(observer.metrics, record.task, meta)
    if observer.audit is None:
        return
    maker = answer.record or record
    await observer.audit.record(
        Decision(
            request_id=record.id,
            decided_by=maker.id,
            key_name=key_name,
            task=record.task,
            contract=version,
            engine=meta.engine,
            model=meta.model,
            asked=asked,
            generations=tuple(maker.generations),
            answer=answer.body,
        )
    )


def _count(metrics: Metrics, task: str, meta: Meta) -> None:
    for done in meta.repaired:
        metrics.repaired(task, done)
    for flag in meta.integrity_flags:
        metrics.flagged(task, flag.kind)
