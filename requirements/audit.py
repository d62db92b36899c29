"""Ask for known vulnerabilities of everything that is locked (`make audit`).

It runs pip-audit over requirements/*.txt. pip-audit ends well where the advisory service knows
nothing of a package, as it does where the service cannot be reached behind a mirror. Here that is
told, and has a status of its own: an audit that asked nobody found nothing out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FILES = ("torch", "server", "dev")
FOUND, UNASKED = 1, 3


def main() -> int:
    """Audit all files. Returns 0, FOUND for a vulnerability, or UNASKED."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--disable-pip"]
    command += ["--require-hashes", "--progress-spinner", "off", "--timeout", "15"]
    for name in FILES:
        command += ["-r", str(HERE / f"{name}.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        print(f"NOT AUDITED: the advisory service did not answer ({last})")
        return UNASKED
    return told(packages)


def told(packages: Sequence[dict[str, Any]]) -> int:
    """Print what an audit found in packages, and return the status that says it."""
    found = [(p, v) for p in packages for v in p.get("vulns", ())]
    for package, vulnerability in found:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
        name = f"{package['name']} {package['version']}"
        print(f"{name}: {vulnerability['id']}, fixed in {fixed}")
    unasked = [package["name"] for package in packages if "skip_reason" in package]
    asked = len(packages) - len(unasked)
    print(f"{asked} packages audited, {len(found)} vulnerabilities")
    if unasked:
        print(f"NOT AUDITED: {len(unasked)} packages that the advisory service does not know here")
    if found:
        return FOUND
    return UNASKED if unasked else 0


if __name__ == "__main__":
    raise SystemExit(main())
