"""Write docs/licences.md: the licence of everything that is shipped (`make licences`).

Each package of requirements/torch.txt, server.txt and ray.txt says its own licence in its metadata,
which is read where it is installed. A package that is not installed on this machine, such as a
library for GPUs next to a build of torch without them, keeps the line that it has.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "licences.md"
SHIPPED = ("torch", "server")
WITH_RAY = ("ray",)
UNSAID = {"cuda-toolkit": "LicenseRef-NVIDIA-Proprietary"}
"""Packages whose metadata name no licence, and what their documents say."""
ELSEWHERE = ("win32", "emscripten")
"""Platforms on which nothing of this runs: what is locked only for them is left out."""
HEADER = """# Licences of what is shipped

`make licences` writes this page from the packages' own metadata; a test compares it with the lock.

| part | licence |
| --- | --- |
| KGT: code and adapter | Apache-2.0 ([NOTICE](../NOTICE) names what the adapter was trained on) |
| the starter graph | CC0-1.0 |
| the default model in the image, SmolLM2-135M-Instruct | Apache-2.0 |
| the image's base, Python on Debian | PSF-2.0; Debian's packages: `/usr/share/doc` there |

ConceptNet and Neo4j are not in the image. ConceptNet is CC BY-SA 4.0, Neo4j Community GPL-3.0.
NVIDIA's libraries come with the registry's build of torch. An image that is built with PyTorch's
index of CPU builds has none of them.

"""
RAY_HEADER = """
An image that is built with `--build-arg EXTRA=ray` also has these:

"""
TABLE = "| package | version | licence |\n| --- | --- | --- |\n"
_PIN = re.compile(r"^([a-z0-9._-]+)==(\S+?)(?: ; (.*?))? \\$", re.MULTILINE)
_ROW = re.compile(r"^\| (\S+) \| (\S+) \| (.+) \|$", re.MULTILINE)


def page(before: str) -> str:
    """The whole page. `before` is the page as it is. Raises SystemExit for an unknown licence."""
    known = {name: (version, licence) for name, version, licence in _ROW.findall(before)}
    return HEADER + _table(SHIPPED, known) + RAY_HEADER + _table(WITH_RAY, known)


def _table(files: Sequence[str], known: Mapping[str, tuple[str, str]]) -> str:
    rows = (
        f"| {name} | {version} | {_licence(name, version, known)} |\n"
        for name, version in pins(files)
    )
    return TABLE + "".join(rows)


def pins(files: Sequence[str]) -> list[tuple[str, str]]:
    """Name and version of each package that these files lock, by name."""
    texts = [(ROOT / "requirements" / f"{file}.txt").read_text() for file in files]
    found = _PIN.findall("".join(texts))
    return sorted((name, version) for name, version, marker in found if _runs_here(marker))


def _runs_here(marker: str) -> bool:
    """Whether a pin is not only for ELSEWHERE."""
    return not any(f"== '{platform}'" in marker for platform in ELSEWHERE)


def _licence(name: str, version: str, known: Mapping[str, tuple[str, str]]) -> str:
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        kept, licence = known.get(name, ("", ""))
        if kept != version:
            raise SystemExit(
                f"{name} {version} is not installed here; run this where it is"
            ) from None
        return licence
    classifiers = said.get_all("Classifier") or []
    classified = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::")]
    text = (said.get("License") or "").strip().partition("\n")[0]
    licence = said.get("License-Expression") or ", ".join(classified) or text or UNSAID.get(name)
    if not licence:
        raise SystemExit(f"{name} names no licence; look it up and add it to UNSAID")
    return str(licence)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text() if PAGE.exists() else ""))
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} is written\n")
