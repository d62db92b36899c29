"""What a conversation does with each line: asks, learns, corrects, explains, undoes."""

from __future__ import annotations

from collections.abc import Callable

from kgt.chat.reading import Reader
from kgt.chat.replies import (
    changed_or_known,
    reply_facts,
    reply_learned,
    reply_personalized,
    show_learning,
)
from kgt.chat.saying import (
    Command,
    Correction,
    answer_in,
    meaning,
    needs_context,
    rest_of_sentence,
)
from kgt.chat.undoing import edit_to_undo
from kgt.client import Client
from kgt.command.telling import (
    show_answer,
    show_erased,
    show_facts,
    show_personalize,
    show_reverted,
)
from kgt.output import Output
from kgt.v1 import personalization_pb2 as pb

COMMANDS = {
    "/why": "what the last answer rests on, or what the last change was",
    "/undo": "take back your last change, exactly",
    "/facts": "what you have told and taken back",
    "/forget": "erase everything kept about you",
    "/help": "this list",
    "/quit": "leave; so does Ctrl-D",
}
_FACTS_SHOWN = 50


class Conversation:
    """One user's conversation. It remembers the last question and the last reply, and no more."""

    def __init__(self, client: Client, user: str, output: Output, read: Reader) -> None:
        self._client = client
        self._user = user
        self._output = output
        self._read = read
        self._question = ""
        self._answer = ""
        self._explain: Callable[[], None] | None = None

    def take(self, line: str) -> bool:
        """Do what a line asks for. Returns whether the conversation goes on. Raises CallError."""
        if not line.strip():
            return True
        said = meaning(line)
        if isinstance(said, Command):
            return self._command(said.name)
        if isinstance(said, Correction):
            self._correct(said.text)
            return True
        if said.statement:
            learned = self._learn(said.statement, needs_context(said.statement))
            self._tell(learned, quiet=bool(said.question))
        if said.question:
            self._ask(said.question)
        return True

    def _command(self, name: str) -> bool:
        commands: dict[str, Callable[[], None]] = {
            "why": self._why,
            "undo": self._undo,
            "facts": self._facts,
            "forget": self._forget,
            "help": self._help,
        }
        if name in ("quit", "exit"):
            return False
        commands.get(name, self._no_command)()
        return True

    def _ask(self, question: str) -> None:
        """Stream the answer, then say what it rests on."""
        answered = pb.AnswerResponse()
        text = ""
        try:
            for part in self._client.stream_answer(user=self._user, query=question):
                if part.HasField("evidence"):
                    self._begin(question, part.evidence, answered)
                text += part.text
                self._output.piece(part.text, "bold")
                answered.cost.MergeFrom(part.totals.cost)
        finally:
            if text:
                self._output.line()
        self._answer = answered.text = text
        reply_facts(answered.facts, self._output)

    def _begin(
        self,
        question: str,
        evidence: pb.StreamAnswerResponse.Evidence,
        answered: pb.AnswerResponse,
    ) -> None:
        """From here on the question can be corrected, and what is known of its answer explained."""
        answered.subject.CopyFrom(evidence.subject)
        answered.alternatives.extend(evidence.alternatives)
        answered.facts.extend(evidence.facts)
        answered.revision = evidence.revision
        self._question, self._answer = question, ""
        self._explain = lambda: show_answer(answered, self._output)

    def _correct(self, text: str) -> None:
        """Correct the last answer, or learn from a sentence that does not just answer."""
        if not text:
            self._hint("Say what is right: 'no, ' and the answer.")
            return
        answer = answer_in(text, self._question)
        if answer is None:
            learned = self._learn(text, with_context=True)
            answer = None if changed_or_known(learned) else rest_of_sentence(text)
            if answer is None or not self._question:
                self._tell(learned)
                return
        if self._question:
            self._personalize(answer)
        else:
            self._hint("There is no answer to correct yet: ask first.")

    def _personalize(self, answer: str) -> None:
        # Without the answer before: what was said since then may have changed it.
        done = self._client.personalize(user=self._user, query=self._question, answer=answer)
        self._explain = lambda: show_personalize(done, self._output)
        self._answer = done.answer_after or self._answer
        reply_personalized(done, self._output)

    def _learn(self, text: str, with_context: bool) -> pb.LearnResponse:
        context = None
        if with_context and self._question:
            answer = f" A: {self._answer}" if self._answer else ""
            context = f"Q: {self._question}{answer}"
        return self._client.learn(user=self._user, text=text, context=context)

    def _tell(self, learned: pb.LearnResponse, quiet: bool = False) -> None:
        """Say what was understood. If `quiet`, nothing is said where there was no fact."""
        if learned.facts or learned.not_understood:
            self._explain = lambda: show_learning(learned, self._output)
            reply_learned(learned, self._output)
        elif not quiet:
            self._hint(
                "Nothing in it to learn. 'no, ' corrects the last answer; a question ends with '?'."
            )

    def _why(self) -> None:
        if self._explain is None:
            self._hint("There is nothing to explain yet: ask or tell something first.")
        else:
            self._explain()

    def _undo(self) -> None:
        edit = edit_to_undo(self._client, self._user)
        if edit is None:
            self._hint("There is nothing to undo.")
            return
        undone = self._client.revert_edit(user=self._user, edit_id=edit.id)
        self._explain = lambda: show_reverted(undone, self._output)
        what = edit.message or (f"{edit.query} -> {edit.answer}" if edit.query else edit.id)
        self._output.line(f"undone: {what}", "bold")

    def _facts(self) -> None:
        page = self._client.list_facts(user=self._user, page_size=_FACTS_SHOWN)
        more, page.next_page_token = bool(page.next_page_token), ""
        if not page.facts:
            self._hint("You have told nothing yet.")
            return
        show_facts(page, self._output)
        if more:
            self._hint(f"These are the newest {_FACTS_SHOWN}. `kgt facts` lists the others.")

    def _forget(self) -> None:
        self._output.line(
            "Everything kept about you will be gone for good. Type your user name to go on.",
            "yellow",
        )
        try:
            confirmed = self._read("user name: ").rstrip("\n") == self._user
        except EOFError:
            confirmed = False
        if not confirmed:
            self._hint("Nothing was erased.")
            return
        erased = self._client.erase_user(user=self._user)
        self._question, self._answer, self._explain = "", "", None
        show_erased(erased, self._output)

    def _help(self) -> None:
        for name, what in COMMANDS.items():
            self._output.line(f"{name:<8} {what}")

    def _no_command(self) -> None:
        self._hint("That is not a command: /help lists them.")

    def _hint(self, text: str) -> None:
        self._output.line(text, "dim")
