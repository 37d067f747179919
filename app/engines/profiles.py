"""How engines differ, as data: the flow in ``app.core`` never asks which engine it talks to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """The dialect of one engine.

    Attributes:
        name: As shown in ``/health`` and ``meta.engine``.
        ready_path: A GET that answers 200 when the engine can generate, and that itself generates nothing.
        grammar_field: The request field that takes a decoding grammar.
        repetition_field: The request field of the repetition penalty.
        begun_field: The request field that says that the last message, the model's own, is to be gone on with; None: it
            always is.
        priority_field: The request field of the scheduling priority (higher runs first), or None.
        extra: Fields sent with every generation.
        context_errors: Parts of the messages with which it refuses a prompt that is too long.
        overload_errors: Parts of the messages with which it says that its queue is full.
        compiles_grammars: Whether it compiles a grammar when it first sees it, and keeps it.
        counts_sentences: Whether a grammar that counts the sentences of a text costs it nothing. Where every token is
            masked it does (a token of Qwen's vocabulary: xgrammar 36 ms instead of 0.5, llguidance 1.7 instead of 1.0).
        slots_path: Where its slots are listed, saved and restored, if what one generation has read helps only one of
            those that run after it and none beside it; None: all share what any has read.
        copies: Names under which slots may be saved.
        concurrency: Requests it runs well at the same time, unless the operator says otherwise.
        id_field: The request field of the generation's id, by which ``abort_path`` stops it; None if it has no such.
        abort_path: Where a generation is stopped by its id.
        load_path: A GET that tells how much it has to do, or None.
        task_timeout: Seconds for a task on it, unless the operator says otherwise; None: REQUEST_TIMEOUT.
        stall: Seconds of silence amid an answer that count as a failure, unless the operator says otherwise.
    """

    name: str
    ready_path: str
    grammar_field: str
    repetition_field: str
    begun_field: str | None = None
    priority_field: str | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    context_errors: tuple[str, ...] = ()
    overload_errors: tuple[str, ...] = ()
    compiles_grammars: bool = False
    counts_sentences: bool = False
    slots_path: str | None = None
    copies: tuple[str, ...] = ()
    concurrency: int = 64
    id_field: str | None = None
    abort_path: str = ""
    load_path: str | None = None
    task_timeout: float | None = None
    stall: float = 10.0


# SGLang 0.5.23. `/ready` is a flag; `/health` generates a token and takes a second. The three texts are its three
# checks of the prompt's length.
SGLANG = EngineProfile(
    name="sglang",
    ready_path="/ready",
    grammar_field="ebnf",
    repetition_field="repetition_penalty",
    begun_field="continue_final_message",
    priority_field="priority",
    context_errors=(
        "longer than the model's context length",
        "exceeds the model's maximum context length",
        "exceeds the maximum allowed length",
    ),
    overload_errors=("request queue is full", "aborted by a higher priority request"),
    compiles_grammars=True,
    id_field="rid",
    abort_path="/abort_request",
    load_path="/v1/loads?include=core,queues",
    task_timeout=55.0,  # the first caller gives up after 60
)

# llama.cpp's server in xllamacpp 2026.10. It notices that a client has left only when it writes to it: the progress
# reports give it something to write during prefill (measured: a slot free after 1-2 s instead of the whole prefill).
EMBEDDED = EngineProfile(
    name="embedded",
    ready_path="/health",
    grammar_field="grammar",
    repetition_field="repeat_penalty",
    extra=MappingProxyType({"cache_prompt": True, "return_progress": True}),
    context_errors=("exceeds the available context size",),
    slots_path="/slots",
    # File descriptors: see `llamacpp_child`. Two rubrics, and for each task the phases of its callers.
    copies=("100", "101", "102", "103", "104", "105", "106", "107"),
    counts_sentences=True,  # it checks the token that was drawn, and masks the others only if that does not fit
    concurrency=8,
    # A token waits for a batch of every prompt that is being read: seconds, and on a slow machine more than ten.
    stall=60.0,
)
