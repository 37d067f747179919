"""Faults of the engine, planted in a simulated SGLang: each is found, and its line names the fix."""

import socket
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.doctor.engine import CONTEXT, ENGINE, GRAMMARS, KEY, MODEL, PRIORITY, QUEUE, READY, VERSION
from app.doctor.generation import CACHED, CONSTRAINED, KOREAN, SPEED, THINKING
from simulator.ports import free_port
from tests.doctor.conftest import HEALTHY
from tests.doctor.doctor_command import Report, environment, examined, levels
from tests.simulator.sim_harness import Simulator, running
from tests.support.service import LLM_SERVICE

GENERATED = (THINKING, CACHED, CONSTRAINED, KOREAN, SPEED)


def on(sglang: Simulator, folder: Path, **variables: str) -> Report:
    return examined(folder, SGLANG_HOST="127.0.0.1", SGLANG_PORT=str(sglang.port), **variables)


def test_nothing_is_wrong_with_a_healthy_engine(sglang: Simulator, tmp_path: Path) -> None:
    report = on(sglang, tmp_path)
    assert report.status == 0, report.output
    for title in (ENGINE, READY, KEY, MODEL, CONTEXT, VERSION, PRIORITY, QUEUE, *GENERATED):
        assert report.level(title) == "ok", report.output


def test_machines_can_read_the_report(sglang: Simulator, tmp_path: Path) -> None:
    report = examined(tmp_path, "--json", SGLANG_PORT=str(sglang.port))
    assert report.status == 0
    assert {levels(report)[title] for title in (ENGINE, *GENERATED)} == {"ok"}


def test_an_engine_that_is_not_there_names_address_and_start_command(tmp_path: Path) -> None:
    port = str(free_port())
    report = examined(tmp_path, SGLANG_PORT=port)
    assert (report.status, report.problems) == (1, [ENGINE])
    assert f"nothing answers at localhost:{port}" in report.line(ENGINE)
    assert "SGLANG_HOST and SGLANG_PORT" in report.fix(ENGINE)
    assert "llm-service engine" in report.fix(ENGINE)
    assert ENGINE in report.fix("Not checked")


