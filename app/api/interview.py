"""POST /api/interview/step."""

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.api.auth import protected
from app.api.task_call import TASK_RESPONSES, TaskCallDep
from app.schemas.interview import InterviewStepResponse

router = APIRouter(route_class=protected("tasks"), prefix="/api/interview", tags=["interview"])


@router.post("/step", responses=TASK_RESPONSES, response_model=InterviewStepResponse)
async def step(call: TaskCallDep) -> InterviewStepResponse | StreamingResponse:
    """Decide what the interviewer does next, and say it."""
    return await call.answer(call.services.step)
