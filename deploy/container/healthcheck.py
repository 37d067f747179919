"""Container health check: ``healthcheck.py /health/live`` exits with 0 if the service in here answers that path 200.

The standard library only, and no proxy: urllib would send a loopback request to the one in HTTP_PROXY.
"""

import http.client
import os
import sys

_TIMEOUT = 4


def main() -> int:
    """Ask once; the status is the answer."""
    path = sys.argv[1]
    port = int(os.environ.get("HEALTHCHECK_PORT") or os.environ.get("APP_PORT") or 8000)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        print(answer.status, answer.read(500).decode("utf-8", "replace"))
    except OSError as error:
        print(f"127.0.0.1:{port}: {error}")
        return 1
    return 0 if answer.status == http.HTTPStatus.OK else 1


if __name__ == "__main__":
    sys.exit(main())
