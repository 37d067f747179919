"""What an engine says when it cannot answer -> the service's errors. The one place where this is translated. Pure."""

from collections.abc import Mapping
from typing import Any, cast

from app.core.http_pool import TransportError
from app.engines.profiles import EngineProfile
from app.errors import EngineFailure, NotReady, Overloaded, PromptTooLong, ServiceError

_SERVER_ERRORS = 500


def broken_exchange(error: TransportError) -> ServiceError:
    """A connection that failed: worth a retry if the engine had not begun to answer."""
    if error.before_response:
        return NotReady("The model's server cannot be reached. Repeat the call in a few seconds.", retry_after=5)
    return EngineFailure("The model's server broke off in the middle of its answer. Repeat the call.")


def refused(body: object, profile: EngineProfile, *, status: int | None = None) -> ServiceError:
    """An error body, flat (SGLang), nested (OpenAI, llama.cpp) or from inside a stream.

    Args:
        body: The parsed JSON.
        profile: Knows the engine's phrases.
        status: The HTTP status; None for an error inside a stream, whose ``code`` then counts.
    """
    fields = _fields(body)
    message = str(fields.get("message", ""))
    if any(phrase in message for phrase in profile.context_errors):
        return PromptTooLong(
            "The prompt and the answer together do not fit the model's context (MAX_MODEL_LEN). Send a shorter prompt."
        )
    if any(phrase in message for phrase in profile.overload_errors):
        return Overloaded("The model's own queue is full. Repeat the call in a few seconds.", retry_after=5)
    code = status if status is not None else _code(fields)
    if code in {401, 403}:
        return EngineFailure("The model's server refused this service's key. The operator has to check SGLANG_API_KEY.")
    if code == 503:  # noqa: PLR2004  the status of an engine that starts, drains or sheds load
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
