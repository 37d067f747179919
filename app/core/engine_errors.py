"""What an engine says when it cannot answer -> the service's errors. The one place where this is translated. Pure."""

from collections.abc import Mapping
from typing import Any, cast

from app.core.transport_errors import TransportError
from app.engines.profiles import EngineProfile
from app.errors import EngineFailure, NotReady, Overloaded, PromptTooLong, ServiceError

_SERVER_ERRORS = 500
_AWAY = {502, 503}  # an engine that starts, drains or sheds load, or a gateway that does not reach it


def broken_exchange(error: TransportError, *, retry_after: float = 5.0) -> ServiceError:
    """A connection that failed: worth a retry if the engine had not begun to answer."""
    if error.before_response:
        message = "The model's server cannot be reached. Repeat the call in a few seconds."
        return NotReady(message, retry_after=max(1.0, retry_after))
    return EngineFailure("The model's server broke off in the middle of its answer. Repeat the call.")


def refused(body: object, profile: EngineProfile, *, status: int | None = None) -> ServiceError:
    """An error body, flat (SGLang), nested (OpenAI, llama.cpp) or from inside a stream.

    Args:
        body: The parsed JSON.
        profile: Knows the engine's phrases.
        status: The HTTP status; None for an error inside a stream, whose ``code`` then counts.
    """
    fields = _fields(body)
    code = status if status is not None else _code(fields)
    error = _meaning(str(fields.get("message", "")), code, profile)
    error.engine_status = code
    return error


def _meaning(message: str, code: int, profile: EngineProfile) -> ServiceError:
    if any(phrase in message for phrase in profile.context_errors):
        return PromptTooLong(
            "The prompt and the answer together do not fit the model's context (MAX_MODEL_LEN). Send a shorter prompt."
        )
    if any(phrase in message for phrase in profile.overload_errors):
        return Overloaded("The model's own queue is full. Repeat the call in a few seconds.", retry_after=5)
    if code in {401, 403}:
        return EngineFailure("The model's server refused this service's key. The operator has to check SGLANG_API_KEY.")
    if code in _AWAY:
        return NotReady("The model's server is not ready. Repeat the call in a few seconds.", retry_after=5)
    if code >= _SERVER_ERRORS:
        return EngineFailure("The model's server failed. Repeat the call.")
    return EngineFailure("The model's server refused the request. This is a fault of the service; please report it.")


def _fields(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        return {}
    fields = cast("dict[str, Any]", body)
    inner = fields.get("error")
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else fields


def _code(fields: Mapping[str, Any]) -> int:
    code = fields.get("code")
    return code if isinstance(code, int) else _SERVER_ERRORS
