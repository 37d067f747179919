"""The benches of CPU: their arithmetic, and a short one of each on real processes."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from bench.answers import TASKS, USUAL, Cost, record
from bench.answers import table as table_of_answers
from bench.chunks import Cost as ChunkCost
from bench.chunks import table as table_of_chunks
from bench.document import DOCUMENT, replaced
from bench.flat import Costs
from bench.flat import table as table_of_flatness
from bench.gateways import OURS, ROUTER
from bench.short import BESIDE, RECORDED, compared, medians
from simulator.tokens import split
from tests.support.service import ROOT

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="the engine and the load generator are programs in C"
)


def bench(*arguments: str) -> str:
    """What it printed; its status says whether the goals are reached, which is no matter of a test."""
    run = subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "bench:" not in run.stderr, run.stderr
    assert "Traceback" not in run.stderr, run.stderr
    return run.stdout


def test_a_task_may_cost_what_its_calls_and_chunks_do() -> None:
    cost = Cost(requests=10, calls=20, chunks=1000, cpu=0.024)
    assert cost.allowed == pytest.approx(2 * 200 + 100 * 20)
    assert cost.per_request == pytest.approx(cost.allowed)
    assert table_of_answers({"/api/feedback": [cost]})[-1] == "| `/api/feedback` | 2.0 | 100 | 2.40 | 1.00 | 1.00 |"


def test_a_task_may_cost_twice_as_much_where_the_router_does() -> None:
    cost = Cost(requests=10, calls=20, chunks=1000, cpu=0.048, router=2 * USUAL)
    assert (cost.share, cost.share_here) == (pytest.approx(2), pytest.approx(1))


def test_a_canned_answer_is_one_chunk_a_token_and_then_its_end() -> None:
    needle, _, rest = record("words", '{"score":6}').partition(b"\n")
    pieces: list[bytes] = []
    while not rest.startswith(b"0\n"):
        length, _, rest = rest.partition(b"\n")
        pieces.append(rest[: int(length)])
        rest = rest[int(length) :]
    assert needle == b"words"
    assert rest == b"0\n"
    events = [piece.decode().removesuffix("\n\n").split("\n\n") for piece in pieces]
    assert [len(told) for told in events] == [2, *[1] * (len(split('{"score":6}')) - 1), 3]
    said = [json.loads(told[-1].removeprefix("data: "))["choices"][0]["delta"]["content"] for told in events[:-1]]
    assert "".join(said) == '{"score":6}'
    assert events[-1][-1] == "data: [DONE]"


def test_a_canned_token_is_written_as_sglang_writes_it() -> None:
    event = record("words", "a").partition(b"data: ")[2].partition(b"data: ")[2].partition(b"\n")[0].decode()
    assert event.partition('"choices":')[2] == (
        '[{"index":0,"delta":{"reasoning_content":null,"content":"a"},"logprobs":null,"finish_reason":null,'
        '"matched_stop":null}]}'
    )


def test_flatness_is_told_by_the_dearest_connections_and_by_what_a_further_kilobyte_costs() -> None:
    costs = Costs({1: 100.0, 10: 90.0, 1000: 99.0}, {1: 100.0, 11: 120.0, 21: 143.0})
    assert costs.spread == pytest.approx(100 / 90)
    assert costs.further == pytest.approx([2.0, 2.3])
    assert costs.growth == pytest.approx(1.15)
    assert "1.11 times the cheapest" in table_of_flatness(costs)[-1]


def test_a_chunk_is_told_with_what_the_kernel_leaves_of_its_goal() -> None:
    costs = {OURS: ChunkCost(50.0, 20.0), ROUTER: ChunkCost(30.0, 18.0)}
    *rows, said = table_of_chunks(costs)
    assert f"| {OURS} | 50.0 | 20.0 | 30.0 |" in rows
    assert said == "The goal is 24.0 us; the kernel alone takes 20.0 here, which leaves 4.0."


def test_a_ratio_fails_only_when_it_is_thirty_percent_above_its_record() -> None:
    recorded = {"request": 0.1, "chunk": 0.2}
    assert compared({"request": 0.129, "chunk": 0.2}, recorded)[1] is False
    lines, worse = compared({"request": 0.131, "chunk": 0.2}, recorded)
    assert worse
    assert lines[-1].startswith("CPU per request is more than 1.3 times the recorded ratio.")


def test_a_round_in_which_the_machine_was_busy_changes_no_ratio() -> None:
    ours, others = {"request": [1.0, 3.0, 1.1], "chunk": [1.0]}, {"request": [10.0, 30.0, 10.0], "chunk": [4.0]}
    assert medians(ours, others) == {"request": pytest.approx(0.1), "chunk": 0.25}


def test_the_record_holds_both_ratios() -> None:
    assert set(json.loads(RECORDED.read_text())) == set(BESIDE) == {"request", "chunk"}


@pytest.mark.parametrize("section", ["gateways", "interview", "answers", "flat", "chunks"])
def test_the_document_has_a_place_for_each_table(section: str) -> None:
    text = replaced(DOCUMENT.read_text(), section, ["another table"])
    assert f"<!-- written by make bench: {section} -->\nanother table\n<!-- end -->" in text
    assert text.count("<!-- end -->") == DOCUMENT.read_text().count("<!-- end -->")


@needs_compiler
@pytest.mark.timeout(200)
def test_a_short_run_counts_what_each_task_asks_of_the_engine() -> None:
    found = re.findall(
        r"^\| `(/api/\S+)` \| ([\d.]+) \| (\d+) \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$",
        bench("answers", "--rounds", "1", "--seconds", "0.5", "--alone"),
        re.MULTILINE,
    )
    assert [path for path, _, _ in found] == list(TASKS)
    # A measurement for each answer, and whether it is believed or, for a step, what comes next; then the words.
    assert [calls for _, calls, _ in found] == ["3.0", "3.0", "25.0"]
    assert all(int(chunks) > 50 for _, _, chunks in found)


@needs_compiler
@pytest.mark.timeout(200)
def test_a_short_run_tells_the_cost_at_each_number_of_connections() -> None:
    told = bench("flat", "--rounds", "1", "--seconds", "0.2")
    assert re.search(r"^\| connections, 1 KB of prompt \| 1 \| 10 \| 100 \| 1,000 \|$", told, re.MULTILINE)
    assert len(re.findall(r"^\| CPU us a request(?: \| \d+){4} \|$", told, re.MULTILINE)) == 2
