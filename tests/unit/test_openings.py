"""The sentence that a message begins with is there before the model has said a word: it must fit any of them."""

from itertools import pairwise

import pytest

from app.core.prompt_builder import LANGUAGES, Language
from app.core.sentences import SentenceSplitter
from app.tasks.interview_words import LONGEST_OPENING, openings_for
from app.tasks.judging.asks import asks
from app.tasks.judging.case import Case, Exchange
from app.tasks.judging.echo import without_echoes

languages = pytest.mark.parametrize("language", LANGUAGES)
stops = pytest.mark.parametrize("stopped", [True, False])


def after(count: int) -> Case:
    """A phase with so many answers."""
    return Case(exchanges=(Exchange("캐시란 무엇인가요?", "자주 쓰는 값을 가까이 둡니다."),) * count)


@languages
@stops
def test_no_two_messages_of_a_phase_that_follow_each_other_begin_alike(language: Language, *, stopped: bool) -> None:
    said = [openings_for(after(count), language, stopped=stopped)["NEW_TOPIC"] for count in range(13)]
    assert all(one != other for one, other in pairwise(said))


@languages
@stops
@pytest.mark.parametrize("count", range(5))
def test_an_opening_is_short_ends_its_sentences_and_asks_nothing(
    language: Language, count: int, *, stopped: bool
) -> None:
    for opening in openings_for(after(count), language, stopped=stopped).values():
        assert 0 < len(opening) <= LONGEST_OPENING
        assert not asks(opening)
        *spoken, blank = SentenceSplitter().feed(f"{opening} ")
        assert all(end for _, end in spoken)
        assert blank == (" ", False)


@languages
@pytest.mark.parametrize("count", range(5))
def test_an_opening_is_no_echo_of_a_candidate_who_says_the_same(language: Language, count: int) -> None:
    for opening in openings_for(after(count), language, stopped=False).values():
        assert without_echoes(opening, [f"{opening} 그리고 캐시는 값을 가까이 둡니다."]) == opening


@languages
def test_before_the_first_answer_there_is_only_a_new_topic(language: Language) -> None:
    assert openings_for(after(0), language, stopped=False).keys() == {"NEW_TOPIC"}
