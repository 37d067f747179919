"""Wire models of the OpenAI-compatible routes: OpenAI's JSON exactly, in a bounded selection.

A field that is null counts as not sent, as at OpenAI: clients send back whole messages with all their nulls.
"""

from typing import Annotated, Any, Literal, LiteralString, NotRequired, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic validates no other before Python 3.12

from app.schemas.common import MOST_TOKENS, WHOLE, MaxTokens

_STOPS = 4
_SEED = 9_223_372_036_854_776_000  # 64 bits, as OpenAI's document has it: rounded to what a double can hold
_KIND = 40  # characters of a part's type that an error repeats

FinishReason = Literal["stop", "length"]
ErrorType = Literal["invalid_request_error", "server_error"]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
StopText = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
TopP = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS)]
# Short strings, which might come again, are not looked for among earlier ones: that takes a third less time.
_STRICT = ConfigDict(strict=True, extra="forbid", cache_strings="none")
_Stops = Annotated[list[StopText], Field(max_length=_STOPS)]
_Seed = Annotated[
    int, Field(ge=-_SEED, le=_SEED), WHOLE, AfterValidator(lambda seed: max(-(2**63), min(seed, 2**63 - 1)))
]


class _Accepted(BaseModel):
    """Base of what callers send: what is not named here is refused, by name."""

    # Frozen, and so hashable: a default that is not is copied for every request.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _sent(cls, data: object) -> object:
        """What was really sent: no nulls, and one unknown field for many, because a fault for each would take long."""
        if not isinstance(data, dict):
            return data
        fields = cls.__pydantic_fields__
        given = cast("dict[str, Any]", data)
        if given.keys() <= fields.keys() and None not in given.values():
            return given
        sent = {name: value for name, value in given.items() if value is not None}
        for name in [name for name in sent if name not in fields][1:]:
            del sent[name]
        return sent


def _only(accepted: object, sentence: LiteralString) -> BeforeValidator:
    """Refuse every other value with a sentence of our own."""

    def check(value: object) -> object:
        if type(value) is not type(accepted) or value != accepted:  # to Python, 1 equals True
            raise PydanticCustomError("unsupported", sentence)
        return value

    return BeforeValidator(check)


class TextPart(_Accepted):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


def _joined(content: object) -> object:
    """Content in parts as one text, a line for each part."""
    if not isinstance(content, list):
        return content
    texts = [_text(number, part) for number, part in enumerate(cast("list[object]", content))]
    if not texts:
        raise PydanticCustomError("parts", "must hold at least one part")
    return "\n".join(texts)


def _text(number: int, part: object) -> str:
    fields = cast("dict[str, object]", part) if isinstance(part, dict) else {}
    kind, text = fields.get("type"), fields.get("text")
    if isinstance(kind, str) and kind != "text":
        shown = kind if kind.isascii() and kind.isidentifier() and len(kind) <= _KIND else "?"
        where = {"number": number, "kind": shown}
        raise PydanticCustomError("unsupported", "part {number} is of type '{kind}'. Send text parts only", where)
    if kind is None or not isinstance(text, str) or len(fields) > len(TextPart.model_fields):
        raise PydanticCustomError(
            "parts", "part {number} must have a type ('text'), a text and nothing else", {"number": number}
        )
    return text


_Words = Annotated[str, StringConstraints(max_length=200_000)]
_Parts = Annotated[list[TextPart], Field(min_length=1)]
Content = Annotated[_Words, BeforeValidator(_joined, json_schema_input_type=_Words | _Parts)]


class ChatCompletionMessage(_Accepted):
    """One message of a chat; text only."""

    role: Literal["system", "developer", "user", "assistant"] = Field(
        description="developer is the same as system.", examples=["user"]
    )
    content: Content = Field(examples=["면접 전에 긴장을 푸는 방법을 한 문장으로 알려줘."])
    name: str | None = Field(None, max_length=64, description="Accepted and ignored.")


class StreamOptions(_Accepted):
    """What a stream holds besides text."""

    include_usage: bool = Field(default=False, description="One more chunk at the end, with the usage.")


class TextFormat(_Accepted):
    """Free text."""

    type: Literal["text"]


