"""What AUDIT_LOG promises: an answer that was given is on record, whatever happens next."""

import csv
import io
import json
import re
import resource
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.prompts import feedback_prompt, report_prompt, step_prompt
from tests.support.service import LLM_SERVICE, Service, clean_environment, wait_until
from tests.telemetry.watched import CHAT, HELLO, Figures, lines_of, records_in, service_of


@pytest.fixture(scope="module")
def own_engine() -> Iterator[Simulator]:
    with running(FAST) as simulator:
        yield simulator


@pytest.mark.usefixtures("engine")
def test_a_record_holds_what_the_decision_was_made_from(service: Service, audit_folder: Path) -> None:
    answer = service.post("/api/feedback", feedback_prompt(), X_Request_Id="the-record").json()
    (record,) = [one for one in records_in(audit_folder) if one["request_id"] == "the-record"]
    assert record["decided"] == {"score": answer["score"], "is_passed": answer["is_passed"]}
    assert record["scores"] == [answer["meta"]["score"]]
    assert re.fullmatch(r"feedback-[0-9a-f]{12}", record["contract"])
    assert record["input"]["user_prompt_length"] == len(feedback_prompt()["user_prompt"])
    measured, asked = record["generations"]
    assert all(re.fullmatch("[0-9a-f]{64}", one[name]) for one in (measured, asked) for name in _HASHES)
    assert asked["sampling"]["temperature"] == 0.3
    assert record["output"]["feedback"] == answer["feedback"]
    assert "meta" not in record["output"]


_HASHES = ("prompt_sha256", "grammar_sha256")


@pytest.mark.usefixtures("engine")
def test_the_same_input_has_the_same_hashes(service: Service, audit_folder: Path) -> None:
    for name in ("same-1", "same-2"):
        service.post("/api/interview/step", step_prompt(), X_Request_Id=name)
    first, second = (one for one in records_in(audit_folder) if one["request_id"].startswith("same-"))
    assert first["input"] == second["input"]
    assert [one["prompt_sha256"] for one in first["generations"]][:1] == [
        one["prompt_sha256"] for one in second["generations"]
    ][:1]


def test_an_answer_that_two_requests_share_is_on_record_for_both(
    service: Service, engine: Simulator, audit_folder: Path
) -> None:
    engine.configure(ttft=0.3)
    prompt = feedback_prompt("공유되는 답변입니다. 가비지 컬렉션은 메모리를 회수합니다.")
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(service.post, "/api/feedback", prompt, X_Request_Id=f"shared-{n}", Cache_Control="max-age=0")
            for n in range(2)
        ]
        assert [call.result().status_code for call in calls] == [200, 200]
    records = [one for one in records_in(audit_folder) if one["request_id"].startswith("shared-")]
    assert {one["request_id"] for one in records} == {"shared-0", "shared-1"}
    assert len({one["decided_by"] for one in records}) == 1
    assert records[0]["generations"] == records[1]["generations"]


def test_kill_9_in_mid_load_loses_no_record_of_an_answer_that_was_sent(own_engine: Simulator, tmp_path: Path) -> None:
    own_engine.configure(ttft=0.02)
    answered: list[str] = []
    with service_of(own_engine, AUDIT_LOG=str(tmp_path / "decisions.jsonl"), LOG_LEVEL="ERROR") as service:
        stop = threading.Event()

        def ask(client: int) -> None:
            number = 0
            with httpx2.Client(base_url=service.url, headers={"Cache-Control": "no-store"}, timeout=30) as http:
                while not stop.is_set():
                    number += 1
                    name, path = f"c{client}-{number}", f"/api/feedback?stream={str(number % 3 == 0).lower()}"
                    try:
                        answer = http.post(path, json=feedback_prompt(), headers={"X-Request-Id": name})
                    except httpx2.TransportError:
                        return
                    if answer.status_code == 200 and ("stream=false" in path or "event: result" in answer.text):
                        answered.append(name)

        with ThreadPoolExecutor(16) as pool:
            clients = [pool.submit(ask, client) for client in range(16)]
            wait_until(lambda: len(answered) >= 150, 60, "answers")
            service.process.send_signal(signal.SIGKILL)
            service.process.wait()
            stop.set()
            for client in clients:
                client.result()
    recorded = {one["request_id"] for one in records_in(tmp_path)}
    assert len(answered) >= 150
    assert set(answered) <= recorded


def test_a_full_disk_costs_records_but_no_answer_and_raises_an_alarm(own_engine: Simulator) -> None:
    with service_of(own_engine, AUDIT_LOG="/dev/full") as service:
        assert service.post("/api/feedback", feedback_prompt()).status_code == 200
        assert Figures(service).value("llm_service_decision_records_total", outcome="lost") == 1
        (alarm,) = [one for one in lines_of(service) if one["logger"] == "audit"]
        assert (alarm["level"], alarm["event"]) == ("error", "decision records are lost")
        assert "No space left" in alarm["reason"]


