"""`kgt chat`, over a pipe and on a terminal."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kgt.__main__ import main
from kgt.chat.reading import ADVICE, from_terminal
from kgt.client import Client
from kgt.v1 import personalization_pb2 as pb
from testbed.processes import ROOT, until
from tests.kgt.command.running import Run, corrected
from tests.kgt.command.terminal import Terminal, on_terminal
from tests.kgt.conftest import Guarded
from tests.kgt.scripted_server import Script, scripted_server
from tests.kgt.test_output import NASTY, OBEYED, filled
from tests.rpc.running import ENJOY, FEED, NAME

Chat = Callable[..., list[str]]
PROMPT = "\n>"
NOTHING = "Nothing in it to learn."


@pytest.fixture
def chat(
    address: str,
    user: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Chat:
    """Pipes lines into a conversation of the test's own user. Returns the lines of its replies."""

    def chat(*lines: str, address: str = address) -> list[str]:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        status = main(["chat", "-u", user, "--server", address])
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        assert "\x1b" not in printed.out
        return printed.out.splitlines()

    return chat


def test_a_question_gets_its_answer_and_what_it_rests_on(chat: Chat) -> None:
    assert chat("", ENJOY) == [
        "meat", "  from: dog Desires meat; dog Desires bones; dog Desires long walks",
    ]  # fmt: skip


def test_no_corrects_the_last_answer_in_other_words_too(chat: Chat) -> None:
    shown = chat(ENJOY, "no, vegetables", FEED)
    assert shown[2:4] == ["meat -> vegetables", "vegetables"]
    assert shown[4].startswith("  from: dog Desires vegetables (yours); ")


def test_a_correction_in_a_sentence_of_its_own_is_learned(chat: Chat) -> None:
    shown = chat(ENJOY, "No. My dog is named Rex.", NAME)
    assert shown[2:4] == ["learned: my dog is named Rex", "Rex"]


def test_a_sentence_that_cannot_be_learned_is_an_answer_if_it_begins_as_one(chat: Chat) -> None:
    assert chat(ENJOY, "no, he wants fish")[2] == "meat -> fish"


def test_there_must_be_an_answer_to_correct(chat: Chat) -> None:
    [ask_first, say_what] = chat("no, vegetables", "no")
    assert "ask first" in ask_first
    assert "'no, '" in say_what


def test_a_correction_that_changes_nothing_says_so(chat: Chat) -> None:
    assert chat(ENJOY, "no, meat")[2:] == ["meat -> meat", "  nothing was changed"]


def test_a_statement_shows_what_was_understood_and_what_was_not(chat: Chat) -> None:
    shown = chat("My dog is named Rex.", "My dog is named Max.", "She likes jazz.", "Hello!")
    assert shown[:4] == [
        "learned: my dog is named Rex",
        "learned: my dog is named Max",
        "  removed: (dog, is named, Rex)",
        "not understood (pronoun): She likes jazz.",
    ]
    assert shown[4].startswith(NOTHING)


def test_a_line_may_tell_and_ask(chat: Chat) -> None:
    shown = chat(f"My dog is named Rex. {NAME}", f"Hello! {NAME}")
    assert shown[:2] == ["learned: my dog is named Rex", "Rex"]
    assert shown[3] == "Rex"


def test_why_explains_the_last_reply_in_triples_and_probabilities(chat: Chat) -> None:
    assert "nothing to explain" in chat("/why")[0]
    answered = chat(ENJOY, "/why")[2:]
    assert answered[0] == "meat"
    assert answered[1].split() == ["fact", "P(z|q)"]
    assert answered[2].split()[:3] == ["(dog,", "Desires,", "meat)"]
    corrected = "\n".join(chat(ENJOY, "no, vegetables", "/why"))
    assert "+  (dog, Desires, vegetables) " in corrected
    assert "loss (Eq. 7)" in corrected
    learned = "\n".join(chat("My dog is named Rex.", "/why"))
    assert "  asked: my dog is named -> Rex, P(answer|q) (Eq. 1) 0." in learned
    assert "+  (dog, is named, Rex) " in learned
    assert "-  (dog, is named, Rex) " in "\n".join(chat("/undo", "/why"))


def test_undo_walks_back_exactly(chat: Chat, address: str, user: str, run: Run) -> None:
    corrected(run, "fish")
    with Client(address) as client:
        before = client.get_neighborhood(user=user, concept="dog").triples
        shown = chat(ENJOY, "no, vegetables", "My dog is named Rex.", "/undo", "/undo")
        assert shown[-2:] == ["undone: My dog is named Rex.", f"undone: {ENJOY} -> vegetables"]
        assert client.get_neighborhood(user=user, concept="dog").triples == before
        assert chat("/undo", "/undo") == [f"undone: {ENJOY} -> fish", "There is nothing to undo."]
        assert client.list_facts(user=user).facts == []


def test_an_undo_that_was_undone_leaves_its_edit_to_undo(
    chat: Chat, address: str, user: str, run: Run
) -> None:
    corrected(run)
    chat("/undo")
    with Client(address) as client:
        [undo, _] = client.list_edits(user=user).edits
        client.revert_edit(user=user, edit_id=undo.id)
    shown = chat("/undo", "/undo", ENJOY)
    assert shown[:3] == [f"undone: {ENJOY} -> vegetables", "There is nothing to undo.", "meat"]


def test_facts_lists_the_newest(chat: Chat, address: str, user: str) -> None:
    assert chat("/facts") == ["You have told nothing yet."]
    with Client(address) as client:
        client.edit_facts(user=user, add=[("I", "likes", f"song {n}") for n in range(51)])
    shown = chat("/facts")
    assert len(shown) == 1 + 50 + 1
    assert "`kgt facts`" in shown[-1]


