"""Deterministic prose: Korean or English sentences picked by a seed."""

import re
import zlib
from random import Random

_HANGUL = re.compile(r"[가-힣]")
_WORD = {"ko": re.compile(r"[가-힣]{2,8}"), "en": re.compile(r"[A-Za-z]{4,14}")}

_SENTENCES = {
    "ko": (
        "질문의 핵심을 정확히 짚고 차분하게 설명했습니다.",
        "실제로 겪은 사례를 들어 주장에 힘을 실었습니다.",
        "결과를 숫자로 말해 주니 이해하기 쉬웠습니다.",
        "다만 선택한 방법의 한계도 함께 다루면 더 좋겠습니다.",
        "동료와 의견이 달랐을 때 어떻게 풀었는지 궁금합니다.",
        "문제를 작게 나누어 접근한 점이 돋보입니다.",
        "다음에는 원인을 찾은 과정을 한 단계 더 자세히 말해 주세요.",
        "전체 흐름이 자연스럽고 말의 순서가 분명합니다.",
        "배운 점을 새로운 상황에 적용한 경험이 인상적입니다.",
        "근거가 조금 더 구체적이라면 설득력이 커질 것입니다.",
        "맡은 역할과 팀의 성과를 나누어 설명해 보세요.",
        "짧은 시간 안에 우선순위를 잘 정했습니다.",
        "그때 어떤 기준으로 결정했는지 말씀해 주시겠어요?",
        "같은 상황이 다시 온다면 무엇을 다르게 하시겠습니까?",
    ),
    "en": (
        "The answer goes straight to the point and stays calm.",
        "A concrete example gives the claim some weight.",
        "Naming the numbers made the result easy to follow.",
        "It would help to mention the limits of that choice as well.",
        "Splitting the problem into small steps was a good idea.",
        "Please say a little more about how the cause was found.",
        "The order of the story is clear from start to end.",
        "Lessons from that project were put to use in a new one.",
        "More precise evidence would make this more convincing.",
        "Try to separate your own part from the work of the team.",
        "What would you do differently if it happened again?",
        "Which of the two options did you weigh first?",
    ),
}
_OPENINGS = {
    "ko": ("말씀하신 '{}' 이야기를 잘 들었습니다.", "'{}'에 대해 답하겠습니다.", "먼저 '{}'부터 살펴보겠습니다."),
    "en": ("Let us start with '{}'.", "Here is a thought on '{}'.", "You asked about '{}'."),
}


def seed_of(*parts: str | int) -> int:
    """A seed that depends on the content of the parts only."""
    return zlib.crc32("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"))


def dice(seed: int) -> Random:
    """A private, repeatable source of choices."""
    return Random(seed)  # noqa: S311  the same prompt must give the same answer; nothing here is secret


def language_of(text: str) -> str:
    """`ko` when the text holds Hangul, else `en`."""
    return "ko" if _HANGUL.search(text) else "en"


def sentences(language: str, chars: int, rng: Random) -> str:
    """Whole sentences of at least about `chars` characters."""
    bank = _SENTENCES[language]
    order = rng.sample(range(len(bank)), len(bank))
    out: list[str] = []
    length = 0
    while length < chars:
        out.append(bank[order[len(out) % len(order)]])
        length += len(out[-1]) + 1
    return " ".join(out)


def reply(prompt: str, seed: int) -> str:
    """A short free answer that names a word of the prompt."""
    language = language_of(prompt)
    rng = dice(seed_of(prompt, seed))
    words = _WORD[language].findall(prompt[-2000:])
    opening = rng.choice(_OPENINGS[language]).format(rng.choice(words)) if words else ""
    body = sentences(language, rng.randrange(30, 120), rng)
    return f"{opening} {body}".strip()
