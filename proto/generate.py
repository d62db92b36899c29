"""Generate what clients are made of from the contract.

`make proto` writes the Python stubs of kgt/v1, with type stubs, and the TypeScript client's
messages (clients/typescript/src/gen) into the repository. Tests write them elsewhere and compare.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from google.rpc import error_details_pb2
from grpc_tools import protoc

HERE = Path(__file__).parent
CONTRACT = "kgt/v1/personalization.proto"
ERROR_DETAILS = "google/rpc/error_details.proto"
"""What errors carry. Python has it in a package; for TypeScript it is generated."""
PROTOC_GEN_ES = HERE.parent / "clients" / "typescript" / "node_modules" / ".bin" / "protoc-gen-es"


def generate_python(folder: Path) -> int:
    """Write the stubs under `folder`; returns protoc's exit status."""
    plugins = Path(sys.executable).parent  # where mypy-protobuf's plugins are installed
    os.environ["PATH"] = f"{plugins}{os.pathsep}{os.environ.get('PATH', '')}"
    outputs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    return _protoc(*outputs, CONTRACT)


def generate_typescript(folder: Path) -> int:
    """Write the messages and the service under `folder`; returns protoc's exit status.

    `npm ci` in clients/typescript installs the plugin.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _protoc(
        f"--plugin=protoc-gen-es={PROTOC_GEN_ES}",
        "--es_opt=target=ts,import_extension=js",
        f"--es_out={folder}",
        f"-I{Path(error_details_pb2.__file__).parent.parent.parent}",
        CONTRACT,
        ERROR_DETAILS,
    )


def _protoc(*arguments: str) -> int:
    includes = [f"-I{HERE}", f"-I{Path(protoc.__file__).parent / '_proto'}"]
    status: int = protoc.main(["protoc", *includes, *arguments])
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate stubs from the contract.")
    parser.add_argument("--typescript", action="store_true", help="TypeScript instead of Python")
    parser.add_argument("folder", type=Path, help="where to write them")
    arguments = parser.parse_args()
    generate = generate_typescript if arguments.typescript else generate_python
    return generate(arguments.folder)


if __name__ == "__main__":
    raise SystemExit(main())
