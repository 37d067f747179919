"""How long a candidate waits: time to the first sentence of a step's message, against the whole step.

    python -m evals.first_sentence http://127.0.0.1:8000 --rounds 10

Asks a running service for interview steps as events and prints one row of docs/streaming.md: medians in seconds.
"""

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_PROMPT = {
    "system_prompt": "당신은 백엔드 개발자 면접관입니다. 꼬리 질문은 한 주제에 2번까지 할 수 있습니다.",
    "user_prompt": "[질문 1] 자바의 가비지 컬렉션을 설명해 주세요.\n"
    "[답변] 참조되지 않는 객체를 JVM이 회수합니다.\n꼬리 질문 횟수: 0/2",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """Seconds from the request to the end of the first sentence, of the message and of the answer, and that answer."""

    sentence: float
    message: float
    whole: float
    result: Mapping[str, Any]


def listen(url: str, prompt: Mapping[str, str] = _PROMPT) -> Heard:
    """One interview step, heard while it is written; a step that ends the phase says nothing, and is heard whole.

    Raises:
        RuntimeError: the service refused, or the stream ended without a result.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=300)
    started = time.perf_counter()
    body = json.dumps(prompt).encode()
    connection.request("POST", "/api/interview/step?stream=true", body, {"content-type": "application/json"})
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise RuntimeError(f"{response.status}: {response.read().decode()}")
    ends: list[float] = []
    for name, data in _events(response):
        if name == "delta" and data["field"] == "message" and data["sentence_end"]:
            ends.append(time.perf_counter() - started)
        if name == "result":
            connection.close()
            whole = time.perf_counter() - started
            ends = ends or [whole]
            return Heard(ends[0], ends[-1], whole, data)
    raise RuntimeError("the stream ended without a result; ask again")


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    while line := response.readline().decode():
        if line.startswith("event: "):
            name = line[7:].strip()
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of a running service")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    heard: list[Heard] = []
    for number in range(arguments.rounds):
        heard.append(listen(arguments.url))
        print(f"round {number + 1}: {heard[-1].sentence:.2f} s of {heard[-1].whole:.2f} s", flush=True)
    sentence = statistics.median(one.sentence for one in heard)
    whole = statistics.median(one.whole for one in heard)
    share = statistics.median(one.sentence / one.whole for one in heard)
    print(f"| {len(heard)} | {sentence:.2f} | {whole:.2f} | {share:.0%} |")


if __name__ == "__main__":
    main()
