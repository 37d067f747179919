"""POST /api/feedback."""

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.api.auth import protected
from app.api.task_call import TASK_RESPONSES, TaskCallDep
from app.schemas.feedback import FeedbackResponse
from app.tasks.feedback import FEEDBACK

router = APIRouter(route_class=protected("tasks"), prefix="/api", tags=["interview"])


@router.post("/feedback", responses=TASK_RESPONSES, response_model=FeedbackResponse)
async def feedback(call: TaskCallDep) -> FeedbackResponse | StreamingResponse:
    """Judge one answer."""
    return await call.answer(FEEDBACK)
