"""Plain chat."""

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

from app.schemas.common import MaxTokens, Request, TokenUsage

ChatText = Annotated[str, StringConstraints(min_length=1, max_length=200_000)]


class ChatMessage(Request):
    """One message of a chat; text only."""

    role: Literal["system", "user", "assistant"] = Field(examples=["user"])
    content: ChatText = Field(examples=["자기소개를 한 문장으로 부탁드려요."])


class ChatRequest(Request):
    """A chat to be continued."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "messages": [{"role": "user", "content": "면접 전에 긴장을 푸는 방법을 한 문장으로 알려줘."}],
                    "temperature": 0.7,
                    "max_tokens": 200,
                }
            ]
        }
    )

    messages: list[ChatMessage] = Field(min_length=1, max_length=512)
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False, description="DEFAULT_TEMPERATURE if null.")
    max_tokens: MaxTokens | None = Field(
        None,
        validation_alias=AliasChoices("max_tokens", "maxTokens"),
        description="DEFAULT_MAX_TOKENS if null. Also accepted as maxTokens.",
    )
    stream: bool = Field(default=False, description="Answer as server-sent events.")


class ChatResponse(BaseModel):
    """The next message of the chat."""

    content: str = Field(examples=["천천히 깊게 숨을 쉬면서 준비한 첫 문장을 떠올려 보세요."])
    usage: TokenUsage
