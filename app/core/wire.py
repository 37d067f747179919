"""A generation -> the body of its request: only what is named here reaches an engine, each from a bounded value."""

from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from app.core.generation import Generation, Priority
from app.engines.models import ModelProfile
from app.engines.profiles import EngineProfile

_KEPT = 128  # sets of terms; those of the tasks are some twenty, those of chats are the callers'


class Wire:
    """Writes requests for one model on one engine."""

    def __init__(self, model: str, usual: ModelProfile, profile: EngineProfile) -> None:
        """``usual``: how the model's makers want it to be asked."""
        self._model = model
        self._usual = usual
        self._profile = profile
        self._goes_on = None if profile.begun_field is None else f',"{profile.begun_field}":true'.encode()
        self._id = None if profile.id_field is None else f',"{profile.id_field}":"'.encode()
        # All but the words and the name is the same from one request to the next, grammars of kilobytes among it.
        self._kept = lru_cache(_KEPT)(self._terms)

    def body(self, generation: Generation, name: str, *, stream: bool) -> bytes:
        """JSON.

        Args:
            generation: What is asked.
            name: Its id, 32 hex digits, for engines that take one.
            stream: Whether the answer is wanted as it is written.
        """
        own = generation.sampling.stop or generation.sampling.seed is not None  # a caller's, not worth keeping
        terms = (self._terms if own else self._kept)(generation[1:-1], stream)
        said = [{"role": role, "content": content} for role, content in generation.messages]
        if generation.begun:
            said.append({"role": "assistant", "content": generation.begun})
        parts = [terms, to_json(said)]
        if generation.begun and self._goes_on is not None:
            parts.append(self._goes_on)
        if self._id is not None:
            parts += (self._id, name.encode(), b'"')
        parts.append(b"}")
        return b"".join(parts)

    def _terms(self, terms: tuple[Any, ...], stream: bool) -> bytes:  # noqa: FBT001  a key of the cache
        """All of the body before the words; ``terms``: the generation without them and how its answer begins."""
        asked = Generation((), *terms)
        sampling, usual, profile = asked.sampling, self._usual, self._profile
        presence = usual.presence_penalty if sampling.presence_penalty is None else sampling.presence_penalty
        repetition = usual.repetition_penalty if sampling.repetition_penalty is None else sampling.repetition_penalty
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": asked.max_tokens,
            "temperature": sampling.temperature,
            "top_p": usual.top_p if sampling.top_p is None else sampling.top_p,
            "top_k": usual.top_k,
            "min_p": usual.min_p,
            "presence_penalty": presence,
            "frequency_penalty": sampling.frequency_penalty,
            profile.repetition_field: repetition,
            "stream": stream,
            **profile.extra,
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        if usual.template_arguments:
            body["chat_template_kwargs"] = dict(usual.template_arguments)
        if asked.alternatives:
            body["logprobs"], body["top_logprobs"] = True, asked.alternatives
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if asked.grammar is not None:
            body[profile.grammar_field] = asked.grammar
        if profile.priority_field is not None:
            body[profile.priority_field] = len(Priority) - int(asked.priority)
        return to_json(body)[:-1] + b',"messages":'
