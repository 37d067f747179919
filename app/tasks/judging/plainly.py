"""What an answer says, without how it is said: hedges and padding are taken out of what is measured. Pure.

For the same content a small model gives less to a candidate who says "아마 쓰는 것 같습니다", and more to one who says
"쓰는 것이라고 말씀드릴 수 있겠습니다" (docs/scoring.md has the figures). Only the measurement reads the plain form;
gates, quotes and the words of the feedback are about what the candidate really said.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from app.tasks.judging.gates import SHORT

_Replacement: TypeAlias = str | Callable[[re.Match[str]], str]

_LONGEST = 5000  # characters: five minutes of speech; the event loop waits meanwhile

_FIRST_SYLLABLE, _LAST_SYLLABLE = "가", "힣"
_FINALS = 28  # final consonants of a Hangul syllable, none included
_NIEUN, _RIEUL, _SSANG_SIOT = 4, 8, 20
_AFTER_VOWEL: Mapping[str, str] = MappingProxyType(
    {"은": "는", "는": "는", "이": "가", "을": "를", "과": "와", "게": "가", "건": "는", "걸": "를"}
)
_AFTER_CONSONANT: Mapping[str, str] = MappingProxyType({"는": "은", "게": "이", "건": "은", "걸": "을"})


def plainly(answer: str) -> str:
    """``answer`` in plain statements, or as it is if it had none of it, is very long, or little would be left."""
    if len(answer) > _LONGEST:
        return answer
    before = plain = " ".join(answer.split())
    known = plain.casefold()
    for rule in RULES:
        for need in rule.needs:
            if need in known:
                plain = rule.pattern.sub(rule.replacement, plain)
                known = plain.casefold()
                break
    if plain == before:
        return answer
    plain = re.sub(r"\s+(?=[,.?!\s])", "", plain).strip(" ,.")
    return f"{plain}." if len(plain) >= SHORT else answer


def _final(syllable: str) -> int:
    """Number of the final consonant of a Hangul syllable; 0 if it has none or is no syllable."""
    within = _FIRST_SYLLABLE <= syllable <= _LAST_SYLLABLE
    return (ord(syllable) - ord(_FIRST_SYLLABLE)) % _FINALS if within else 0


def _particle(found: re.Match[str]) -> str:
    """``X라는 것은`` -> ``X는``."""
    noun, particle = found[1], found[2]
    if particle == "으로":
        return noun + ("로" if _final(noun) in {0, _RIEUL} else "으로")
    forms = _AFTER_CONSONANT if _final(noun) else _AFTER_VOWEL
    return noun + forms.get(particle, particle)


def _statement(found: re.Match[str]) -> str:
    """``쓰는 것 같습니다`` -> ``쓴다``, ``먹는 ...`` -> ``먹는다``, ``보냈던 걸로 기억합니다`` -> ``보냈다``."""
    stem, ending = found[1], found[2]
    if ending == "인":
        return f"{stem}이다"
    if ending == "던" or stem in "있없" or _final(stem) == _SSANG_SIOT:
        return f"{stem}다"
    return f"{stem}는다" if _final(stem) else f"{chr(ord(stem) + _NIEUN)}다"


def _any(*options: str) -> str:
    return f"(?:{'|'.join(options)})"


_START = r"(?<![^.?!])\s*"  # of a sentence
_WORD = r"(?<![^\s,.?!])"  # the place before a word
_NOUN = r"([가-힣A-Za-z0-9)])(?:이)?"
_THINK = _any(
    r"생각(?:합니다|해\s*왔습니다|하는데요?|하고\s*있습니다)", "봅니다", "보는데요?", r"믿(?:습니다|고\s*있습니다)"
)
# What the question is about, not what the candidate holds: "신뢰가 중요하다고 생각합니다" is an answer.
_SOME = r"[^.?!0-9]{0,60}"
_TOPIC = _any(r"(?:라는|다는|라고\s*하는)\s*것(?:은|이|도)", r"이\s*(?:부분|주제|문제|질문)(?:은|이|도)")
_ABSTRACT = _any("개념", "부분", "주제", "요소", "질문", "영역", "덕목", "역량", "과제", "이슈", "화두", "분야")
_WEIGHTS = "중요 필수 흔한 흥미로운 의미 쉽지 어렵고 어려운 조심스 빼놓을 마음가짐 고민하시"
_WEIGHT = _any(
    "중요",
    "필수",
    "흔한",
    "흥미로운",
    r"의미가?\s*깊",
    r"쉽지\s*않",
    "어렵고",
    "어려운",
    "조심스",
    r"빼놓을\s*수\s*없",
    "마음가짐",
    "고민하시",
)
_MAYBE = _any("싶습니다", "합니다", r"(?:하고\s*)?생각합니다")
_SEEMS = r"(?:것|거|걸|게)\s*" + _any("같(?:습니다|아요|은데요?|고요?)", rf"(?:아닐까|아닌가)\s*{_MAYBE}")
_RECALLED = r"(?:것으로|걸로|거로)\s*" + _any(
    r"알고\s*있(?:습니다|고|는데요?|어요)", "기억(?:합니다|하고|하는데요?|해요)"
)
_ONE_CAN_SAY = (
    _any(r"말씀(?:을)?\s*드릴", "말할", "할", "볼", "이야기할", "얘기할", "설명드릴")
    + r"\s*수\s*(?:가\s*)?"
    + _any(r"있(?:을\s*것\s*같)?(?:겠)?습니다", r"있(?:을\s*것\s*같)?고요?", "있는데요?")
)
_I_SAY = _any(
    r"(?:말씀(?:을)?\s*드리|강조하|설명드리)(?:고\s*싶습니다|겠습니다|도록\s*하겠습니다)",
    r"(?:생각이\s*)?듭니다",
    r"가지고\s*있습니다",
    r"이해하고\s*있습니다",
    r"알고\s*있습니다",
    r"느꼈습니다",
)
_CORRECT = _any(
    "맞는", "맞을", "괜찮은", "잘한", "정확한", "옳은", "적절한", r"답이\s*되었는", "사례일", r"도움이\s*되"
)
_BUT = _any("지만", "은데", "는데", "겠지만", "으나", "습니다만")


class Rule(NamedTuple):
    """One thing that is said more plainly.

    Attributes:
        needs: In small letters; a text without any of them has nothing for the pattern, which need not look: to see
            that costs a fiftieth, and an answer has something for three of fifty patterns.
        pattern: What is replaced.
        replacement: By what.
    """

    needs: Sequence[str]
    pattern: re.Pattern[str]
    replacement: _Replacement


# Every gap is bounded, so that a long text without a full stop costs no more than its length.
RULES = [
    Rule(needs.split(), re.compile(pattern, re.IGNORECASE), replacement)
    for needs, pattern, replacement in (
        # Sentences that only thank, or only weigh the topic.
        ("질문", rf"{_START}[^.?!]{{0,40}}좋은\s*질문[^.?!]{{0,40}}[.?!]", ""),
        ("질문", rf"{_START}[^.?!,]{{0,40}}질문(?:을)?\s*(?:주셨|주셔|해\s*주)[^.?!,]{{0,40}}[,.?!]", ""),
        (
            _WEIGHTS,
            rf"^{_SOME}{_TOPIC}{_SOME}{_WEIGHT}{_SOME}고(?:\s*저는)?(?:\s*(?:늘|굳게|항상))?\s*{_THINK}[,.?!]",
            "",
        ),
        (
            _WEIGHTS,
            rf"^{_SOME}{_WEIGHT}\S{{0,3}}\s+{_ABSTRACT}(?:이?라고\s*{_THINK}|입니다|이고요?|인데요?|이라서|라서)[,.?!]",
            "",
        ),
        (
            "드리겠습니다",
            rf"{_START}[^.?!]{{0,60}}(?:대해|대하여|관해|관하여)(?:서)?\s*(?:말씀|설명|답변)(?:을)?\s*(?:해\s*)?드리겠습니다[.?!]",
            "",
        ),
        ("이상", rf"{_START}(?:이상으로|이상)[^.?!]{{0,30}}[.?!]", ""),
        # Doubts about the speaker, not about the matter.
        (
            "모르겠",
            rf"[^,.?!]{{0,30}}{_CORRECT}[^,.?!]{{0,20}}지(?:는|도|를)?\s*(?:잘\s*)?모르겠(?:습니다|어요|네요|{_BUT})[,.?!]?",
            "",
        ),
        ("틀릴", rf"{_WORD}(?:제가\s*)?(?:조금\s*)?틀릴\s*수(?:도|는)?\s*있{_BUT},?", ""),
        ("않", rf"{_WORD}(?:확실|정확|확신|자세)(?:하지|하진|치)(?:는|도)?\s*않{_BUT},?", ""),
        ("모르", rf"{_WORD}(?:잘|확실히|정확히)(?:은|는)?\s*모르(?:겠)?지만,?", ""),
        (
            "기로는 바로는 기에",
            rf"{_WORD}(?:제가\s*)?(?:알기로는|아는\s*바로는|기억하기로는|(?:생각하|보|느끼)기에는?),?",
            "",
        ),
        ("에는 으로는", rf"{_WORD}(?:제\s*)?(?:생각|기억|느낌)(?:에는|으로는),?", ""),
        (
            "아마 어쩌면 아무래도 혹시 왠지 나름대",
            rf"{_WORD}(?:아마도?|어쩌면|아무래도|혹시|왠지|나름대로?)(?=[\s,]),?",
            "",
        ),
        # Announcements and fillers.
        ("말씀", r"[^,.?!]{0,20}말씀(?:을|은)?\s*(?:한번\s*)?(?:드리|드려\s*보)(?:자면|면)요?,?", ""),
        ("자면", r"[^,.?!]{0,20}(?:덧붙이|요약하|정리하|설명하)자면요?,?", ""),
        ("이렇게", r",?\s*이렇게\s*(?:정리해서\s*)?(?:말씀|설명)드리겠습니다", ""),
        (
            "어떻게 사실 솔직히 기본적으로 뭐랄까 굉장히 정말 참 말하자면 요컨대",
            rf"{_WORD}(?:어떻게\s*보면|사실은?|솔직히|기본적으로|뭐랄까|굉장히|정말|참|말하자면|요컨대)(?=[\s,]),?",
            "",
        ),
        (
            "결론 결과 돌이켜 한번 쭉 좀",
            rf"{_WORD}(?:결론적으로는?|결과적으로는?|돌이켜\s*보면|한번|쭉|좀)(?=[\s,]),?",
            "",
        ),
        (
            "일단 그러니까 그니까 뭐 이제 매우 상당히 무척 대단히 일반적으로 보통 당연히 물론",
            rf"{_WORD}(?:일단|그러니까|그니까|뭐|이제|매우|상당히|무척|대단히|일반적으로|보통|당연히|물론)(?=[\s,]),?",
            "",
        ),
        (
            "개인적 한마디로 다시 쉽게 구체적 무엇보다",
            rf"{_WORD}(?:개인적으로는?|한마디로|다시\s*말해서?|쉽게\s*말해서?|구체적으로는?|무엇보다도?)(?=[\s,]),?",
            "",
        ),
        ("앞서", rf"{_WORD}앞서\s*[^,.?!]{{0,10}}(?:대로|처럼|같이),?", ""),
        ("생각해 살펴 되돌아", rf"{_WORD}(?:생각해|살펴|되돌아)\s*보(?:면|자면|니),?", ""),
        ("식으로", rf"{_WORD}(?:이런|그런|어떤)\s*식으로(?=\s)", ""),
        ("같은", rf"{_WORD}저\s*같은\s*경우(?:에는|에|는)?,?", "저는"),
        ("어떻게", rf"{_WORD}(?:그때\s*)?(?:제가\s*|저는\s*)?어떻게\s*했느?냐\s*하?면,?", ""),
        ("네, 예, 음, 어, 저기,", rf"{_WORD}(?:네|예|음+|어|저기),", ""),
        # Wordy forms -> what they stand for.
        (
            "라는 라고",
            rf"{_NOUN}라(?:고\s*(?:하|말하)?)?는\s*(?:것|거|부분|측면)(은|이|을|도|에|의|과|으로|보다)",
            _particle,
        ),
        ("라고", rf"{_NOUN}라고\s*할\s*만한\s*것(?:들)?(은|이|을)", _particle),
        ("라는", rf"{_NOUN}라는\s*(게|건|걸)(?=\s)", _particle),
        ("같은", rf"{_NOUN}\s+같은\s*경우(?:에)?(는)", _particle),
        ("라고", rf"(?:이)?라고\s*(?:{_ONE_CAN_SAY}|{_I_SAY})", "이다"),
        ("다고", rf"([가-힣])다고\s*(?:{_ONE_CAN_SAY}|{_I_SAY}|하겠습니다|{_THINK})", r"\1다"),
        ("다는", rf"([가-힣])다는\s*(?:점을|것을|말씀을|생각이|생각을)\s*{_I_SAY}", r"\1다"),
        ("같 아닐까 아닌가 것으로 걸로 거로", rf"([가-힣])(는|던|인)\s*(?:{_SEEMS}|{_RECALLED})", _statement),
        ("같", r"일\s*(?:것|거)\s*같(?:습니다|아요)", "이다"),
        ("같 되지", rf"(으?면)\s*(?:될\s*(?:것|거)\s*같(?:습니다|아요|은데요?)|되지\s*않을까\s*{_MAYBE})", r"\1 된다"),
        ("않", rf"([가-힣])지\s*않(?:나|을까)\s*{_MAYBE}", r"\1다"),
        (
            "편입니다 과정을",
            r"([가-힣])(는)\s*(?:편입니다|(?:그런\s*)?과정을\s*(?:거치게\s*됩니다|거칩니다))",
            _statement,
        ),
        ("됩니다", r"([가-힣])게\s*(됩니다)", _statement),
        ("수가", r"수가\s*있", "수 있"),
        ("있어서", r"에\s*있어서(?:는|도)?", "에서"),
        ("하도록", r"하도록\s*하고\s*있습니다", "한다"),
        ("하게 보았", r"하게\s*되었|해\s*보았", "했"),
        ("하게", r"하게\s*되(?=고|는데|며|면)", "하"),
        ("다고", r"다고\s*한다면", "다면"),
        ("라는", r"(?:이)?라는\s*(?:시간|기간)\s*동안", " 동안"),
        # English.
        ("question", r"\bthat(?:'s| is) a (?:very |really )?(?:good|great) question[,.!]?", ""),
        (
            "sure wrong",
            r"\b(?:i(?:'m| am) not (?:completely |entirely )?sure,? but|i (?:could|may|might) be wrong,? but)\b,?",
            "",
        ),
        ("think guess suppose believe", r"\bi (?:think|guess|suppose|believe)(?: that)?\b,?", ""),
        ("far remember honest know", r"\b(?:as far as i know|if i remember correctly|to be honest|you know)\b,?", ""),
        (
            "would basically actually maybe perhaps probably",
            r"\b(?:i would say that|basically|actually|maybe|perhaps|probably)\b,?",
            "",
        ),
    )
]
