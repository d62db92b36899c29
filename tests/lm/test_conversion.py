"""A GGUF file is converted once, completely or not at all, and loaded from the cache afterwards."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from server.errors import ModelUnusable, StartupError
from server.lm import conversion, progress
from server.lm.conversion import kept
from server.lm.loading import LoadedModel, ModelChoice, load
from server.lm.progress import Progress
from tests.lm.tiny_models import make_gguf

IDS = torch.tensor([[5, 6, 7, 8]])


class Conversions:
    """Counts conversions, by the names of their files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[str] = []
        convert = conversion.convert

        def counted(gguf: Path, *arguments: object) -> None:
            self.files.append(gguf.name)
            convert(gguf, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(conversion, "convert", counted)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> Conversions:
    return Conversions(monkeypatch)


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gguf(tmp_path_factory.mktemp("gguf") / "Tiny Model.GGUF")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def started(
    gguf: Path, cache: Path, number_format: str = "float32", stop: threading.Event | None = None
) -> LoadedModel:
    choice = ModelChoice(
        str(gguf),
        "none",
        cache,
        device="cpu",
        number_format=number_format,  # type: ignore[arg-type]
    )
    return load(choice, stop)


def logits(loaded: LoadedModel) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = loaded.model(IDS).logits
    return found


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "models").iterdir())


@pytest.mark.parametrize("number_format", ["float32", "bfloat16"])
def test_the_second_start_converts_nothing_and_says_the_same(
    gguf: Path, cache: Path, conversions: Conversions, number_format: str
) -> None:
    first = started(gguf, cache, number_format)
    assert len(conversions.files) == 1
    second = started(gguf, cache, number_format)
    assert len(conversions.files) == 1
    assert torch.equal(logits(first), logits(second))
    assert first.fingerprint == second.fingerprint
    assert first.tokenizer("the dog likes").input_ids == second.tokenizer("the dog likes").input_ids
    plain = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=getattr(torch, number_format)
    )
    with torch.inference_mode():
        assert torch.equal(logits(first), plain(IDS).logits)


def test_a_moved_file_is_known_and_a_changed_one_is_converted_anew(
    gguf: Path, cache: Path, tmp_path: Path, conversions: Conversions
) -> None:
    before = started(gguf, cache).fingerprint
    moved = Path(shutil.copy(gguf, tmp_path / gguf.name))
    assert started(moved, cache).fingerprint == before
    assert len(conversions.files) == 1
    content = bytearray(moved.read_bytes())
    content[-100] ^= 1
    moved.write_bytes(content)
    assert started(moved, cache).fingerprint != before
    assert len(conversions.files) == 2


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "config.json", "converted.json"]
)
@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_a_cut_entry_is_noticed_and_made_again(
    gguf: Path, cache: Path, conversions: Conversions, name: str, damage: str
) -> None:
    expected = logits(started(gguf, cache))
    (entry,) = entries(cache)
    if damage == "cut":
        (entry / name).write_bytes((entry / name).read_bytes()[:-20])
    else:
        (entry / name).unlink()
    assert torch.equal(logits(started(gguf, cache)), expected)
    assert len(conversions.files) == (1 if (name, damage) == ("converted.json", "removed") else 2)
    assert entries(cache) == [entry]


def test_an_adapter_next_to_the_file_is_not_applied(
    gguf: Path, cache: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(gguf, tmp_path / "model.gguf"))
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert torch.equal(logits(started(file, cache)), logits(started(gguf, cache)))


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("I/O error: No space left"),
    ],
)
def test_what_ends_a_conversion_leaves_nothing_half(
    gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def broken(_: Path, folder: Path, *__: object) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(conversion, "convert", broken)
        with pytest.raises(
            KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ModelUnusable
        ) as told:
            started(gguf, cache)
    assert entries(cache) == []
    if isinstance(told.value, ModelUnusable):
        assert "No space left" in str(told.value)
        assert str(gguf) in str(told.value)
        assert "\n" not in str(told.value)
    started(gguf, cache)


def test_a_conversion_that_nobody_waits_for_any_more_ends_at_the_next_tensor(
    gguf: Path, cache: Path
) -> None:
    stop = threading.Event()

    class Stopping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "converting" in record.getMessage():
                stop.set()

    log, handler = logging.getLogger("kgt"), Stopping()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with pytest.raises(StartupError, match="stopped"):
            started(gguf, cache, stop=stop)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    assert entries(cache) == []


def test_of_two_starts_at_once_both_get_the_whole_folder(cache: Path) -> None:
    both = threading.Barrier(2)

    def make(_: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        both.wait(60)

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: kept(cache / "models" / "entry", make), range(2)))
    assert found[0] == found[1]
    assert entries(cache) == [found[0]]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_makes_is_not(
    tmp_path: Path,
) -> None:
    left = tmp_path / ".making-left"
    left.mkdir()
    (left / "half").write_text("half")

    def small(_: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    def make(work: Path, folder: Path) -> None:
        kept(tmp_path / "inner", small)
        assert work.exists()
        small(work, folder)

    kept(tmp_path / "outer", make)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inner", "outer"]


def test_where_nothing_can_be_kept_the_file_is_loaded_all_the_same(
    gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = logits(started(gguf, cache))

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert torch.equal(logits(started(gguf, cache / "elsewhere")), expected)
    assert "converted at every start" in caplog.text


# What a start tells


def test_a_start_tells_what_it_is_doing(
    gguf: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kgt")
    started(gguf, cache)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == f"loading model {gguf}"
    assert f"converting {gguf.name}, once" in told
    caplog.clear()
    started(gguf, cache)
    assert not any("converting" in record.getMessage() for record in caplog.records)


def test_tensors_are_counted(
    gguf: Path,
    cache: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    caplog.set_level(logging.INFO, "kgt")
    started(gguf, cache)
    told = {record.getMessage() for record in caplog.records}
    assert {"tensor 1 of 21", "tensor 21 of 21"} <= told
    assert "%|" not in capfd.readouterr().err, "no bars"


def test_progress_is_told_every_few_seconds_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kgt")
    now = 0.0
    told = Progress(clock=lambda: now)
    told.say("loading")
    for _ in told.counted(range(272), 272, "tensor"):
        now += 0.125
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "loading"
    assert len(lines) == 1 + 6
    assert lines[1] == "tensor 41 of 272"


def test_a_long_step_is_told_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.001)
    caplog.set_level(logging.INFO, "kgt")
    again = threading.Event()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "still converting" in record.getMessage():
                again.set()

    handler = Listening()
    logging.getLogger("kgt").addHandler(handler)
    try:
        with Progress().step("converting"):
            assert again.wait(30)
    finally:
        logging.getLogger("kgt").removeHandler(handler)


def test_a_conversion_keeps_every_weight(gguf: Path, cache: Path) -> None:
    loaded = started(gguf, cache)
    (entry,) = entries(cache)
    kept_weights = load_file(entry / "model.safetensors")
    assert len(kept_weights) == 21
    for name, weight in loaded.model.state_dict().items():
        assert torch.equal(kept_weights[name], weight)
