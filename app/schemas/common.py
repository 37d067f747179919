"""What the wire models of all endpoints share."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from app.schemas.scoring import DecisionMeta, Evidence, IntegrityFlag, ScoreMeta

# Also bounded by MAX_BODY_BYTES; the model's context is far smaller than both.
# The pattern is \S for every dialect: Rust, Python and ECMA-262 (the document's) differ in these two.
PromptText = Annotated[str, StringConstraints(min_length=1, max_length=200_000, pattern=r"[^\s\x85\uFEFF]")]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""For integers of requests: 77.0 is one too (JSON Schema 2020-12, validation, 6.1.1), and some clients write it so."""
MOST_TOKENS = 131_072
MaxTokens = Annotated[int, Field(ge=1, le=MOST_TOKENS), WHOLE]


class Request(BaseModel):
    """Base of request bodies: unknown fields are ignored, as the first callers' DTOs expect; types are strict."""

    model_config = ConfigDict(strict=True, extra="ignore")


class TokenUsage(BaseModel):
    """Tokens spent, as the engine counted them."""

    prompt_tokens: int = Field(ge=0, examples=[412])
    completion_tokens: int = Field(ge=0, examples=[96])
    total_tokens: int = Field(ge=0, examples=[508])


class Meta(BaseModel):
    """How an answer came about. Additive: clients may ignore it."""

    engine: str = Field(examples=["sglang"])
    model: str = Field(examples=["Qwen/Qwen3-32B-Instruct"])
    finish: str = Field(
        description="Why the generation ended: stop; or length, abort, broken (by the engine); or whitespace, "
        "repetition, overlong, not_json, stall, deadline (cut by the service). All but stop: see `repaired`.",
        examples=["stop"],
    )
    attempts: int = Field(ge=1, description="Generations this answer took.", examples=[1])
    repaired: list[str] = Field(description="What was changed to fit the contract; empty if nothing.", examples=[[]])
    usage: TokenUsage
    judged: Literal["fields", "labels", "whole prompt"] = Field(
        "whole prompt",
        description="Where question and answer were found: in fields of the request, by labels in the prompt, or not.",
    )
    score: ScoreMeta | None = Field(default=None, description="How the score was measured.")
    scores: list[ScoreMeta] | None = Field(default=None, description="The same for each question of a report.")
    decision: DecisionMeta | None = Field(default=None, description="What the next step was chosen from.")
    evidence: list[Evidence] | None = Field(default=None, description="Quotes that the points of a report rest on.")
    integrity_flags: list[IntegrityFlag] = Field(
        default_factory=list[IntegrityFlag], description="Passages that look like attempts to steer the judge."
    )


class ErrorBody(BaseModel):
    """What went wrong."""

    type: str = Field(examples=["invalid_request"])
    message: str = Field(examples=["user_prompt: this field is missing. Send it as a non-empty string."])
    param: str | None = Field(None, description="The field at fault.", examples=["user_prompt"])
    request_id: str = Field(examples=["5f0c1c7e9f3d4c7c8e0d3a7e3b1c2d4f"])


class ErrorResponse(BaseModel):
    """The one shape of every error."""

    error: ErrorBody


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "Not JSON, or a prompt longer than the model's context."},
    401: {"model": ErrorResponse, "description": "No API key that opens anything, where the service asks for one."},
    403: {"model": ErrorResponse, "description": "The API key does not open this."},
    413: {"model": ErrorResponse, "description": "The body is larger than MAX_BODY_BYTES."},
    415: {"model": ErrorResponse, "description": "The Content-Type is not application/json."},
    422: {"model": ErrorResponse, "description": "A field is missing, of the wrong type or out of bounds."},
    429: {"model": ErrorResponse, "description": "More than the API key may ask in a minute; see Retry-After."},
    502: {"model": ErrorResponse, "description": "The engine answered nonsense or broke off."},
    503: {"model": ErrorResponse, "description": "The engine is not ready or too busy; see Retry-After."},
    504: {"model": ErrorResponse, "description": "No complete answer within REQUEST_TIMEOUT."},
}
