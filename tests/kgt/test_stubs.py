from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HAND_WRITTEN = {"__init__.py"}


def test_the_stubs_are_what_the_contract_generates(tmp_path: Path) -> None:
    """Byte for byte: `make proto` was run after the last change of the contract."""
    command = [sys.executable, str(ROOT / "proto" / "generate.py"), str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    generated = {path.name: path.read_bytes() for path in (tmp_path / "kgt" / "v1").iterdir()}
    committed = {
        path.name: path.read_bytes()
        for path in (ROOT / "kgt" / "v1").iterdir()
        if path.is_file() and path.name not in HAND_WRITTEN
    }
    assert generated.keys() == committed.keys()
    different = [name for name in generated if generated[name] != committed[name]]
    assert different == [], "run `make proto`"
