"""What a request body may hold, and SGLang's words when it does not."""

import json
import math
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from simulator.errors import InvalidRequest

Body = TypeVar("Body", bound=BaseModel)
_ROLES = ("system", "assistant", "tool", "function", "developer", "latest_reminder", "root")
# The real message quotes the file and line of the route; SITE stands for the folder of the installed package.
_SOURCES = {
    "/v1/chat/completions": ("1870", "openai_v1_chat_completions"),
    "/v1/completions": ("1860", "openai_v1_completions"),
    "/generate": ("933", "generate_request"),
}
_GENERIC = "function-after[validate_thinking_parts_role(), ChatCompletionMessageGenericParam]"
_USER = "function-after[validate_thinking_parts_role(), ChatCompletionMessageUserParam]"


class _Open(BaseModel):
    """Unknown fields are ignored, as the engine does."""

    model_config = ConfigDict(extra="ignore")


class StreamOptions(_Open):
    """`stream_options`."""

    include_usage: bool | None = False
    continuous_usage_stats: bool | None = False


class ResponseFormat(_Open):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema", "structural_tag"]
    json_schema: dict[str, Any] | None = None


def _or_unset(value: object) -> object:
    return () if value is None else value


class Sampling(_Open):
    """The sampling fields the OpenAI routes share."""

    model: str = "default"
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    n: int = 1
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: Annotated[tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else _or_unset(v))] = ()
    rid: str | None = None
    priority: int | None = None
    regex: str | None = None
    ebnf: str | None = None
    ignore_eos: bool = False
    response_format: ResponseFormat | None = None


class ChatBody(Sampling):
    """`POST /v1/chat/completions`."""

    messages: list[dict[str, Any]]
    max_completion_tokens: int | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    continue_final_message: bool = False

    @property
    def begun(self) -> str:
        """What the answer begins with: the last message, if it is the model's own and to be gone on with."""
        last = self.messages[-1]
        own = self.continue_final_message and last.get("role") == "assistant" and isinstance(last.get("content"), str)
        return str(last["content"]) if own else ""


class CompletionBody(Sampling):
    """`POST /v1/completions`."""

    prompt: str | list[str] | list[int]
    logprobs: int | None = None
    echo: bool = False


class NativeSampling(Sampling):
    """`sampling_params` of `/generate`."""

    max_new_tokens: int | None = 128
    json_schema: str | None = None


class NativeBody(_Open):
    """`POST /generate`."""

    text: str | list[str] | None = None
    input_ids: list[int] | None = None
    sampling_params: NativeSampling = NativeSampling()
    stream: bool = False
    rid: str | None = None
    priority: int | None = None


def refuse(path: str, errors: list[dict[str, Any]]) -> InvalidRequest:
    """The 400 for errors that the framework found."""
    line, function = _SOURCES.get(path, ("1", "route"))
    plural = "" if len(errors) == 1 else "s"
    listed = "".join(f"  {error}\n" for error in errors)
    message = (
        f"{len(errors)} validation error{plural}:\n{listed}\n"
        f'  File "SITE/sglang/srt/entrypoints/http_server.py", line {line}, in {function}\n'
        f"    POST {path} {errors}"
    )
    return InvalidRequest(message, "Bad Request")


