"""A model's thinking, kept out of its answers. Pure."""

_OPEN, _CLOSE = "<think>", "</think>"


class ThoughtFilter:
    """Drops one ``<think>...</think>`` block at the beginning of a text that arrives in pieces.

    Thinking is turned off in every request; a template or a gateway that ignores the switch must still not leak it.
    Elsewhere in a text the words are what the model wanted to say (an answer about HTML-like tags, for example).

    Attributes:
        through: Whether the beginning is over: from here on every piece is passed on as it is.
    """

    __slots__ = ("_after", "_held", "_inside", "through")

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._after = False
        self.through = False

    def feed(self, piece: str) -> str:
        """The part of ``piece``, with what was held back before it, that belongs to the answer."""
        if self.through:
            return piece
        self._held += piece
        if self._inside:
            return self._inner()
        return self._gap() if self._after else self._start()

    def close(self) -> str:
        """What is still held back at the end of the text: a beginning that only looked like a thought."""
        held, self._held = self._held, ""
        return "" if self._inside or self._after or self.through else held

    def _start(self) -> str:
        text = self._held.lstrip()
        if text.startswith(_OPEN):
            self._inside = True
            self._held = text[len(_OPEN) :]
            return self._inner()
        if _OPEN.startswith(text):  # nothing yet, or the first letters of the mark
            return ""
        return self._release(self._held)

    def _inner(self) -> str:
        _, mark, rest = self._held.partition(_CLOSE)
        if not mark:
            self._held = self._held[-len(_CLOSE) :]
            return ""
        self._inside, self._after = False, True
        self._held = rest
        return self._gap()

    def _gap(self) -> str:
        """The blank lines between a thought and the answer belong to neither."""
        self._held = self._held.lstrip()
        return self._release(self._held) if self._held else ""

    def _release(self, text: str) -> str:
        self.through = True
        self._held = ""
        return text
