"""What most teams write first: FastAPI, pydantic models and the OpenAI SDK. The service is compared with it.

Written plainly and in good faith: asyncio, one client for the process, uvloop, streaming where it is asked for.
"""

import json
import os
from collections.abc import AsyncIterator
from typing import Any, Literal, cast

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

client = AsyncOpenAI(base_url=os.environ["ENGINE_URL"] + "/v1", api_key=os.environ.get("ENGINE_KEY", "none"))
app = FastAPI()


class Message(BaseModel):
    """One message."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(BaseModel):
    """A chat."""

    model: str
    messages: list[Message]
    temperature: float = 0.7
    max_tokens: int = 1000
    stream: bool = False


@app.post("/v1/chat/completions", response_model=ChatCompletion)
async def chat(request: ChatRequest) -> Any:
    """Continue a chat."""
    answer = cast("Any", await client.chat.completions.create(**request.model_dump()))
    if not request.stream:
        return answer

    async def events() -> AsyncIterator[str]:
        async for chunk in answer:
            yield f"data: {chunk.model_dump_json()}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


class TaskRequest(BaseModel):
    """A task of the interview."""

    system_prompt: str
    user_prompt: str


@app.post("/api/feedback")
@app.post("/api/interview/step")
async def task(request: TaskRequest) -> dict[str, Any]:
    """Feedback on an answer, or the next step of an interview, in the JSON that the prompt asks for."""
    answer = await client.chat.completions.create(
        model=os.environ.get("MODEL", "bench"),
        messages=[
            {"role": "system", "content": request.system_prompt},
            {"role": "user", "content": request.user_prompt},
        ],
        temperature=0.7,
        max_tokens=1000,
        response_format={"type": "json_object"},
    )
    return json.loads(answer.choices[0].message.content or "{}")
