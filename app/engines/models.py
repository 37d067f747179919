"""How models differ, as data: the switch for thinking and the sampling that their makers recommend."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


_NO_THINKING: Mapping[str, Any] = MappingProxyType({"enable_thinking": False})


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What a family of models needs.

    Attributes:
        name: The family.
        pattern: Found in the names of its members, in lower case.
        template_arguments: Arguments of its chat template, sent with every generation; they turn thinking off.
        top_p: Nucleus sampling.
        top_k: The most likely tokens to draw from.
        min_p: The least probability, relative to the likeliest token.
        presence_penalty: Against repetition.
        repetition_penalty: Against repetition; 1 is none.
    """

    name: str
    pattern: str
    template_arguments: Mapping[str, Any] = field(default_factory=_nothing)
    top_p: float = 0.8
    top_k: int = 20
    min_p: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0


# The first that fits counts. Sampling: the model cards' values for answers without thinking (Qwen3 and 2507: top_p 0.8,
# top_k 20, min_p 0; Qwen2.5 the same with a light repetition penalty, from its generation_config.json).
_PROFILES = (
    ModelProfile("Qwen3 2507 Instruct", r"qwen3-.*instruct-2507"),  # cannot think, so has no switch
    ModelProfile("Qwen3.5 and later", r"qwen(3\.[5-9]|[4-9])", _NO_THINKING, presence_penalty=1.5),
    ModelProfile("Qwen3", r"qwen3", _NO_THINKING),  # a hybrid: the template argument is its only hard switch
    ModelProfile("Qwen2.5", r"qwen2\.5", repetition_penalty=1.05),
)
GENERIC = ModelProfile("generic", r"", top_p=0.95, top_k=40)

# Names that are in use but do not exist on the hub -> the model that is meant.
_MEANT = {"Qwen/Qwen3-32B-Instruct": "Qwen/Qwen3-32B"}


def model_profile(name: str) -> ModelProfile:
    """The profile of the model called ``name`` (hub id, path or file name)."""
    return next((profile for profile in _PROFILES if re.search(profile.pattern, name.lower())), GENERIC)


def model_source(name: str) -> str:
    """Where the weights of ``name`` are: the hub id that is meant by it, or ``name`` itself."""
    return _MEANT.get(name, name)