def test_forget_erases_only_what_is_confirmed(chat: Chat, user: str, run: Run) -> None:
    corrected(run)
    assert chat("/forget", "yes")[1] == chat("/forget")[1] == "Nothing was erased."
    shown = chat(ENJOY, "/forget", user, "/facts", "/why")
    assert shown[-3].startswith("erased 1 edits, 1 added and 1 removed triples")
    assert shown[-2] == "You have told nothing yet."
    assert "nothing to explain" in shown[-1]


def test_help_lists_the_commands_and_quit_leaves(chat: Chat) -> None:
    shown = chat("/nonsense", "/help", "/quit", ENJOY)
    assert "/help" in shown[0]
    names = [line.split()[0] for line in shown[1:]]
    assert names == ["/why", "/undo", "/facts", "/forget", "/help", "/quit"]


def test_a_terminal_gets_nothing_to_obey(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = pb.StreamAnswerResponse
    evidence = part(evidence=filled(pb.StreamAnswerResponse.Evidence))
    whole = {
        "Personalize": pb.PersonalizeResponse,
        "Learn": pb.LearnResponse,
        "ListEdits": pb.ListEditsResponse,
        "RevertEdit": pb.RevertEditResponse,
        "ListFacts": pb.ListFactsResponse,
    }
    responses = {name: [filled(kind)] for name, kind in whole.items()}
    lines = [ENJOY, "/why", "no, x", "/why", "I like jazz.", "/why", "/undo", "/why", "/facts"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    script = Script(responses={**responses, "StreamAnswer": [evidence, part(text=NASTY)]})
    with scripted_server(script) as address:
        assert main(["chat", "-u", "alice", "--server", address]) == 0
    shown = capsys.readouterr().out
    assert "undone: " in shown
    assert r"\x1b]0;PWNED" in shown
    assert OBEYED.findall(shown) == []


def test_it_has_no_form_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chat", "-u", "alice", "--json"])
    assert ended.value.code == 2
    assert "--json" in capsys.readouterr().err


def test_a_call_that_fails_ends_a_pipe(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{'x' * 300_000}?\n{ENJOY}\n"))
    assert main(["chat", "-u", "alice", "--server", address]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kgt: InvalidArgument (INVALID_FIELD): query")


def test_without_a_server_nothing_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted_server(Script()) as gone:
        pass
    assert main(["chat", "-u", "alice", "--server", gone]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert printed.err.startswith("kgt: Unavailable")


def test_the_environment_proves_who_talks(
    guarded: Guarded, chat: Chat, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = guarded.access(user)
    monkeypatch.setenv("KGT_TLS_CA", str(access["root_certificates"]))
    monkeypatch.setenv("KGT_TOKEN", str(access["token"]))
    assert chat("My dog is named Rex.", NAME, address=guarded.address)[1] == "Rex"


def test_it_runs_in_a_real_pipe(address: str, user: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kgt", "chat", "-u", user, "--server", address],
        input=f"{ENJOY}\nno, \u9b5a\n{ENJOY}",
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2:4] == ["meat -> \u9b5a", "\u9b5a"]


@pytest.mark.parametrize("without", ["", "prompt_toolkit"])
def test_on_a_terminal_one_types_and_leaves_with_ctrl_d(
    address: str, user: str, without: str, tmp_path: Path
) -> None:
    (tmp_path / f"{without or 'unused'}.py").write_text("raise ImportError\n")
    arguments = ("chat", "-u", user, "--server", address)
    with on_terminal(*arguments, env={"PYTHONPATH": str(tmp_path)}) as terminal:
        greeting = terminal.wait_for(PROMPT)
        assert "/help" in greeting
        assert (ADVICE in greeting) == bool(without)
        terminal.type(f"{ENJOY}\r")
        terminal.wait_for("from: dog Desires meat;")
        terminal.wait_for(PROMPT)
        terminal.type("half a line\x03" if not without else "")
        terminal.type("/forget\r")
        terminal.wait_for("user name:")
        terminal.type("\r")
        terminal.wait_for("Nothing was erased.")
        terminal.wait_for(PROMPT)
        terminal.type("\x04")
        assert terminal.status() == 0


def interrupted(terminal: Terminal, script: Script, line: str) -> None:
    """Types a line that the server leaves unanswered, and presses Ctrl-C."""
    terminal.wait_for(PROMPT)
    called = len(script.calls)
    terminal.type(f"{line}\r")
    until(lambda: len(script.calls) > called, "the call")
    terminal.interrupt()
    terminal.wait_for("stopped; if")


def test_ctrl_c_leaves_a_running_call_and_not_the_conversation() -> None:
    script = Script()
    with (
        scripted_server(script) as address,
        on_terminal("chat", "-u", "alice", "--server", address) as terminal,
    ):
        terminal.wait_for("/help")
        script.hangs = True
        interrupted(terminal, script, ENJOY)
        until(lambda: script.left == 1, "the answer's end at the server", limit_s=20)
        interrupted(terminal, script, "My dog is named Rex.")
        script.hangs = False
        terminal.wait_for(PROMPT)
        terminal.type("/facts\r")
        terminal.wait_for("You have told nothing yet.")
        script.failures = 9
        terminal.type(f"{ENJOY}\r")
        terminal.wait_for("Unavailable: as the script says")
        terminal.wait_for(PROMPT)
        terminal.type("/quit\r")
        assert terminal.status() == 0


def test_without_its_library_the_prompt_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    assert from_terminal(["/help"]) == (input, ADVICE)
