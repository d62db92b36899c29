"""Generate the stubs in kgt/v1, with type stubs, from the contract.

`make proto` writes them into the repository. A test writes them elsewhere and compares.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
CONTRACT = "kgt/v1/personalization.proto"


def generate(folder: Path) -> int:
    """Write the stubs under `folder`; returns protoc's exit status."""
    plugins = Path(sys.executable).parent  # where mypy-protobuf's plugins are installed
    os.environ["PATH"] = f"{plugins}{os.pathsep}{os.environ.get('PATH', '')}"
    includes = [f"-I{HERE}", f"-I{Path(protoc.__file__).parent / '_proto'}"]
    outputs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    status: int = protoc.main(["protoc", *includes, *outputs, CONTRACT])
    return status


if __name__ == "__main__":
    raise SystemExit(generate(Path(sys.argv[1])))
