"""An answer that was measured is known again as itself, for as long as it holds, to the caller who sent it."""

from hypothesis import given
from hypothesis import strategies as st

from app.tasks.judging.remembered import Known, Memory, Place, Remembered

BANDS = ((1, 5, "약함"), (6, 10, "강함"))
KNOWN = Known({4: 1.0}, "expected value of one token", (), (1.0, 1.5, 3.5, 5.5, 7.5, 9.5), 0.1)


class Clock:
    """Tells the time it is set to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def place(remembered: Remembered, *, owner: str = "a", question: str = "스택이란?", answer: str = "후입선출") -> Place:
    return Memory(remembered, owner).place("technical-1", "ko", question, answer)


def test_the_same_answer_is_known_however_it_is_spaced() -> None:
    remembered = Remembered(60)
    place(remembered).keep(KNOWN)
    assert place(remembered, question=" 스택이란?\n", answer="후입선출").known(()) == KNOWN


@given(one=st.tuples(*[st.text(max_size=8)] * 3), other=st.tuples(*[st.text(max_size=8)] * 3))
def test_another_owner_question_or_answer_is_another_one(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    remembered = Remembered(60)
    names = {
        Memory(remembered, owner).place("technical-1", "ko", question, answer).name
        for owner, question, answer in (one, other)
    }
    spaced = {(owner, " ".join(q.split()), " ".join(a.split())) for owner, q, a in (one, other)}
    assert len(names) == len(spaced)


def test_another_rubric_or_language_is_another_measurement() -> None:
    memory = Memory(Remembered(60), "a")
    names = {
        memory.place(rubric, language, "q", "a").name for rubric in ("technical-1", "own") for language in ("ko", "en")
    }
    assert len(names) == 4


def test_it_holds_for_as_long_as_was_said() -> None:
    clock = Clock()
    one = place(Remembered(60, clock))
    one.keep(KNOWN)
    clock.now = 59
    assert one.known(()) == KNOWN
    clock.now = 60
    assert one.known(()) is None


def test_the_one_needed_the_longest_ago_goes_first() -> None:
    remembered = Remembered(60, most=2)
    first, second, third = (place(remembered, answer=answer) for answer in "가나다")
    first.keep(KNOWN)
    second.keep(KNOWN)
    assert first.known(()) == KNOWN
    third.keep(KNOWN)
    assert [one.known(()) is None for one in (first, second, third)] == [False, True, False]


def test_bands_of_its_own_are_measured_by_and_a_prompt_without_any_takes_what_there_is() -> None:
    one = place(Remembered(60))
    one.keep(KNOWN)
    assert one.known(BANDS) is None
    under_bands = KNOWN._replace(bands=BANDS)
    one.keep(under_bands)
    assert one.known(BANDS) == one.known(()) == under_bands


def test_nothing_that_was_said_is_kept() -> None:
    remembered = Remembered(60)
    place(remembered, question="비밀 질문", answer="비밀 답변").keep(KNOWN)
    assert "비밀" not in repr(vars(remembered))


def test_what_is_kept_under_a_name_tells_another_process_nothing() -> None:
    assert place(Remembered(60)).name != place(Remembered(60)).name
