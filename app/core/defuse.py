"""Text of a request, made harmless for a tokenizer. Pure.

Chat templates are texts too: an engine's tokenizer turns ``<|im_end|>`` in a candidate's answer into the very token
that ends the message. Here such texts get a blank after their first character, so that they read the same and mean
nothing; and the invisible characters that could hide one, or turn a text around, are removed.
"""

import re

# Bidi controls, zero-width characters, fillers, tags and controls but for tab and line ends.
_INVISIBLE = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\uffa0\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_REMOVED = re.compile(_INVISIBLE)
# Variation selectors and the zero-width joiner are kept inside emoji (the group) and nowhere else.
_EMOJI = r"[\u00a9\u00ae\u203c-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_JOINERS = re.compile(rf"({_EMOJI}(?:\ufe0f?\u200d{_EMOJI}|\ufe0f)*|[0-9#*]\ufe0f\u20e3)|[\u200d\ufe00-\ufe0f]")
# What may be a control token of some family of models (Qwen, Llama, Mistral, Gemma, DeepSeek, GLM, Phi, ...): any
# <|...|> and its full-width form, and the names that stand in plain angle or square brackets.
_TOKEN = re.compile(
    r"<(?=[|\uff5c])"
    r"|[|\uff5c](?=>)"
    r"|<(?=/?(?:think|tool_call|tool_calls|tool_response|tool_code|tool|function|s|bos|eos|pad|unk|mask|cls|sep|sop|eop"
    r"|start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token|image|video|audio|system|user|assistant"
    r"|observation|begin_of_text|end_of_text|unused\d+|extra_id_\d+|reserved\d*|seed:[a-z_]+)>)"
    r"|\[(?=/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT|IMG|THINK|PREFIX|SUFFIX"
    r"|MIDDLE|CALL_ID|ARGS|gMASK|sMASK|MASK|CLS|SEP|PAD|UNK|BOS|EOS)\])"
    r"|<(?=<SYS>>|</SYS>>)",
    re.IGNORECASE,
)
_MARKS = 4  # combining marks on one letter; Vietnamese needs two, Thai three
_PILE = re.compile(r"(?:[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]){5,}")
_MARK = re.compile(r"[<\[|\uff5c]")  # what every token begins with
# Anything but Korean and ASCII, and what tokens begin with: most texts have none of it. A class of few ranges costs a
# third of the next one.
_UNUSUAL = re.compile("[^\uac00-\ud7a3 -;=-Z\\\\-{}~\\n\\t\\r]")
# One look that most of the others pass: nothing to remove.
# A single class of characters, because every alternative more costs honest text another look at each of its letters.
_SUSPECT = re.compile(
    rf"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\ufe20-\ufe2f{_INVISIBLE[1:-1]}\u200d\u20d0-\u20ff\ufe00-\ufe0f]"
)


def defuse(text: str) -> str:
    """``text`` without anything that a tokenizer takes for a control token, and without invisible characters.

    Honest text comes back as it is, the same object. Idempotent. Plain words at the beginning of a line, such as
    ``System:`` or ``[질문 1]``, are left alone: they are no tokens, and the callers' own prompts are full of them.
    """
    if _UNUSUAL.search(text) is None:
        return text
    visible = text
    if _SUSPECT.search(text) is not None:
        visible = _PILE.sub(lambda pile: pile.group()[:_MARKS], _JOINERS.sub(r"\1", _REMOVED.sub("", text)))

    def apart(mark: re.Match[str]) -> str:
        return f"{mark.group()} " if _TOKEN.match(visible, mark.start()) else mark.group()

    harmless = _MARK.sub(apart, visible)
    return text if harmless == text else harmless
