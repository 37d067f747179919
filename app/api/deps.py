"""What routes are handed: the services that the lifespan opened, and facts about this request."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.core.deadline import Deadline
from app.core.llm_engine import LLMEngine
from app.tasks.chat import ChatDefaults
from app.tasks.interview import StepTask
from app.tasks.structured import Policy


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a route may use; opened in the lifespan, closed with it.

    Attributes:
        engine: The client of the engine.
        chat: What chat requests that do not say get.
        step: The interview step, in the order of fields that the operator chose.
        policy: What holds for all tasks.
        request_timeout: Seconds a request may take.
        started_at: When the service started, Unix time.
    """

    engine: LLMEngine
    chat: ChatDefaults
    step: StepTask
    policy: Policy
    request_timeout: float
    started_at: int


async def get_services(request: Request) -> Services:
    """The services of this process."""
    return request.state.services


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_deadline(request: Request, services: ServicesDep) -> Deadline:
    """When this request must be answered, counted from its arrival."""
    return Deadline(request.state.arrived_at + services.request_timeout, services.request_timeout)


DeadlineDep = Annotated[Deadline, Depends(get_deadline)]
