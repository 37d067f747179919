"""Text as a reader sees it: what hides or disguises letters undone, with the way back to the original. Pure.

A guard that looks at clean text is blind to letters that are full-width, borrowed from another script, torn apart or
split by characters without width; a tokenizer and a model are not.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """A copy of a text to search in, which knows where in that text each of its characters comes from."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where ``self.text[start:end]`` is in the text as it was given."""
        return self.starts[start], self.ends[end - 1]

    def rewritten(self, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]) -> "View":
        """Each match replaced; every character of a replacement comes from the whole match."""
        if pattern.search(self.text) is None:
            return self
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        for found in pattern.finditer(self.text):
            new = replace(found)
            pieces += (self.text[at : found.start()], new)
            first, last = self.origin(*found.span())
            starts += [*self.starts[at : found.start()], *[first] * len(new)]
            ends += [*self.ends[at : found.start()], *[last] * len(new)]
            at = found.end()
        return View("".join([*pieces, self.text[at:]]), [*starts, *self.starts[at:]], [*ends, *self.ends[at:]])


_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]+"
)
# Hangul typed letter by letter, Hangul in decomposed form, and anything else that is neither ASCII nor a syllable.
_CLUSTER = re.compile(
    r"[ㄱ-ㅎ][ㅏ-ㅣ](?:[ㄱ-ㅎ](?![ㅏ-ㅣ]))?|[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|[^\n -~가-힣]"
)
_FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
# Letters of other scripts that look like Latin ones, and capitals: one for one, so that places stay.
_FOREIGN = "аеіјорсухкмтнвғԁɡһӏոսνοαρτυικγκεѕԛԝ"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOOKALIKE = str.maketrans(_FOREIGN + _CAPITALS, "aeijopcyxkmthbfdghlnuvoaptuikykesqw" + _CAPITALS.lower())
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_](?:[^\w\n]|_){1,3}){3,}[^\W_](?![^\W_])")
_LEET = re.compile(r"(?<=[a-z])[013457@$](?![0-9])|(?<![0-9a-z])[013457@$](?=[a-z])")
_LEET_LETTERS = str.maketrans("013457@$", "oieastas")
_LONG = re.compile(r"[a-z]{5,14}")
_OFTEN = (
    *(
        "ignore",
        "disregard",
        "forget",
        "previous",
        "instruction",
        "instructions",
        "prompt",
        "rubric",
        "output",
        "score",
    ),
    *("maximum", "highest", "perfect"),
)


def visible(text: str) -> View:
    """``text`` without what cannot be seen."""
    return View(text, range(len(text)), range(1, len(text) + 1)).rewritten(_INVISIBLE, lambda _: "")


def folded(view: View) -> View:
    """``view`` in plain small letters: no marks, other widths, lookalikes, digits for letters or letters apart."""
    view = view.rewritten(_CLUSTER, _plain)
    view = View(view.text.translate(_LOOKALIKE), view.starts, view.ends)
    view = view.rewritten(_SPACED, _joined)
    letters = _LEET.sub(lambda one: one.group().translate(_LEET_LETTERS), view.text)
    ordered = _LONG.sub(lambda word: _SHUFFLED.get(_shuffle(word.group()), word.group()), letters)
    return View(ordered, view.starts, view.ends)


def _joined(run: re.Match[str]) -> str:
    """Letters apart by what stands between the first two are a word; anything else is a gap between words."""
    between = re.match(r".[\W_]+", run.group())
    usual = between.group()[1:] if between else ""
    return re.sub(r"[\W_]+", lambda gap: "" if gap.group() == usual else " ", run.group())


def _shuffle(word: str) -> str:
    """The same for words that differ in the order of their inner letters, which people hardly notice."""
    return word[0] + "".join(sorted(word[1:-1])) + word[-1]


_SHUFFLED = {_shuffle(word): word for word in _OFTEN}


def _plain(cluster: re.Match[str]) -> str:
    letters = cluster.group()
    if len(letters) == 3 and letters[2] in _FINALS:  # noqa: PLR2004  the consonant that closes a syllable
        letters = letters[:2] + chr(0x11A8 + _FINALS.index(letters[2]))
    apart = unicodedata.normalize("NFKD", letters)
    bare = "".join(char for char in apart if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", bare).lower()
