"""One lock says what is installed, for the image and for development.

It has all that pyproject.toml requires, with hashes and without addresses.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
FILES = ("torch", "server", "ray", "dev")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = {
    name: re.findall(
        r"^(\S.*?) \\\n((?: +--hash=.*\n)+)",
        (ROOT / "requirements" / f"{name}.txt").read_text(),
        re.M,
    )
    for name in FILES
}
"""The pins of each file: (what is pinned, its hashes)."""


def pinned(*files: str) -> dict[str, Requirement]:
    found = [Requirement(pin) for name in files for pin, _ in PINS[name]]
    return {canonicalize_name(r.name): r for r in found if r.marker is None or r.marker.evaluate()}


@pytest.mark.parametrize(
    ("wanted", "files"),
    [
        (PROJECT["dependencies"], ("torch", "server")),
        (EXTRAS["server"], ("torch", "server")),
        (EXTRAS["telemetry"], ("torch", "server")),
        (EXTRAS["ray"], ("torch", "server", "ray")),
        (EXTRAS["dev"], FILES),
    ],
)
def test_the_lock_has_what_pyproject_requires(wanted: list[str], files: tuple[str, ...]) -> None:
    pins = pinned(*files)
    for requirement in map(Requirement, wanted):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement} is not locked: `make lock`"
        assert requirement.specifier.contains(_version(pin)), (
            f"{requirement} is locked as {pin}: `make lock`"
        )


def test_every_requirement_is_bounded_above() -> None:
    extras = PROJECT["optional-dependencies"].values()
    wanted = [*PROJECT["dependencies"], *chain.from_iterable(extras)]
    assert [one for one in wanted if not re.search(r"<|==|~=", one.partition(";")[0])] == []


@pytest.mark.parametrize("name", FILES)
def test_each_pin_is_one_version_with_the_hashes_of_its_files(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert PINS[name]
    for pin, hashes in PINS[name]:
        assert [s.operator for s in Requirement(pin).specifier] == ["=="]
        assert re.fullmatch(r"( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+", hashes), pin
    rest = re.sub(r"^\S.*? \\\n(?: +--hash=.*\n)+", "", text, flags=re.M)
    assert all(line.startswith("#") for line in rest.splitlines()), (
        "there is nothing without a hash"
    )


@pytest.mark.parametrize("name", FILES)
def test_the_lock_names_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert re.findall(r"^\s*-(?!-hash)", text, re.M) == [], "no option, such as an index"


def test_the_tests_run_on_what_is_shipped() -> None:
    """What is installed here is what was locked.

    A build of torch from another index has a local version, which does not count.
    """
    differing = {
        name: installed
        for name, pin in pinned(*FILES).items()
        if Version(installed := version(name)).public != str(_version(pin))
    }
    assert differing == {}, "`make install`"


def test_image_and_make_install_only_from_the_lock() -> None:
    dockerfile, makefile = (ROOT / "Dockerfile").read_text(), (ROOT / "Makefile").read_text()
    script = (ROOT / "requirements" / "install.sh").read_text()
    for text in (dockerfile, makefile):
        installs = [line for line in text.splitlines() if "pip install" in line]
        assert len([line for line in installs if "--no-deps --no-build-isolation" in line]) == 1
        assert all("--no-deps" in line or "$(UV)" in line for line in installs)
        assert "requirements/install.sh" in text
    assert "UV := uv==" in makefile
    assert '--require-hashes --no-deps --only-binary :all: "$@"' in script


def installing(tmp_path: Path, *arguments: str, **environment: str) -> list[str]:
    """The commands that install.sh gives to Python."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/said"\n')
    python.chmod(0o700)
    command = ["sh", str(ROOT / "requirements" / "install.sh"), str(python), *arguments]
    subprocess.run(command, env={"PATH": "/usr/bin:/bin", **environment}, check=True, timeout=60)
    said = (tmp_path / "said").read_text().replace(f"{ROOT}/requirements/", "")
    return said.splitlines()


LOCKED = "-m pip install -q --require-hashes --no-deps --only-binary :all:"


