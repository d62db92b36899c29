"""What a Neo4j needs to run as a process: a Java of this machine, and the jars from Maven."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from server.lm.folders import cache_folder
from testbed.neo4j.database import NEEDED, Unobtainable

POMS = {
    "lts": Path(__file__).with_name("pom.xml"),
    "calendar": Path(__file__).with_name("pom-calendar.xml"),
}
JAVA = {"lts": 17, "calendar": 21}
JVMS = Path("/usr/lib/jvm")


def find_java(least: int) -> str | None:
    """A Java of this version or later, if there is one.

    It looks at JAVA_HOME, then at the path, then at the system's folder of Java versions.
    """
    homes = [os.environ.get("JAVA_HOME", ""), *(str(path) for path in sorted(JVMS.glob("*")))]
    candidates = [str(Path(home) / "bin" / "java") for home in homes if home]
    candidates.insert(1, shutil.which("java") or "")
    return next((java for java in candidates if java and java_version(java) >= least), None)


def java_version(java: str) -> int:
    """Its major version; 0 if it is not a Java."""
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


def jars(pom: Path) -> Path:
    """The folder with the jars of a whole Neo4j: from the cache, or resolved by Maven now.

    Raises Unobtainable.
    """
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "neo4j" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _resolve(pom, folder)
    return folder


def _resolve(pom: Path, folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise Unobtainable(NEEDED)
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    command = ["mvn", "-q", "-f", str(pom), "dependency:copy-dependencies"]
    scope = ["-DincludeScope=runtime", f"-DoutputDirectory={building}"]
    done = subprocess.run(
        [*command, *scope], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise Unobtainable(f"{NEEDED}; Maven could not resolve {pom.name}: {done.stdout[-300:]}")
    building.rename(folder)
