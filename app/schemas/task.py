"""The request that the three interview tasks share."""

from pydantic import ConfigDict, Field

from app.schemas.common import PromptText, Request


class TaskRequest(Request):
    """A finished prompt in two parts; the service adds its output contract after it."""

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