def _listed(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


class ChatCompletionRequest(_Accepted):
    """A chat to be continued, as OpenAI has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "Qwen/Qwen3-32B-Instruct",
                    "messages": [
                        {"role": "system", "content": "당신은 친절한 면접 코치입니다."},
                        {"role": "user", "content": "면접 전에 긴장을 푸는 방법을 한 문장으로 알려줘."},
                    ],
                    "temperature": 0.7,
                    "max_completion_tokens": 200,
                    "stream": True,
                    "stream_options": {"include_usage": True},
                }
            ]
        }
    )

    model: ModelName = Field(description="The name that GET /v1/models lists.", examples=["Qwen/Qwen3-32B-Instruct"])
    messages: list[ChatCompletionMessage] = Field(min_length=1, max_length=512)
    temperature: Temperature | None = Field(None, description="DEFAULT_TEMPERATURE if not sent.")
    top_p: TopP | None = Field(None, description="The model's own if not sent.")
    max_tokens: MaxTokens | None = Field(None, description="The older name of max_completion_tokens.")
    max_completion_tokens: MaxTokens | None = Field(None, description="DEFAULT_MAX_TOKENS if neither name is sent.")
    stop: Annotated[_Stops, BeforeValidator(_listed, json_schema_input_type=StopText | _Stops)] = Field(
        default_factory=list[StopText],
        description="A text, or up to four, before which the answer ends.",
    )
    stream: bool = Field(default=False, description="Answer as server-sent events.")
    stream_options: StreamOptions = StreamOptions()
    presence_penalty: float | None = Field(
        None, ge=-2, le=2, allow_inf_nan=False, description="The model's own if not sent."
    )
    frequency_penalty: float = Field(0, ge=-2, le=2, allow_inf_nan=False)
    seed: _Seed | None = Field(None, description="Best effort, as at OpenAI.")
    user: str | None = Field(None, max_length=512, description="Accepted and ignored.")
    n: Annotated[Literal[1], _only(1, "only one answer to a request. Send 1, or several requests")] = 1
    response_format: Annotated[
        TextFormat,
        _only(
            {"type": "text"},
            "only the type 'text'. No schema is taken from callers; for answers in JSON use /api/feedback, "
            "/api/interview/step or /api/report",
        ),
    ] = TextFormat(type="text")
    logprobs: Annotated[Literal[False], _only(False, "token probabilities are not returned. Leave it out")] = False  # noqa: FBT003  a value, not a flag
    store: Annotated[Literal[False], _only(False, "nothing is stored here. Leave it out")] = False  # noqa: FBT003  the same


class PlainMessage(TypedDict):
    """A message as most are: a ``ChatCompletionMessage`` of one text."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    role: Literal["system", "developer", "user", "assistant"]
    content: _Words


class PlainStreamOptions(TypedDict):
    """``StreamOptions`` in a plain request."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    include_usage: NotRequired[bool]


class PlainChat(TypedDict):
    """A request as most are: what it accepts, ``ChatCompletionRequest`` accepts and understands the same way.

    It is validated in a third of the time, because nothing of it is Python and what was not sent is not there.
    """

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    model: ModelName
    messages: Annotated[list[PlainMessage], Field(min_length=1, max_length=512)]
    temperature: NotRequired[Temperature]
    top_p: NotRequired[TopP]
    max_tokens: NotRequired[_Tokens]
    max_completion_tokens: NotRequired[_Tokens]
    stream: NotRequired[bool]
    stream_options: NotRequired[PlainStreamOptions]


class CachedTokens(BaseModel):
    """What the engine had computed before."""

    cached_tokens: int = Field(ge=0, examples=[384])


class CompletionUsage(BaseModel):
    """Tokens spent, as the engine counted them."""

    prompt_tokens: int = Field(ge=0, examples=[412])
    completion_tokens: int = Field(ge=0, examples=[96])
    total_tokens: int = Field(ge=0, examples=[508])
    prompt_tokens_details: CachedTokens


class AnswerMessage(BaseModel):
    """The next message of the chat."""

    role: Literal["assistant"] = "assistant"
    content: str = Field(examples=["천천히 깊게 숨을 쉬면서 준비한 첫 문장을 떠올려 보세요."])
    refusal: None = None


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    """A whole answer."""

    id: str = Field(
        description="`chatcmpl-` and the request's id, which is also in X-Request-Id.",
        examples=["chatcmpl-5f0c1c7e9f3d4c7c8e0d3a7e3b1c2d4f"],
    )
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Unix time.", examples=[1795403411])
    model: str = Field(examples=["Qwen/Qwen3-32B-Instruct"])
    choices: list[Choice] = Field(min_length=1, max_length=1)
    usage: CompletionUsage


class Delta(TypedDict):
    """What a chunk adds to the message."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str]


class ChunkChoice(TypedDict):
    """The one answer, in a chunk."""

    index: Literal[0]
    delta: Delta
    logprobs: None
    finish_reason: FinishReason | None


class SpentDetails(TypedDict):
    """``CachedTokens``, unvalidated."""

    cached_tokens: int


class SpentUsage(TypedDict):
    """``CompletionUsage``, unvalidated."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: SpentDetails


class ChatCompletionChunk(TypedDict):
    """One event of a stream: a plain dictionary, because there is one for every token."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: NotRequired[SpentUsage | None]


class ModelCard(BaseModel):
    """The model that is served."""

    id: str = Field(examples=["Qwen/Qwen3-32B-Instruct"])
    object: Literal["model"] = "model"
    created: int = Field(description="Unix time at which the service started.", examples=[1795403409])
    owned_by: str = Field(description="The kind of engine.", examples=["sglang"])
    max_model_len: int = Field(description="Tokens of prompt and answer together. Additive.", examples=[32768])


class ModelList(BaseModel):
    """The models that are served: one."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class OpenAIErrorBody(BaseModel):
    """What went wrong, in OpenAI's words."""

    message: str = Field(examples=["tools: this field is not accepted. Leave it out; /docs lists the accepted ones."])
    type: ErrorType
    param: str | None = Field(description="The field at fault.", examples=["tools"])
    code: str | None = Field(examples=["unsupported_parameter"])
    request_id: str = Field(description="Additive.", examples=["5f0c1c7e9f3d4c7c8e0d3a7e3b1c2d4f"])


class OpenAIErrorResponse(BaseModel):
    """OpenAI's shape of every error."""

    error: OpenAIErrorBody


def _error(description: str) -> dict[str, Any]:
    return {"model": OpenAIErrorResponse, "description": description}


OPENAI_ERRORS: dict[int | str, dict[str, Any]] = {
    400: _error("A field is missing, wrong or not accepted; not JSON; or a prompt longer than the model's context."),
    401: _error("No API key that opens anything, where the service asks for one."),
    403: _error("The API key does not open this."),
    404: _error("Another model than the one that is served."),
    413: _error("The body is larger than MAX_BODY_BYTES."),
    415: _error("The Content-Type is not application/json."),
    429: _error("More than the API key may ask in a minute; see Retry-After."),
    502: _error("The engine answered nonsense or broke off."),
    503: _error("The engine is not ready or too busy; see Retry-After."),
    504: _error("No complete answer within REQUEST_TIMEOUT."),
    "default": _error("Every other error has the same shape."),
}
