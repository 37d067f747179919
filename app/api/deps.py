"""What routes are handed: the services that the lifespan opened, and facts about this request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from prometheus_client import CollectorRegistry
from pydantic import WithJsonSchema

from app.api.auth import Guard
from app.core.coalescing import Coalescer
from app.core.deadline import Deadline
from app.core.drain import Drain
from app.core.llm_engine import LLMEngine
from app.tasks.chat import ChatDefaults
from app.tasks.interview import StepTask
from app.tasks.judging.remembered import Remembered
from app.tasks.structured import Policy
from app.telemetry.observer import Observer
from app.telemetry.record import RequestRecord, current


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that requests may take, from their arrival.

    Attributes:
        request: Any request; a caller may ask for less, never for more.
        tasks: Tasks by their name.
    """

    request: float
    tasks: Mapping[str, float]

    def deadline(
        self, arrived_at: float, asked: float | None, task: str = "", record: RequestRecord | None = None
    ) -> Deadline:
        """When a request must be answered.

        Args:
            arrived_at: On the monotonic clock.
            asked: Seconds that its caller allows, if it says so.
            task: What is asked.
            record: Of the request; None: the current one, if there is one.
        """
        if asked is not None:
            allowed = min(asked, self.request)
            setting = "X-Request-Timeout" if allowed == asked else "REQUEST_TIMEOUT"
        else:
            allowed = self.tasks.get(task, self.request)
            setting = f"{task.partition('_')[0].upper()}_TIMEOUT" if task in self.tasks else "REQUEST_TIMEOUT"
        record = record or current()
        if record is not None:
            record.expires_at = arrived_at + allowed
        return Deadline(arrived_at + allowed, allowed, setting)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a route may use; opened in the lifespan, closed with it.

    Attributes:
        engine: The client of the engine.
        chat: What chat requests that do not say get.
        step: The interview step, in the order of fields that the operator chose.
        policy: What holds for all tasks.
        remembered: The answers that were measured lately; None: each is measured anew.
        timeouts: Seconds that requests may take.
        coalescer: Lets identical requests share one generation.
        idempotency_seconds: For how long an answer is given again to the same Idempotency-Key.
        guard: Who may call what.
        drain: Whether the service is on its way out.
        observer: Where what happens is counted and recorded.
        registry: What /metrics shows; None if it shows nothing.
        started_at: When the service started, Unix time.
    """

    engine: LLMEngine
    chat: ChatDefaults
    step: StepTask
    policy: Policy
    remembered: Remembered | None
    timeouts: Timeouts
    coalescer: Coalescer
    idempotency_seconds: float
    guard: Guard
    drain: Drain
    observer: Observer
    registry: CollectorRegistry | None
    started_at: int


async def get_services(request: Request) -> Services:
    """The services of this process."""
    return request.state.services


ServicesDep = Annotated[Services, Depends(get_services)]


AskedTimeout = Annotated[
    float | None,
    WithJsonSchema({"type": "number", "minimum": 0.1, "maximum": 3600}),  # no header can be null
    Header(
        alias="X-Request-Timeout",
        ge=0.1,
        le=3600,
        allow_inf_nan=False,
        description="Seconds in which the caller needs the answer; never more than REQUEST_TIMEOUT.",
    ),
]
