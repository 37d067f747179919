"""What a constraint on decoding costs: our grammars against ``json_schema`` of the same models, in both engines.

    python -m evals.decoding

Needs ``deploy/sglang-cpu/install.py``. Prints the tables of docs/decoding.md: compile and mask times in CPU
milliseconds, tokens of a typical answer by its white space, and whether walks under the schema keep the contract.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from evals import vocabulary
from evals.decoding_case import Case, Cost
from evals.grammars import Walkable, all_grammars, schema_of
from evals.walks import ENGINES, PYTHON, ROOT, engine_environment, table, walk_all

_SCORES = range(11)
_SCORE_RULE = re.compile(re.escape('("10" | [0-9])'))

# Answers of ordinary length, keys in the order of the grammar. What the masks are timed on.
_FEEDBACK: Mapping[str, Any] = {
    "score": 6,
    "feedback": "가비지 컬렉션이 참조되지 않는 객체를 회수한다는 핵심을 정확히 짚었고, G1으로 바꾸어 멈춤 시간을 줄인 "
    "경험을 들어 설득력이 있습니다. 다만 Minor GC와 Major GC가 어떤 조건에서 일어나는지, 힙 크기를 어떻게 정했는지는 "
    "설명하지 않았습니다.",
    "improvement_suggestion": "개선 전후의 멈춤 시간을 수치로 제시하고 GC 로그를 어떻게 분석했는지 덧붙이면 좋습니다.",
}
_STEP: Mapping[str, Any] = {
    "action": "FOLLOW_UP",
    "message": "설정을 바꾸면서 멈춤 시간을 줄였다고 하셨는데, 어떤 지표를 보고 그 효과를 확인하셨나요?",
    "evaluation": "개념을 정확히 설명했고 실제 경험도 들었지만 수치가 없습니다.",
    "thought": "경험이 구체적인지 확인하려고 같은 주제를 한 번 더 묻습니다.",
}
_REPORT: Mapping[str, Any] = {
    "question_feedbacks": [
        {
            "question": f"{topic}에 대해 설명해 주세요.",
            "answer_summary": "개념을 설명하고 프로젝트에서 써 본 경험을 들었습니다.",
            "feedback": "핵심은 맞지만 근거가 되는 수치가 없어 깊이를 확인하기 어렵습니다.",
            "score": 6,
        }
        for topic in ("가비지 컬렉션", "인덱스", "트랜잭션 격리 수준", "캐시 전략", "REST API 설계", "동시성 제어")
    ],
    "summary": "기본 개념을 정확히 알고 있으며 경험을 들어 설명하려고 했습니다. 수치와 근거를 더하면 훨씬 나아집니다.",
    "strengths": ["개념을 자신의 말로 설명합니다.", "실제 프로젝트 경험을 듭니다."],
    "improvements": ["성과를 수치로 제시하지 않습니다."],
    "recommendations": ["수집 로그를 분석해 보세요.", "실행 계획을 읽는 연습을 하세요."],
}
_ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "feedback ko": _FEEDBACK,
    "step 5 ko": _STEP,
    "whole report ko": _REPORT,
}

_COST_HEAD = (
    "| answer | constraint | engine | cold compile | other literal | mask mean | p50 | p99 | max | masks | refused |\n"
    + "|---" * 11
    + "|"
)


def _compact(answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _variants(kind: str, text: str) -> list[str]:
    """The same constraint with the score fixed to each of its eleven values."""
    if kind == "grammar":
        return [_SCORE_RULE.sub(f'"{score}"', text) for score in _SCORES]
    schemas: list[Any] = [json.loads(text) for _ in _SCORES]
    for score, schema in zip(_SCORES, schemas, strict=True):
        schema["properties"]["score"] = {"const": score}
    return [json.dumps(schema) for schema in schemas]


def _cases() -> Iterator[Case]:
    grammars = all_grammars()
    for name, answer in _ANSWERS.items():
        one = grammars[name]
        schema = json.dumps(schema_of(one.answer), ensure_ascii=False)
        for engine in ENGINES:
            for kind, text, begun in (("grammar", one.text, one.begun), ("json_schema", schema, "")):
                yield Case(
                    name=name,
                    engine=engine,
                    kind="grammar" if kind == "grammar" else "json_schema",
                    text=text,
                    variants=_variants(kind, text) if name.startswith("feedback") else [],
                    answers=[_compact(answer).removeprefix(begun)],
                )


def measure_costs() -> Iterator[Cost]:
    """The figures of every case, as they come.

    Raises:
        subprocess.CalledProcessError: the worker failed; its last words are on standard error.
    """
    command = [str(PYTHON), "-W", "ignore", "-m", "evals.decoding_worker", str(vocabulary.fetch(ROOT / "models"))]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=engine_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101  (asked for above)
        assert process.stdout is not None  # noqa: S101
        json.dump(list(_cases()), process.stdin)
        process.stdin.close()
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _cost_row(cost: Cost) -> str:
    masks = sorted(cost["masks"]) or [float("nan")]
    figures = [
        f"{cost['cold']:,.1f}",
        f"{cost['variant']:,.1f}" if cost["variant"] else "",
        f"{statistics.mean(masks):.3f}",
        f"{statistics.median(masks):.3f}",
        f"{masks[int(0.99 * len(masks))]:.2f}",
        f"{masks[-1]:.2f}",
        str(len(cost["masks"])),
        cost["refused"],
    ]
    return "| " + " | ".join([cost["name"], cost["kind"], cost["engine"], *figures]) + " |"


def _token_table() -> str:
    """Tokens of one answer by its white space; a model under a schema may choose any of these and longer ones."""
    program = (
        "import json, sys; from evals import vocabulary; from evals.grammar_engines import LLGuidance;"
        "encode = LLGuidance(vocabulary.load(vocabulary.Path(sys.argv[1]))).encode;"
        "print(json.dumps([len(encode(text)) for text in json.load(sys.stdin)]))"
    )
    forms = {"compact": {"separators": (",", ":")}, "one line": {}, "indented by 2": {"indent": 2}}
    texts = [json.dumps(a, ensure_ascii=False, **form) for a in _ANSWERS.values() for form in forms.values()]  # type: ignore[arg-type]
    done = subprocess.run(
        [str(PYTHON), "-c", program, str(vocabulary.fetch(ROOT / "models"))],
        cwd=ROOT,
        env=engine_environment(),
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    counts: list[int] = json.loads(done.stdout)
    lines = ["| answer | " + " | ".join(forms) + " |", "|---" * (len(forms) + 1) + "|"]
    for row, name in enumerate(_ANSWERS):
        mine = counts[row * len(forms) : (row + 1) * len(forms)]
        lines.append(f"| {name} | {mine[0]} | " + " | ".join(f"{n} (+{n / mine[0] - 1:.0%})" for n in mine[1:]) + " |")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walks", type=int, default=80, help="under each schema, in each engine; 0 for none")
    parser.add_argument("--limit", type=int, default=2000, help="tokens after which such a walk counts as endless")
    arguments = parser.parse_args()
    print(_COST_HEAD)
    for cost in measure_costs():
        print(_cost_row(cost), flush=True)
    print(f"\n{_token_table()}\n")
    if arguments.walks:
        schemas = {
            name: Walkable(
                json.dumps(schema_of(all_grammars()[name].answer)), all_grammars()[name].answer, "json_schema"
            )
            for name in _ANSWERS
        }
        print(table(walk_all(schemas, ENGINES, arguments.walks, limit=arguments.limit, quiet=True)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
