"""POST /api/interview/step."""

from fastapi import APIRouter

from app.api.lean import ProtectedTasksRoute
from app.api.task_call import TASK_RESPONSES, TaskCallDep
from app.schemas.interview import InterviewStepResponse
from app.schemas.task import TaskRequest

router = APIRouter(route_class=ProtectedTasksRoute, prefix="/api/interview", tags=["interview"])


@router.post("/step", responses=TASK_RESPONSES, response_model=InterviewStepResponse)
async def step(body: TaskRequest, call: TaskCallDep) -> None:
    """Decide what the interviewer does next, and say it."""
    await call.give(call.services.step, body)