def parse_json(path: str, body: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object in a request body.

    Raises:
        InvalidRequest: It is not JSON, not an object, or not declared as JSON.
    """
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        at = getattr(error, "pos", 0)
        ended = at >= len(body.decode("utf-8", "replace").rstrip())
        why = "unexpected end of data" if ended else getattr(error, "msg", "invalid utf-8")
        found = {
            "type": "json_invalid",
            "loc": ("body", len(body) if ended else at),
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": why},
        }
        raise refuse(path, [found]) from None
    if content_type.partition(";")[0].strip().lower() != "application/json":
        said = "Unsupported Media Type: Only 'application/json' is allowed"
        raise refuse(path, [{"loc": ["header", "content-type"], "msg": said, "type": "value_error"}])
    if not isinstance(value, dict):
        said = "Input should be a valid dictionary or object to extract fields from"
        raise refuse(path, [{"type": "model_attributes_type", "loc": ("body",), "msg": said, "input": value}])
    return value  # pyright: ignore[reportUnknownVariableType]  this is the JSON edge


def parse_body(kind: type[Body], path: str, value: dict[str, Any]) -> Body:
    """The body as a model.

    Raises:
        InvalidRequest: A field is missing or of the wrong type.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        found: list[dict[str, Any]] = []
        for item in error.errors(include_url=False):
            if item["type"] == "missing" and len(item["loc"]) == 1 and kind is ChatBody:
                # The real model fills this default in before it looks for what is missing.
                item["input"] = {**value, "tool_choice": value.get("tool_choice", "none")}
            found.append({**item, "loc": ("body", *item["loc"])})
        raise refuse(path, found) from None


def check_chat(body: ChatBody) -> None:
    """The checks after the types.

    Raises:
        InvalidRequest: A role is unknown, there is no message, or a schema is announced and missing.
    """
    for index, message in enumerate(body.messages):
        _check_role(index, message.get("role"))
    if not body.messages:
        raise InvalidRequest("Messages cannot be empty.")
    wanted = body.response_format
    if wanted and wanted.type == "json_schema" and (wanted.json_schema or {}).get("schema") is None:
        raise InvalidRequest("schema_ is required for json_schema response format request.")


def _check_role(index: int, role: object) -> None:
    if isinstance(role, str) and role.lower() in (*_ROLES, "user"):
        return
    said = f"'role' must be one of {', '.join(map(repr, _ROLES))} (case-insensitive)."
    errors: list[dict[str, Any]] = [
        {
            "type": "value_error",
            "loc": ("body", "messages", index, _GENERIC, "role"),
            "msg": f"Value error, {said}",
            "input": role,
            "ctx": {"error": ValueError(said)},
        },
        {
            "type": "literal_error",
            "loc": ("body", "messages", index, _USER, "role"),
            "msg": "Input should be 'user'",
            "input": role,
            "ctx": {"expected": "'user'"},
        },
    ]
    raise refuse("/v1/chat/completions", errors)


_RULES: dict[str, tuple[float, float, bool, str]] = {  # field: low, high, whether low is outside, the rule in words
    "top_p": (0.0, 1.0, True, "must be in (0, 1]"),
    "min_p": (0.0, 1.0, False, "must be in [0, 1]"),
    "frequency_penalty": (-2.0, 2.0, False, "must be in [-2, 2]"),
    "presence_penalty": (-2.0, 2.0, False, "must be in [-2, 2]"),
    "repetition_penalty": (0.0, 2.0, True, "must be in (0, 2] (1.0 = no penalty)"),
    "max_tokens": (0, math.inf, False, "must be at least 0"),
}


def check_sampling(body: Sampling) -> None:
    """The checks of the sampling parameters.

    Raises:
        InvalidRequest: One is out of range, or two constraints are set.
    """
    if body.n < 1:
        raise InvalidRequest(f"n must be at least 1, got {body.n}.")
    heat = body.temperature
    if heat is not None and (not math.isfinite(heat) or heat < 0):
        raise InvalidRequest(f"temperature must be a non-negative finite number, got {heat}.")
    if body.top_k is not None and body.top_k < 1 and body.top_k != -1:
        raise InvalidRequest(f"top_k must be -1 (disable) or at least 1, got {body.top_k}.")
    for field, (low, high, open_low, rule) in _RULES.items():
        value = getattr(body, field)
        if value is None or (low < value <= high) or (value == low and not open_low):
            continue
        name = "max_new_tokens" if field == "max_tokens" else field
        raise InvalidRequest(f"{name} {rule}, got {value}.")
    shaped = body.response_format is not None and body.response_format.type != "text"
    if sum((shaped, body.regex is not None, body.ebnf is not None)) > 1:
        raise InvalidRequest("Only one of json_schema, regex, ebnf, or structural_tag can be set.")