class _OtherProgram(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the overridden one
        """Say nothing."""


def test_a_server_that_is_not_sglang_is_told_apart(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _OtherProgram) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        report = examined(tmp_path, SGLANG_HOST="127.0.0.1", SGLANG_PORT=str(server.server_port))
        server.shutdown()
        thread.join()
    assert report.problems == [ENGINE]
    assert "not SGLang" in report.line(ENGINE)
    assert "SGLANG_PORT" in report.fix(ENGINE)


def test_lines_come_while_the_engine_lets_us_wait_and_the_wait_has_an_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # its backlog takes the connection, nobody answers
        variables = environment(SGLANG_HOST="127.0.0.1", SGLANG_PORT=str(silent.getsockname()[1]))
        with subprocess.Popen(
            [LLM_SERVICE, "doctor"], cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True
        ) as doctor:
            assert doctor.stdout is not None
            assert doctor.stdout.readline().startswith("ok       Python: ")
            assert doctor.poll() is None
            report = Report(doctor.wait(60), doctor.stdout.read())
    assert report.problems == [ENGINE]
    assert "does not answer in time" in report.line(ENGINE)


def test_an_engine_that_is_starting_asks_for_patience(tmp_path: Path) -> None:
    with running(HEALTHY | {"starting": 600.0}) as starting:
        report = on(starting, tmp_path)
    assert (report.status, report.problems) == (1, [READY])
    assert "Wait until it has loaded the model" in report.fix(READY)


@pytest.mark.parametrize("ours", ["", "another"])
def test_a_key_that_is_refused_names_its_variable(sglang: Simulator, tmp_path: Path, ours: str) -> None:
    sglang.configure(api_key="theirs")
    report = on(sglang, tmp_path, SGLANG_API_KEY=ours)
    assert (report.status, report.problems) == (1, [KEY])
    assert "SGLANG_API_KEY" in report.fix(KEY)
    assert "theirs" not in report.output


def test_the_right_key_is_accepted(sglang: Simulator, tmp_path: Path) -> None:
    sglang.configure(api_key="theirs")
    report = on(sglang, tmp_path, SGLANG_API_KEY="theirs")
    assert report.status == 0, report.output
    assert "accepted" in report.line(KEY)


def test_another_model_than_the_configured_one_is_named(sglang: Simulator, tmp_path: Path) -> None:
    sglang.configure(model_id="Qwen/Qwen3-8B")
    report = on(sglang, tmp_path)
    assert (report.status, report.problems) == (1, [MODEL])
    assert "MODEL_NAME=Qwen/Qwen3-8B" in report.fix(MODEL)


def test_a_context_that_is_shorter_than_configured_gives_the_right_value(sglang: Simulator, tmp_path: Path) -> None:
    sglang.configure(context_length=4096)
    report = on(sglang, tmp_path)
    assert (report.status, report.problems) == (1, [CONTEXT])
    assert "MAX_MODEL_LEN=4096" in report.fix(CONTEXT)


def test_thinking_that_a_parser_takes_out_is_found(sglang: Simulator, tmp_path: Path) -> None:
    sglang.fault("reasoning")
    report = on(sglang, tmp_path)
    assert (report.status, report.problems) == (1, [THINKING])
    assert "reasoning_content" in report.line(THINKING)
    assert """--default-chat-template-kwargs '{"enable_thinking": false}'""" in report.fix(THINKING)


def test_thinking_inside_the_answer_is_found(sglang: Simulator, tmp_path: Path) -> None:
    sglang.script("<think>\nThe candidate greets me, so")
    report = on(sglang, tmp_path)
    assert (report.status, report.problems) == (1, [THINKING])
    assert "--default-chat-template-kwargs" in report.fix(THINKING)


def test_a_grammar_that_is_ignored_is_found(sglang: Simulator, tmp_path: Path) -> None:
    sglang.script("안녕하세요. 면접은 삼십 분쯤 걸립니다. 편하게 말씀해 주세요.")
    report = on(sglang, tmp_path)
    assert (report.status, report.problems) == (1, [CONSTRAINED])
    assert "--grammar-backend" in report.fix(CONSTRAINED)


def test_a_grammar_that_is_refused_is_found(sglang: Simulator, tmp_path: Path) -> None:
    sglang.fault("status", status=400, message="Grammar-based generation is off", match='"ebnf"')
    report = on(sglang, tmp_path)
    assert report.problems == [CONSTRAINED]
    assert "--grammar-backend" in report.fix(CONSTRAINED)


def test_a_grammar_that_leaves_no_hangul_is_found(sglang: Simulator, tmp_path: Path) -> None:
    greeting = "안녕하세요. 면접은 삼십 분쯤 걸립니다. 편하게 말씀해 주세요."
    sglang.script(greeting, greeting, "123", ".")
    report = on(sglang, tmp_path)
    assert (report.status, report.problems) == (1, [KOREAN])
    assert "'.'" in report.line(KOREAN)
    assert "--grammar-backend" in report.fix(KOREAN)


def test_an_engine_that_fails_is_a_line_and_no_crash(sglang: Simulator, tmp_path: Path) -> None:
    sglang.fault("status", status=500)
    report = on(sglang, tmp_path)
    assert report.problems == [THINKING]
    assert "log" in report.fix(THINKING)


def test_an_answer_that_never_comes_has_an_end(sglang: Simulator, tmp_path: Path) -> None:
    sglang.fault("hang")
    report = on(sglang, tmp_path)
    assert report.problems == [THINKING]
    assert "less busy" in report.fix(THINKING)


def test_tokens_that_are_not_cached_are_a_warning(sglang: Simulator, tmp_path: Path) -> None:
    sglang.configure(prefix_cache=False)
    report = on(sglang, tmp_path)
    assert (report.status, report.level(CACHED)) == (0, "warning")
    assert "--enable-cache-report" in report.fix(CACHED)


def test_priorities_that_are_ignored_are_a_warning(sglang: Simulator, tmp_path: Path) -> None:
    sglang.configure(priority=False)
    report = on(sglang, tmp_path)
    assert (report.status, report.level(PRIORITY)) == (0, "warning")
    assert "--enable-priority-scheduling" in report.fix(PRIORITY)


def test_a_queue_without_bound_is_a_warning(sglang: Simulator, tmp_path: Path) -> None:
    sglang.configure(max_queued=None)
    report = on(sglang, tmp_path, SGLANG_MAX_QUEUE="40")
    assert (report.status, report.level(QUEUE)) == (0, "warning")
    assert "--max-queued-requests 40" in report.fix(QUEUE)


def test_a_grammar_engine_with_wrong_masks_is_a_warning(sglang: Simulator, tmp_path: Path) -> None:
    sglang.configure(grammar_backend="xgrammar")
    report = on(sglang, tmp_path)
    assert (report.status, report.level(GRAMMARS)) == (0, "warning")
    assert "--grammar-backend llguidance" in report.fix(GRAMMARS)


def test_an_engine_without_server_info_is_a_warning(sglang: Simulator, tmp_path: Path) -> None:
    sglang.fault("status", status=404, routes=["/server_info"])
    report = on(sglang, tmp_path)
    assert (report.status, report.level(VERSION)) == (0, "warning")
    assert "--enable-priority-scheduling" in report.fix(VERSION)


def test_an_engine_too_slow_for_the_time_allowed_is_a_warning(sglang: Simulator, tmp_path: Path) -> None:
    sglang.configure(tps=20.0)
    report = on(sglang, tmp_path, REQUEST_TIMEOUT="10", DEFAULT_MAX_TOKENS="1000")
    assert (report.status, report.level(SPEED)) == (0, "warning")
    assert "REQUEST_TIMEOUT" in report.fix(SPEED)