def test_the_server_is_installed_without_what_development_needs(tmp_path: Path) -> None:
    assert installing(tmp_path) == [f"{LOCKED} -r torch.txt", f"{LOCKED} -r server.txt"]


def test_an_image_with_ray_is_the_server_s_and_ray(tmp_path: Path) -> None:
    said = installing(tmp_path, "ray")
    assert said == [f"{LOCKED} -r torch.txt", f"{LOCKED} -r server.txt -r ray.txt"]


def test_another_index_is_asked_for_torch_only(tmp_path: Path) -> None:
    torch = pinned("torch")["torch"]
    said = installing(tmp_path, "dev", KGT_TORCH_INDEX="https://example.org/cpu")
    assert said == [
        f"-m pip install -q --no-deps --index-url https://example.org/cpu torch{torch.specifier}",
        f"{LOCKED} -r server.txt -r ray.txt -r dev.txt",
    ]


def _version(pin: Requirement) -> Version:
    (specifier,) = pin.specifier
    return Version(specifier.version)


def test_the_image_fetches_the_model_with_the_few_files_that_fetching_needs(tmp_path: Path) -> None:
    """Few, so that a change of other code does not fetch and convert the model anew."""
    stage = re.search(
        r"^FROM packages AS model\n(.*?)^FROM ", (ROOT / "Dockerfile").read_text(), re.M | re.S
    )
    assert stage is not None
    for copied in re.findall(r"^COPY ((?:\S+ |\\\n *)+)/src/(\S+)$", stage[1], re.MULTILINE):
        folder = tmp_path / copied[1]
        folder.mkdir(parents=True, exist_ok=True)
        for name in copied[0].replace("\\\n", " ").split():
            (folder / Path(name).name).write_bytes((ROOT / name).read_bytes())
    imported = subprocess.run(
        [sys.executable, "-c", "import server.lm.fetch as fetch; print(fetch.__file__)"],
        cwd=tmp_path,
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert Path(imported.stdout.strip()).is_relative_to(tmp_path)


# What is known of the packages


def script(name: str) -> ModuleType:
    """A script of requirements/, loaded and not run."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "requirements" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_licences_is_current() -> None:
    """Each package that is locked for the image has its line, with what its metadata say."""
    licences = script("licences")
    before = licences.PAGE.read_text()
    assert licences.page(before) == before, "`make licences`"


def test_a_package_that_is_not_installed_keeps_its_licence_until_its_version_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    licences = script("licences")
    monkeypatch.setattr(licences, "pins", lambda files: [("nowhere-to-be-found", "1.0")])
    row = "| nowhere-to-be-found | 1.0 | MIT |"
    assert row in licences.page(f"{row}\n")
    with pytest.raises(SystemExit, match="not installed here"):
        licences.page("| nowhere-to-be-found | 0.9 | MIT |\n")


ASKED = {"name": "one", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "two", "skip_reason": "Dependency not found"}
AT_RISK = {"name": "three", "version": "3", "vulns": [{"id": "CVE-1", "fix_versions": ["4"]}]}


def test_an_audit_that_could_not_ask_says_so_and_is_not_passed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    audit = script("audit")
    assert audit.told([ASKED]) == 0
    assert audit.told([ASKED, UNKNOWN]) == audit.UNASKED
    assert "NOT AUDITED: 1 packages" in capsys.readouterr().out
    assert audit.told([ASKED, UNKNOWN, AT_RISK]) == audit.FOUND
    assert "three 3: CVE-1, fixed in 4" in capsys.readouterr().out


def test_the_bill_of_materials_names_what_is_shipped(tmp_path: Path) -> None:
    shipped = tmp_path / "shipped.txt"
    texts = [(ROOT / "requirements" / f"{name}.txt").read_text() for name in ("torch", "server")]
    shipped.write_text("".join(texts))
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(shipped)]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "-o", str(tmp_path / "sbom.json")]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    bill = json.loads((tmp_path / "sbom.json").read_text())
    named = {(c["name"], c["version"]) for c in bill["components"]}
    locked = [Requirement(pin) for name in ("torch", "server") for pin, _ in PINS[name]]
    assert {(one.name, str(_version(one))) for one in locked} == named
    assert bill["metadata"]["component"]["name"] == "kgt"
