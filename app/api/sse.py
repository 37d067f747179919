"""Server-sent events to callers."""

from pydantic_core import to_json

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment, which clients skip: proof that the connection lives."""


def sse_event(name: str, data: object) -> bytes:
    """One event with a JSON payload."""
    return b"event: %s\ndata: %s\n\n" % (name.encode("ascii"), to_json(data))


def sse_data(data: object) -> bytes:
    """One event without a name, as the OpenAI protocol has them."""
    return b"data: %s\n\n" % to_json(data)
