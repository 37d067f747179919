"""POST /api/feedback."""

from fastapi import APIRouter

from app.api.lean import ProtectedTasksRoute
from app.api.task_call import TASK_RESPONSES, TaskCallDep
from app.schemas.feedback import FeedbackResponse
from app.schemas.task import TaskRequest
from app.tasks.feedback import FEEDBACK

router = APIRouter(route_class=ProtectedTasksRoute, prefix="/api", tags=["interview"])


@router.post("/feedback", responses=TASK_RESPONSES, response_model=FeedbackResponse)
async def feedback(body: TaskRequest, call: TaskCallDep) -> None:
    """Judge one answer."""
    await call.give(FEEDBACK, body)
