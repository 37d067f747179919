"""The request that the three interview tasks share."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from app.schemas.common import WHOLE, PromptText, Request

_Words = Annotated[str, StringConstraints(max_length=20_000)]
_Count = Annotated[int, Field(ge=0, le=99), WHOLE]
_Score = Annotated[int, Field(ge=0, le=10), WHOLE]


class HistoryItem(Request):
    """One question that was asked, and its answer."""

    question: _Words
    answer: _Words = ""
    score: _Score | None = Field(None, description="What it was given earlier.")


class TaskRequest(Request):
    """A finished prompt in two parts; the service adds its output contract after it.

    What is judged is found in the prompt by its labels (docs/scoring.md); the optional fields say it outright and win.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "system_prompt": "당신은 백엔드 개발자 면접관입니다. 답변을 1~10점으로 평가하세요.",
                    "user_prompt": "질문: 자바의 가비지 컬렉션을 설명해 주세요.\n"
                    "답변: 참조되지 않는 객체를 JVM이 자동으로 회수하는 기능입니다.",
                }
            ]
        }
    )

    system_prompt: PromptText = Field(description="The interviewer's role, rules and score bands.")
    user_prompt: PromptText = Field(description="The question, the answer and whatever else this call is about.")
    question: _Words | None = Field(None, description="The question that was answered last.")
    answer: _Words | None = Field(None, description="The candidate's answer to it, word for word.")
    history: list[HistoryItem] | None = Field(
        None, max_length=50, description="Questions and answers before it; for a report: all of them."
    )
    follow_up_count: _Count | None = Field(None, description="Follow-ups asked on the current topic.")
    follow_up_limit: _Count | None = Field(None, description="Follow-ups that may be asked on one topic.")
    level: Literal["NEWCOMER", "JUNIOR", "MID", "SENIOR"] | None = Field(None, description="The candidate's level.")
    phase: Literal["OPENING", "TECHNICAL", "PERSONALITY", "CLOSING"] | None = Field(
        None, description="The phase of the interview."
    )
    rubric: Annotated[str, StringConstraints(max_length=4_000)] | None = Field(
        None, description="What a good answer to this question holds, in words."
    )
