"""What engines really say when they refuse: the bodies are copies of answers of SGLang 0.5.23 and llama.cpp."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.engine_errors import broken_exchange, refused
from app.core.transport_errors import TransportError
from app.engines.profiles import EMBEDDED, SGLANG, EngineProfile
from app.errors import EngineFailure, NotReady, Overloaded, PromptTooLong, ServiceError


def flat(message: str, kind: str = "BadRequestError", code: int = 400) -> dict[str, Any]:
    """SGLang's error body."""
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def nested(message: str, kind: str, code: int) -> dict[str, Any]:
    """llama.cpp's error body."""
    return {"error": {"code": code, "message": message, "type": kind}}


JSON_INVALID = (
    "1 validation error:\n  {'type': 'json_invalid', 'loc': ('body', 10), 'msg': 'JSON decode error', 'input': {}, "
    "'ctx': {'error': 'unexpected end of data'}}\n\n  File \"SITE/sglang/srt/entrypoints/http_server.py\", line 1870, "
    "in openai_v1_chat_completions\n    POST /v1/chat/completions"
)
NO_MESSAGES = (
    "1 validation error:\n  {'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', "
    "'input': {'model': 'smol', 'tool_choice': 'none'}}\n\n  File \"SITE/sglang/srt/entrypoints/http_server.py\""
)
TOO_MANY_TOKENS = (
    "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9037 "
    "tokens: 37 tokens from the input messages and 9000 tokens for the completion. Please reduce the number of tokens "
    "in the input messages or the completion to fit within the limit."
)
TOO_LONG_FOR_CACHE = (
    "Input length (3031 tokens) exceeds the maximum allowed length (2042 tokens). Use a shorter input or enable "
    "--allow-auto-truncate."
)
LLAMA_TOO_LONG = "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it"

# engine, status, body, the error it means
SAID: list[tuple[EngineProfile, int, Any, type[ServiceError]]] = [
    (
        SGLANG,
        400,
        flat("The input (9031 tokens) is longer than the model's context length (8192 tokens)."),
        PromptTooLong,
    ),
    (SGLANG, 400, flat(TOO_MANY_TOKENS), PromptTooLong),
    (SGLANG, 400, flat(TOO_LONG_FOR_CACHE), PromptTooLong),
    (SGLANG, 503, flat("The request queue is full.", "503", 503), Overloaded),
    (SGLANG, 401, {"error": "Unauthorized"}, EngineFailure),
    (SGLANG, 400, flat(JSON_INVALID, "Bad Request"), EngineFailure),
    (SGLANG, 400, flat(NO_MESSAGES, "Bad Request"), EngineFailure),
    (SGLANG, 400, flat("Messages cannot be empty."), EngineFailure),
    (SGLANG, 400, flat("schema_ is required for json_schema response format request."), EngineFailure),
    (SGLANG, 400, flat("temperature must be a non-negative finite number, got -1.0."), EngineFailure),
    (
        SGLANG,
        400,
        flat(
            "Failed to compile regex grammar: [03:10:24] /project/cpp/regex_converter.cc:83: Regex parsing error at "
            "position 6: Unclosed '['\n"
        ),
        EngineFailure,
    ),
    (
        SGLANG,
        400,
        flat(
            "Failed to compile json grammar: [03:10:23] /project/cpp/json_schema_converter.cc:4181: Cannot find field "
            "$defs in #/$defs/none\n"
        ),
        EngineFailure,
    ),
    (EMBEDDED, 400, nested(LLAMA_TOO_LONG, "exceed_context_size_error", 400), PromptTooLong),
    (EMBEDDED, 503, nested("Loading model", "unavailable_error", 503), NotReady),
    (EMBEDDED, 401, nested("Invalid API Key", "authentication_error", 401), EngineFailure),
    (EMBEDDED, 500, nested("Failed to parse grammar", "server_error", 500), EngineFailure),
]


@pytest.mark.parametrize(("profile", "status", "body", "kind"), SAID)
def test_what_an_engine_says_has_one_meaning(
    profile: EngineProfile, status: int, body: Any, kind: type[ServiceError]
) -> None:
    assert type(refused(body, profile, status=status)) is kind


@pytest.mark.parametrize(("profile", "status", "body", "kind"), SAID)
def test_the_caller_hears_nothing_of_the_engines_text(
    profile: EngineProfile, status: int, body: Any, kind: type[ServiceError]
) -> None:
    del kind
    heard = refused(body, profile, status=status).message
    said = json.dumps(body)
    words = {word for word in said.replace('"', " ").split() if any(char in word for char in "/_(0123456789")}
    assert not any(word in heard for word in words)
    assert not any(part in heard for part in profile.context_errors + profile.overload_errors)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (
            {
                "object": "error",
                "message": "The request queue is full.",
                "type": "SERVICE_UNAVAILABLE",
                "param": None,
                "code": 503,
            },
            Overloaded,
        ),
        (
            {
                "object": "error",
                "message": "Failed to compile json grammar: [03:10:23] /project/cpp/json_schema_converter.cc:4175: "
                "Invalid range: minimum greater than maximum\n",
                "type": "BAD_REQUEST",
                "param": None,
                "code": 400,
            },
            EngineFailure,
        ),
        ({"code": 503, "message": "Loading model", "type": "unavailable_error"}, NotReady),
        ({"code": 400, "message": LLAMA_TOO_LONG, "type": "exceed_context_size_error"}, PromptTooLong),
    ],
)
def test_inside_a_stream_the_code_counts_as_the_status(event: Any, kind: type[ServiceError]) -> None:
    profile = EMBEDDED if event["type"].endswith("_error") else SGLANG
    assert type(refused(event, profile)) is kind


@pytest.mark.parametrize(("profile", "status", "body", "kind"), SAID)
def test_only_what_passes_with_time_says_when_to_come_back(
    profile: EngineProfile, status: int, body: Any, kind: type[ServiceError]
) -> None:
    assert (refused(body, profile, status=status).retry_after is not None) == issubclass(kind, NotReady)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["error", "message", "code"]), inner),
    max_leaves=8,
)


@given(JSON, st.none() | st.integers(400, 599), st.sampled_from([SGLANG, EMBEDDED]))
def test_a_body_nobody_knows_is_an_error_of_the_engine(body: Any, status: int | None, profile: EngineProfile) -> None:
    assert isinstance(refused(body, profile, status=status), EngineFailure | NotReady)


def test_a_connection_that_fails_before_the_answer_is_worth_a_retry() -> None:
    error = broken_exchange(TransportError("no connection: [Errno 111]", before_response=True))
    assert isinstance(error, NotReady)
    assert error.retry_after is not None
    assert "111" not in error.message


def test_an_answer_that_breaks_off_is_a_failure_of_the_engine() -> None:
    error = broken_exchange(TransportError("connection lost: [Errno 104]", before_response=False))
    assert isinstance(error, EngineFailure)
    assert "104" not in error.message
