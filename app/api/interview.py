"""POST /api/interview/step."""

from fastapi import APIRouter

from app.api.deps import DeadlineDep, ServicesDep
from app.schemas.common import ERRORS
from app.schemas.interview import InterviewStepResponse
from app.schemas.task import TaskRequest
from app.tasks.interview import INTERVIEW_STEP

router = APIRouter(prefix="/api/interview", tags=["interview"])


@router.post("/step", responses=ERRORS)
async def step(body: TaskRequest, services: ServicesDep, deadline: DeadlineDep) -> InterviewStepResponse:
    """Decide what the interviewer does next, and say it."""
    return await INTERVIEW_STEP.run(services.engine, body, deadline)
