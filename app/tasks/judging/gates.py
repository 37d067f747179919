"""What can be told of an answer without a model: that there is none. Pure, and the same for every engine.

A gate fires on what is left of an answer when apologies, fillers and announcements are taken away, so that "처음에는
몰랐지만 ..." is an answer and a polite paragraph around "모르겠습니다" is none.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from app.tasks.judging.similar import lies_within

GateName = Literal["empty", "noise", "unscorable", "evasion", "repeats_question", "one_word", "too_short"]

SHORT = 10  # characters; the caller's own bands call less than that insincere
_WORD = 15  # characters up to which a single word is no answer
_LEFT = 14  # characters of content that may be left beside an evasion: "잘 모르겠지만 캐시 같습니다" is an answer
_REPEATED = 0.5  # of an answer's character pairs that are the question's own
_LOOP = 4  # times in a row that speech recognition repeats itself in silence

_CLAUSE = re.compile(r"[.?!,;…~\n]+|(?<=[요다죠네])\s+|(?<=지만)\s+|(?<=으나)\s+")
_FILLERS = re.compile(
    r"(?<![가-힣A-Za-z])(?:음+|어+|아+|그+|저+|네|예|그게|저기|뭐|뭐랄까|이제|그냥|약간|솔직히|사실|사실은|일단|제가|저는|아직|지금|당장|um+|uh+|er+|well|"
    r"honestly|actually|so)(?![가-힣A-Za-z])",
    re.IGNORECASE,
)
EVASIONS = re.compile(
    r"모르(?:겠|ㅂ니다|는데|네|고|지|어|는\s*(?:부분|내용|개념|것|거|문제|질문))|몰라|몰랐|몰르|모릅니다|모름"
    r"|(?:기억|생각|감|답)(?:이|도|은|는|조차)?\s*(?:잘|전혀|도무지|도저히)?\s*(?:안|나지\s*않|나질\s*않|떠오르지|나는\s*게\s*없|나는게\s*없|못|없|잡히지\s*않|서지\s*않)"
    r"|떠오르지\s*않|떠오르는\s*(?:게|것이|내용이|사례가)\s*(?:없|딱히)|생각해\s*본\s*적(?:이|은|도)?\s*(?:없|전혀)"
    r"|(?:공부|학습|준비|숙지|정리|파악|이해)(?:를|을|가|는)?\s*(?:제대로|미처|따로|아직|많이|거의|전혀)?\s*(?:못|안\s|하지\s*(?:못|않)|되지\s*않|되어\s*있지|부족|안\s*(?:해|했|돼|되))"
    r"|(?:들어|접해|다뤄|다루어|써|사용해|해|경험해|배워|공부해|겪어)\s*(?:본|봤던)\s*(?:적|경험|일)(?:이|은|도)?\s*(?:거의|아직|전혀|한\s*번도)?\s*없"
    r"|(?:들어|접해|다뤄|써|해|경험해|배워|공부해|겪어)\s*보(?:지\s*(?:못|않)|질\s*(?:못|않))|안\s*해\s*봐|안해봐|못\s*해\s*봐|처음\s*(?:들|접|보)"
    r"|(?:그런|이런|관련|해당|특별한|딱히)?\s*(?:경험|사례|기억)(?:이|은|는|도|조차)?\s*(?:거의|아직|전혀|따로|딱히|특별히)?\s*없"
    r"|(?:답|답변|대답|설명|말씀)(?:을|를|은|는|이)?\s*(?:잘|제대로|지금은|당장은)?\s*(?:드리|하|해\s*드리)?(?:기|기가|기는|지|지는|질|지를)?\s*"
    r"(?:가\s*)?(?:조금|좀|다소|매우|참)?\s*(?:어렵|어려|곤란|힘들|힘드|못\s*하|못하|못\s*드리)"
    r"|자신(?:이|은|감이)?\s*(?:없|부족)|할\s*말(?:이|은|도)?\s*(?:딱히|별로|따로)?\s*없|드릴\s*(?:말씀|답변)(?:이|은)?\s*(?:딱히|별로)?\s*없"
    r"|패스|스킵|넘어가|넘기(?:고|겠|면|ㄹ)|넘어갈|다음\s*(?:질문|문제|걸로|것으로)|건너뛰"
    r"|(?:아는|답할|답변할|드릴|말할|생각나는)\s*(?:것|게|바|부분|내용)(?:이|가|은|는)?\s*(?:거의|전혀|딱히|별로)?\s*없|알지\s*못|아는\s*바\s*없"
    r"|(?:답|답변|대답|말씀|설명)(?:을|은)?\s*(?:드릴|할|해\s*드릴)\s*수\s*(?:가|는)?\s*없"
    r"|(?:do\s*n['\u2019]?o?t|dunno|not\s+sure|no\s+(?:idea|clue|experience)|never\s+(?:heard|used|learned|tried|done))\b|i\s+(?:don['\u2019]?t|do\s+not)\s+know"
    r"|(?:can['\u2019]?t|cannot|could\s*n['\u2019]?t)\s+(?:answer|recall|remember|say)|\b(?:pass|skip|next\s+question)\b|don['\u2019]?t\s+(?:know|remember|recall)",
    re.IGNORECASE,
)
# Each of them holds one of these, which are quick to look for.
_EVASION_HINT = re.compile(
    r"[모몰않없못안넘]|부족|전혀|딱히|처음|다음|패스|스킵|건너뛰|떠오르지|있지|어렵|어려|곤란|힘들|힘드"
    r"|[dD][oOuU]|[nN][oOeE]|[cC][aAoO]|[pP][aA]|[sSſ][kKK]"  # noqa: RUF001  matches an s
)
_POLITE = re.compile(
    r"죄송|미안|양해|송구|부끄럽|아쉽|(?:공부|학습|찾아|알아|준비|보완|복습|확인|숙지|정리|보충)\S*\s*(?:해|하|보|볼)?\S*\s*(?:겠|예정|려고|싶|도록|오겠)"
    r"|부탁\s*드|부탁해|감사|기회(?:를|가)|긴장|좋은\s*질문|어려운\s*질문|sorry|apolog|thank|please|i\s+will\s+(?:study|learn|look)",
    re.IGNORECASE,
)
_KEYS = re.compile(r"^[\sㄱ-ㅎㅏ-ㅣ0-9\W_]*$")
_SAME = re.compile(r"^(?:(.{1,3})\1{2,}|(.)\2{3,})$")
_MASHED = re.compile(r"^[a-z]{4,}$", re.IGNORECASE)
_VOWELS = re.compile(r"[aeiou]", re.IGNORECASE)
# What speech recognition writes into silence, and its mark for what it could not hear.
_SILENCE = re.compile(
    r"시청해\s*주셔서\s*감사합니다|구독과\s*좋아요|(?:MBC|KBS|SBS|YTN)\s*뉴스(?:\s*\S{2,5}입니다)?|자막\s*(?:제공|by)(?:\s*\S{1,12}){0,2}|다음\s*영상에서|thanks?\s+for\s+watching"
    r"|\[(?:음악|박수|웃음|침묵|잡음|무음|music|silence|noise|inaudible)\]|\((?:음악|침묵|잡음|inaudible|silence)\)|\ufffd",
    re.IGNORECASE,
)
_UNHEARD = 0.5  # share of an answer that must be such writing before it counts as unheard


@dataclass(frozen=True, slots=True)
class Gate:
    """Why an answer is not put before the model.

    Attributes:
        name: What was found.
        score: 0-10, what it gets; None where there is nothing to score: what was heard is not what was said.
    """

    name: GateName
    score: int | None


_LOWEST = 1  # the caller's lowest band


def gate(question: str, answer: str) -> Gate | None:
    """The gate that stops ``answer``, or None if it must be read."""
    plain = unicodedata.normalize("NFC", answer).strip()
    name = _unheard(plain) or _none(question, plain)
    if name is None:
        return None
    return Gate(name, None if name == "unscorable" else _LOWEST)


def _unheard(answer: str) -> GateName | None:
    """Whether it is speech recognition that failed, and not the candidate."""
    if not answer:
        return None
    heard = sum(len(found.group()) for found in _SILENCE.finditer(answer))
    words = answer.split()
    repeats = len(words) - len(set(words)) >= _LOOP - 1
    loops = max(_run(words, size) * size for size in (1, 2, 3, 4)) if repeats else 0
    fillers = len(words) >= _LOOP and not any(map(_content, words))
    if heard >= _UNHEARD * len(answer) or loops >= max(2 * _LOOP, _UNHEARD * len(words)) or fillers:
        return "unscorable"
    return None


def _run(words: list[str], size: int) -> int:
    """How often the same ``size`` words follow each other at the most; below ``_LOOP`` counts as 0."""
    best = count = 1
    for at in range(size, len(words) - size + 1, size):
        count = count + 1 if words[at : at + size] == words[at - size : at] else 1
        best = max(best, count)
    return best if best >= _LOOP else 0


def _none(question: str, answer: str) -> GateName | None:
    """Whether the candidate gave no answer."""
    letters = re.sub(r"[\W_]+", "", answer)
    if not letters:
        return "empty" if not answer else "noise"
    if _KEYS.match(answer) or _SAME.match(letters) or (_MASHED.match(letters) and not _VOWELS.search(letters)):
        return "noise"
    if _evades(answer):
        return "evasion"
    short = len(answer) < 2 * len(question)
    if short and lies_within(answer, question, _REPEATED):
        return "repeats_question"
    if len(answer.split()) == 1 and len(letters) < _WORD:
        return "one_word"
    return "too_short" if len(answer) < SHORT else None


def may_evade(answer: str) -> bool:
    """Whether an evasion could be in ``answer``; where none could, this costs a tenth of looking for it."""
    return _EVASION_HINT.search(answer) is not None


def _evades(answer: str) -> bool:
    if not (may_evade(answer) and EVASIONS.search(answer)):  # most: what no clause of it has, the whole has neither
        return False
    clauses = [clause for clause in _CLAUSE.split(answer) if clause and clause.strip()]
    plain = [clause for clause in clauses if not EVASIONS.search(clause)]
    rest = [clause for clause in plain if not _POLITE.search(clause)]
    return len(plain) < len(clauses) and sum(len(_content(clause)) for clause in rest) <= _LEFT


def _content(text: str) -> str:
    return re.sub(r"[\W_]+", "", _FILLERS.sub(" ", text))
