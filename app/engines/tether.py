"""Ties a process to the life of its parent: ``python -m app.engines.tether PARENT COMMAND...`` becomes that command."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, even by SIGKILL; the tie outlasts an exec.

    Args:
        parent: The process id of the parent; if it is gone already, this process ends now.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit("the parent process is gone")


def tethered(*command: str) -> list[str]:
    """``command``, tied to the life of this process."""
    return [sys.executable, "-m", "app.engines.tether", str(os.getpid()), *command]


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  becoming the given command is what this is for
