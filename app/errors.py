"""The service's errors, as one tree with no HTTP in it.

::

    ServiceError
    ├── CallerError                 the request cannot be served as it is; do not repeat it unchanged
    │   ├── Unauthenticated         no API key, or none that opens anything
    │   ├── Forbidden               the API key does not open this
    │   ├── TooManyRequests         the API key, or all of them, used up what they may in a minute
    │   ├── MalformedBody           not JSON at all
    │   ├── InvalidField            JSON, but a field is missing, of the wrong type or out of bounds
    │   │   └── UnsupportedField    a field, or a value of it, that this service does not take from anybody
    │   ├── UnknownModel            another model than the one that is served
    │   ├── BodyTooLarge            more bytes than the service reads
    │   ├── UnsupportedMediaType    the body is not declared as JSON
    │   └── PromptTooLong           the prompt does not fit the model's context
    ├── NotReady                    the engine cannot answer now; carries ``retry_after``
    │   └── Overloaded              it could, but the queue is full or the wait would be too long
    ├── DeadlineExceeded            the time the caller allowed is used up
    ├── EngineFailure               the engine answered nonsense, or broke off
    ├── NotRecorded                 the answer could not be put on record, and has to be
    └── StartupError                the service cannot start; one sentence for the operator

``app.api.errors`` maps each class to a status; ``app.core.llm_engine`` translates what an engine says into this tree,
once. Messages are written for the caller: they name the field and the remedy and hold nothing of the engine's
internals.
"""


class ServiceError(Exception):
    """Base of every error this service raises on purpose.

    Attributes:
        message: One or two sentences for the caller: what was wrong, where, what to do next.
        param: The request field at fault, as a dotted path, or None.
        retry_after: Seconds after which the same call may succeed, or None if it is not a matter of time.
        engine_status: The status that the engine answered, if that is the cause.
    """

    engine_status: int | None = None

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after


class CallerError(ServiceError):
    """The request cannot be served as it is."""


class Unauthenticated(CallerError):
    """No API key came with the request, or none that opens anything."""


class Forbidden(CallerError):
    """The API key is good, but not for this."""


class TooManyRequests(CallerError):
    """More requests or tokens than are allowed; carries ``retry_after``."""


class MalformedBody(CallerError):
    """The body is not valid JSON."""


class InvalidField(CallerError):
    """A field is missing, of the wrong type or out of bounds."""


class UnsupportedField(InvalidField):
    """A field, or a value of it, that this service does not take from anybody."""


class UnknownModel(CallerError):
    """Another model than the one that is served."""


class BodyTooLarge(CallerError):
    """The body has more bytes than the service reads."""


class UnsupportedMediaType(CallerError):
    """The body is not declared as ``application/json``."""


class PromptTooLong(CallerError):
    """Prompt and answer together do not fit the model's context."""


class NotReady(ServiceError):
    """The engine cannot answer now: starting, restarting, unreachable or draining."""


class Overloaded(NotReady):
    """The engine works, but this request would wait too long."""


class DeadlineExceeded(ServiceError):
    """The time allowed for the request is used up."""


class EngineFailure(ServiceError):
    """The engine broke off or answered something that is no answer."""


class NotRecorded(ServiceError):
    """The answer was made, but its decision record could not be written and is required."""


class StartupError(ServiceError):
    """The service cannot start; the message is one sentence for the operator."""
