"""Whether the service can answer."""

from typing import Literal

from pydantic import BaseModel, Field


class HealthResponse(BaseModel):
    """The state of the service and its engine."""

    status: Literal["healthy", "unhealthy"] = Field(examples=["healthy"])
    service: str = Field(examples=["llm-service"])
    version: str = Field(examples=["0.1.0"])
    engine: str = Field(examples=["embedded"])
    model: str = Field(examples=["qwen2.5-coder-1.5b"])
    reason: str | None = Field(None, description="Why it is unhealthy.", examples=[None])
