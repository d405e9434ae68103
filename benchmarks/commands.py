"""Running other programs, and saying so when they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping


class BenchError(Exception):
    """Something that makes a measurement impossible or worthless; shown as it is."""


def output(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises ``BenchError`` with the end of its output when it fails."""
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", **(environment or {})},
            check=False,
        )
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from error
    if finished.returncode != 0:
        tail = "\n".join((finished.stdout + finished.stderr).strip().splitlines()[-15:])
        raise BenchError(f"{' '.join(command)} failed:\n{tail}")
    return finished.stdout.strip()


def apt_install(package: str) -> str:
    """Install a Debian package when we may; return why it is not there, or nothing."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get here to install it with."
    if os.geteuid() != 0:
        return "run as root to have it installed."
    say(f"installing {package}")
    try:
        output(["apt-get", "update", "-qq"])
        output(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])
    except BenchError as error:
        return f"apt-get failed: {str(error).splitlines()[-1]}"
    return ""


def say(sentence: str) -> None:
    """Tell whoever waits what is going on."""
    print(f"bench: {sentence}", file=sys.stderr, flush=True)
