"""The next step of an interview."""

from typing import Literal

from pydantic import BaseModel, Field

from app.schemas.common import Meta

Action = Literal["FOLLOW_UP", "NEW_TOPIC", "NEXT_PHASE"]


class InterviewStepResponse(BaseModel):
    """What the interviewer does next."""

    thought: str = Field(examples=["개념은 알고 있으니 실제 경험을 확인한다."])
    action: Action = Field(examples=["FOLLOW_UP"])
    message: str | None = Field(
        max_length=255,
        description="What the interviewer says: prepared words that the answer was heard, then a question. Null only "
        "with NEXT_PHASE.",
        examples=["운영 중에 GC 때문에 생긴 문제를 해결해 본 적이 있나요?"],
    )
    evaluation: str | None = Field(examples=["정의는 정확하나 사례가 없다."])
    meta: Meta
