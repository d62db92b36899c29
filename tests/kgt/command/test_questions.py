"""`kgt personalize`, `learn`, `answer` and `retrieve`, for people and for programs."""

from __future__ import annotations

from tests.kgt.command.running import Run, corrected, document
from tests.rpc.running import ENJOY, FEED


def test_personalize(run: Run) -> None:
    shown = run("personalize", ENJOY, "vegetables")
    assert "meat -> vegetables" in shown
    assert "(dog, Desires, vegetables)" in shown
    assert "(dog, Desires, meat)" in shown
    assert "loss (Eq. 7)" in shown
    assert "stopped: overtook, revision 1, edit " in shown
    assert "forward passes" in shown
    again = document(run("personalize", "--json", ENJOY, "vegetables"))
    assert again["stop_reason"] == "STOP_REASON_ALREADY_CORRECT"
    assert again["edit"]["id"] == ""


def test_personalize_takes_every_option(run: Run) -> None:
    preview = document(
        run(
            "personalize", "--json", "--preview", "--no-verify", "--subject", "dog",
            "--object", "fish", "--relation", "likes", "--relation", "has a",
            "--expected-revision", "0", "-k", "3",
            "--stopping", "literal", "--removal", "literal", "--relation-source", "ranked",
            "--epsilon", "50", "--request-id", "r-1", ENJOY, "fish",
        )
    )  # fmt: skip
    assert preview["preview"] is True
    assert {c["triple"]["relation"] for c in preview["considered"]} == {"Desires", "HasA"}
    assert document(run("edits", "--json"))["edits"] == []
    assert "preview, nothing committed" in run("personalize", "--preview", ENJOY, "fish")


def test_learn(run: Run) -> None:
    shown = run("learn", "My dog is named Rex.", "--context", "Q: Do I have a dog? A: yes")
    assert "learned: my dog is named Rex" in shown
    assert "from: My dog is named Rex." in shown
    assert "asked: my dog is named -> Rex, P(answer|q) (Eq. 1) 0." in shown
    assert "revision 1" in shown
    assert "forward passes" in shown
    again = document(run("learn", "--json", "--request-id", "r-1", "My dog is named Rex."))
    assert [fact["fate"] for fact in again["facts"]] == ["FATE_KNOWN"]
    shown = run("learn", "My dog is named Max.", "--preview", "--expected-revision", "1")
    assert "removed: (dog, is named, Rex)" in shown
    assert "preview, nothing committed" in shown
    assert "nothing to change" in run("learn", "Hello!")
    assert "learn  " in run("edits")
    assert "My dog is named Rex." in run("edits")


def test_answer(run: Run) -> None:
    corrected(run)
    shown = run("answer", FEED, "--candidate", "meat", "--candidate", "vegetables")
    assert shown.startswith("vegetables\n")
    assert "(dog, Desires, vegetables)" in shown
    assert "P(a|q)" in shown
    assert "subject 'dog', revision 1" in shown
    before = document(
        run("answer", "--json", "--at-revision", "0", "--subject", "dog", "--max-tokens", "5",
            "--temperature", "0.5", "--seed", "1", FEED)
    )  # fmt: skip
    assert (before["text"], before["revision"]) == ("meat", "0")


def test_retrieve(run: Run) -> None:
    edit_id = corrected(run)
    shown = run("retrieve", FEED)
    assert "(dog, Desires, vegetables)" in shown
    assert edit_id in shown
    assert "- dog likes vegetables\n" in shown
    assert "subject 'dog', revision 1" in shown
    assert "1 forward passes" in shown
    before = document(
        run(
            "retrieve", "--json", "--at-revision", "0", "--subject", "dog", "--max-facts", "1", FEED
        )
    )
    assert [fact["words"] for fact in before["facts"]] == ["dog likes meat"]
    assert document(run("retrieve", "--json", "--min-revision", "1", FEED))["revision"] == "1"
    nothing = run("retrieve", "What does a unicorn enjoy?")
    assert nothing.splitlines()[-2:-1] == ["subject 'unicorn', revision 1"]
