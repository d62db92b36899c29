"""Resolve pyproject.toml's requirements once, for all platforms (`make lock`).

It writes four files next to this one. torch.txt has torch and its libraries for GPUs, server.txt
what else the server and its telemetry need, ray.txt what an image with replicas on Ray needs
besides, and dev.txt what only development needs. Each names exact versions with the hashes of all
their files, and no address. Versions that still fit stay as they are; `make lock UPGRADE=1` takes
the newest ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
FILES = ("torch", "server", "ray", "dev")
HEADER = "# Written by `make lock` (requirements/lock.py).\n"
OLDEST_PYTHON = "3.11"
OF_THE_IMAGE = ("--extra", "server", "--extra", "telemetry")
"""The image can be watched without being built anew."""
WITH_RAY = ("--extra", "ray")
OF_TORCH = re.compile(r"(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==")
"""torch, and the GPU libraries that its build in the index needs. Other builds need others."""


def main(arguments: Sequence[str]) -> int:
    """Resolve, with more options for `uv pip compile`. Returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="kgt-lock-") as folder:
        everything, server, ray = (
            Path(folder, f"{name}.txt") for name in ("everything", "server", "ray")
        )
        # uv prefers the versions that it finds in its output file.
        everything.write_text(
            "".join((HERE / f"{name}.txt").read_text() for name in FILES if _exists(name))
        )
        try:
            _compile([*OF_THE_IMAGE, *WITH_RAY, "--extra", "dev", *arguments], everything)
            locked = ("--constraints", str(_without_hashes(everything)))
            _compile([*OF_THE_IMAGE, *locked], server)
            _compile([*OF_THE_IMAGE, *WITH_RAY, *locked], ray)
        except subprocess.CalledProcessError as error:
            return error.returncode
        of_server = list(_pins(server.read_text()))
        # A pin with another marker is another pin: development may need a package on every
        # platform when the server needs it on one.
        only_ray = [pin for pin in _pins(ray.read_text()) if pin not in of_server]
        shipped = {*of_server, *only_ray}
        only_dev = [pin for pin in _pins(everything.read_text()) if pin not in shipped]
    _write("torch", [pin for pin in of_server if OF_TORCH.match(pin)])
    _write("server", [pin for pin in of_server if not OF_TORCH.match(pin)])
    _write("ray", only_ray)
    _write("dev", only_dev)
    return 0


def _exists(name: str) -> bool:
    return (HERE / f"{name}.txt").exists()


def _compile(options: Sequence[str], to: Path) -> None:
    """Raises CalledProcessError."""
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--generate-hashes",
    ]
    command += [
        "--python-version",
        OLDEST_PYTHON,
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
    ]
    subprocess.run(
        [*command, *options, "--output-file", str(to), "pyproject.toml"],
        cwd=HERE.parent,
        check=True,
    )


def _without_hashes(locked: Path) -> Path:
    pins = locked.with_name("pins.txt")
    pins.write_text(
        "".join(f"{pin.partition(chr(92))[0].strip()}\n" for pin in _pins(locked.read_text()))
    )
    return pins


def _pins(text: str) -> Iterator[str]:
    """The lines of each package: its version, and below it, indented, its hashes."""
    return (
        match.group() for match in re.finditer(r"^[a-z0-9].*\n(?:[ \t]+.*\n)*", text, re.MULTILINE)
    )


def _write(name: str, pins: Sequence[str]) -> None:
    (HERE / f"{name}.txt").write_text(HEADER + "".join(pins))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
