"""What hostile clients send ends early, and costs nobody else anything."""

import socket

import pytest

from tests.support.service import Service

HEAD = "POST /api/feedback HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
PIECE = b"a" * 65_536
DEEP = b'{"user_prompt":' + b"[" * 100_000
WIDE = b'{"messages":[' + b"1," * 500_000 + b"1]}"


@pytest.mark.parametrize("framing", ["content-length: 1073741824", "transfer-encoding: chunked"])
def test_a_body_of_a_gigabyte_is_refused_and_cut_off_before_it_is_read(api_service: Service, framing: str) -> None:
    chunked = framing.startswith("transfer")
    piece = b"10000\r\n" + PIECE + b"\r\n" if chunked else PIECE
    sent = 0
    with socket.create_connection(("127.0.0.1", api_service.port), timeout=10) as client:
        client.sendall(f"{HEAD}{framing}\r\n\r\n".encode())
        try:
            while sent < 1 << 30:
                client.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
    assert sent < 64 * 1024 * 1024


def answer_to(service: Service, head: str, body: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(f"{HEAD}{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        return b"".join(iter(lambda: client.recv(65_536), b""))


def test_a_compressed_body_is_refused_and_never_unpacked(api_service: Service) -> None:
    assert b" 415 " in answer_to(api_service, "content-encoding: gzip\r\n", b"\x1f\x8b\x08 whatever")


@pytest.mark.parametrize(("body", "status"), [(DEEP, b" 400 "), (WIDE, b" 422 ")])
def test_json_that_is_deep_or_wide_is_refused_like_any_other(api_service: Service, body: bytes, status: bytes) -> None:
    assert status in answer_to(api_service, "", body)


def test_there_is_no_cookie_no_server_name_and_no_other_origin(api_service: Service) -> None:
    answer = answer_to(api_service, "origin: https://elsewhere.example\r\ncookie: a=b\r\n", b"{}").lower()
    for header in (b"set-cookie", b"\r\nserver:", b"access-control-"):
        assert header not in answer
    assert b"x-content-type-options: nosniff" in answer