def test_a_required_record_that_cannot_be_written_holds_the_answer_back(own_engine: Simulator) -> None:
    with service_of(own_engine, AUDIT_LOG="/dev/full", AUDIT_REQUIRED="true") as service:
        plain = service.post("/api/feedback", feedback_prompt())
        assert (plain.status_code, plain.json()["error"]["type"]) == (503, "not_recorded")
        stream = service.post("/api/feedback?stream=true", feedback_prompt())
        assert "event: result" not in stream.text
        assert '"not_recorded"' in stream.text
        assert service.post(CHAT, HELLO).status_code == 200  # decides nothing


def test_a_line_that_did_not_fit_leaves_no_trace_and_the_next_one_is_whole(
    own_engine: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "decisions.jsonl"
    with service_of(own_engine, AUDIT_LOG=str(file)) as service:
        service.post("/api/feedback", feedback_prompt(), X_Request_Id="fits")
        room = file.stat().st_size + 100
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        assert service.post("/api/feedback", feedback_prompt(), X_Request_Id="does-not").status_code == 200
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, unlimited)
        service.post("/api/feedback", feedback_prompt(), X_Request_Id="fits-again")
    assert [one["request_id"] for one in records_in(tmp_path)] == ["fits", "fits-again"]


def test_files_are_rotated_by_size_and_readable_by_their_owner_only(own_engine: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    with service_of(own_engine, AUDIT_LOG=str(file), AUDIT_MAX_BYTES="65536", AUDIT_OUTPUT="false") as service:
        for number in range(60):
            service.post("/api/feedback", feedback_prompt(), X_Request_Id=f"r{number}")
    assert len(list(tmp_path.glob("*.jsonl"))) > 1
    assert all(one.stat().st_size <= 65536 for one in tmp_path.glob("*.jsonl"))
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.glob("*.jsonl")} == {0o600}
    records = records_in(tmp_path)
    assert sorted(int(one["request_id"][1:]) for one in records) == list(range(60))
    assert not any("output" in one for one in records)


def test_a_file_that_cannot_be_written_is_one_sentence_at_the_start(tmp_path: Path) -> None:
    ended = command(tmp_path, "serve", AUDIT_LOG=str(tmp_path / "missing" / "decisions.jsonl"))
    assert ended.returncode == 1
    assert "AUDIT_LOG=" in ended.stderr
    assert "Traceback" not in ended.stderr


def command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(**variables)
    line = [str(LLM_SERVICE), *arguments]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_export_has_a_row_for_every_score_and_step(own_engine: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    with service_of(own_engine, AUDIT_LOG=str(file)) as service:
        feedback = service.post("/api/feedback", feedback_prompt(), X_Request_Id="f").json()
        step = service.post("/api/interview/step", step_prompt(), X_Request_Id="s").json()
        report = service.post("/api/report", report_prompt(), X_Request_Id="r").json()
    with file.open("a") as sink:
        sink.write('{"version":1,"time":"2026-')  # as a crash of the machine leaves it
    done = command(tmp_path, "audit", "export", AUDIT_LOG=str(file))
    assert done.returncode == 0, done.stderr
    assert "1 lines are no records" in done.stderr
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["request_id"], row["question"]) for row in rows] == [
        ("f", ""),
        ("s", ""),
        ("r", ""),
        ("r", "1"),
        ("r", "2"),
    ]
    assert rows[0]["score"] == str(feedback["score"])
    assert rows[1]["action"] == step["action"]
    assert rows[2]["score"] == str(report["overall_score"])
    assert [row["score"] for row in rows[3:]] == [str(one["score"]) for one in report["question_feedbacks"]]
    assert rows[0]["rubric"] == feedback["meta"]["score"]["rubric"]


def test_the_export_tells_which_scores_an_earlier_row_was_measured_for(own_engine: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    with service_of(own_engine, AUDIT_LOG=str(file)) as service:
        service.post("/api/feedback", feedback_prompt(), Cache_Control="max-age=0")
        service.post("/api/interview/step", step_prompt(), Cache_Control="max-age=0")
    done = command(tmp_path, "audit", "export", AUDIT_LOG=str(file))
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["task"], row["reused"]) for row in rows] == [("feedback", "False"), ("interview_step", "True")]


def test_the_export_is_limited_to_days(tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    lines = [json.dumps(_record(day)) for day in ("2026-01-31", "2026-02-01", "2026-02-28", "2026-03-01")]
    file.write_text("\n".join(lines) + "\n")
    done = command(
        tmp_path,
        "audit",
        "export",
        "--from",
        "2026-02-01",
        "--to",
        "2026-02-28",
        "--file",
        str(file),
        "--output",
        "o.csv",
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "o.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["time"][:10] for row in rows] == ["2026-02-01", "2026-02-28"]
    assert rows[0]["key"] == "'=cmd()"


def _record(day: str) -> dict[str, Any]:
    names = ("request_id", "decided_by", "task", "contract", "engine", "model", "finish")
    record: dict[str, Any] = dict.fromkeys(names, "x")
    return record | {
        "time": f"{day}T12:00:00.000+00:00",
        "key": "=cmd()",
        "input": {"sha256": "0", "user_prompt_length": 1},
        "decided": {"score": 3, "is_passed": False},
        "scores": [],
        "attempts": 1,
        "repaired": [],
        "integrity_flags": [],
    }
