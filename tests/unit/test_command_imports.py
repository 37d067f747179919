"""What the command loads before it serves."""

import subprocess
import sys

_PROGRAM = "import sys, app.cli; print(*sorted(sys.modules))"


def test_the_command_loads_no_http_client_and_no_doctor_before_it_serves() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "app.server" in loaded
    assert not {"httpx2", "app.doctor", "app.engines.fetch", "rich", "pygments"} & {*loaded}
