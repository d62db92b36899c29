"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kgt import requests
from kgt.client.blocking_overlay import OverlayMethods
from kgt.client.connection import ended_when_left, typed_errors
from kgt.v1 import personalization_pb2 as pb


class _Teaching(OverlayMethods):
    """What changes a view by what a user says."""

    def personalize(
        self,
        *,
        user: str,
        query: str,
        answer: str,
        subject: str | None = None,
        object: str | None = None,
        relations: Sequence[str] = (),
        request_id: str | None = None,
        expected_revision: int | None = None,
        preview: bool = False,
        verify: bool | None = None,
        options: pb.PersonalizeOptions | None = None,
        answer_before: str | None = None,
    ) -> pb.PersonalizeResponse:
        """Find the few triples to add and remove so that `query` gets `answer`, and commit them.

            kgt.personalize(user="alice", query="What does a dog enjoy?", answer="vegetables")

        Args:
            user: whose view of the graph to change. No other user sees the change.
            query: the question, as the user asked it.
            answer: the answer that the user wants.
            subject: the concept that the query is about; found in the query when left out.
            object: the concept that the answer names; the answer itself when left out.
            relations: relations between subject and object, where the caller knows them.
            request_id: sent again with the same arguments, returns the first response and changes
                nothing. A new one is made for each call that names none.
            expected_revision: commit only on top of this revision of the overlay.
            preview: compute everything and commit nothing.
            verify: generate the answer before and after, and go on until it is `answer`.
            options: how the method works; see PersonalizeOptions in the contract.
            answer_before: what the user was answered. It saves generating that answer again.

        Raises:
            InvalidArgument: an argument cannot be used; `fields` names it.
            AlreadyExists: `request_id` was used for another request.
            Aborted: the overlay is not at `expected_revision`.
        """
        request = pb.PersonalizeRequest(
            user=user,
            query=query,
            answer=answer,
            subject=subject,
            object=object,
            relations=relations,
            request_id=request_id or requests.new_request_id(),
            expected_revision=expected_revision,
            preview=preview,
            verify=verify,
            options=options,
            answer_before=answer_before,
        )
        with typed_errors():
            return self.stub.Personalize(request, timeout=self.timeout_s)

    def learn(
        self,
        *,
        user: str,
        text: str,
        context: str | None = None,
        request_id: str | None = None,
        expected_revision: int | None = None,
        preview: bool = False,
    ) -> pb.LearnResponse:
        """Learn the facts in what a user says, and take back those that no longer hold.

            kgt.learn(user="alice", text="My daughter is allergic to peanuts.")

        Args:
            user: whose view of the graph to change. No other user sees the change.
            text: what the user says, in one or more sentences.
            context: what was said before, where the text needs it: "Q: ... A: ...".
            request_id: sent again with the same arguments, returns the first response and changes
                nothing. A new one is made for each call that names none.
            expected_revision: commit only on top of this revision of the overlay.
            preview: compute everything and commit nothing.

        Raises:
            InvalidArgument: an argument cannot be used; `fields` names it.
            AlreadyExists: `request_id` was used for another request.
            Aborted: the overlay is not at `expected_revision`.
        """
        request = pb.LearnRequest(
            user=user,
            text=text,
            context=context,
            request_id=request_id or requests.new_request_id(),
            expected_revision=expected_revision,
            preview=preview,
        )
        with typed_errors():
            return self.stub.Learn(request, timeout=self.timeout_s)


class Client(_Teaching):
    """The blocking client. Use it as a context manager, or call `close` when done."""

    def answer(
        self,
        *,
        user: str,
        query: str,
        subject: str | None = None,
        at_revision: int | None = None,
        min_revision: int | None = None,
        candidates: Sequence[str] = (),
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> pb.AnswerResponse:
        """Retrieve facts from the user's view of the graph and answer from them.

            kgt.answer(user="alice", query="What should I feed my dog?").text

        Args:
            user: whose view of the graph to answer from.
            query: the question.
            subject: the concept that the query is about; found in the query when left out.
            at_revision: answer as of this edit; 0 is the answer without personalization.
            min_revision: fail unless the overlay has reached this revision.
            candidates: answers whose log-probabilities to return.
            max_tokens: the longest answer, in tokens of the model.
            temperature: draw the answer at this temperature; greedy when left out.
            seed: with a temperature, equal seeds draw equal answers.

        Raises:
            InvalidArgument: an argument cannot be used; `fields` names it.
            NotFound: the overlay has not reached `at_revision`.
            Unavailable: the overlay has not reached `min_revision`.
        """
        request = pb.AnswerRequest(
            user=user,
            query=query,
            subject=subject,
            at_revision=at_revision,
            min_revision=min_revision,
            candidates=candidates,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
        )
        with typed_errors():
            return self.stub.Answer(request, timeout=self.timeout_s)

    def stream_answer(
        self,
        *,
        user: str,
        query: str,
        subject: str | None = None,
        at_revision: int | None = None,
        min_revision: int | None = None,
        candidates: Sequence[str] = (),
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Iterator[pb.StreamAnswerResponse]:
        """Answer in pieces: first the evidence, then the text, then the totals.

            for part in kgt.stream_answer(user="alice", query="What does a dog enjoy?"):
                print(part.text, end="")

        The arguments and errors are those of `answer`. Errors are raised while iterating.
        """
        request = pb.StreamAnswerRequest(
            user=user,
            query=query,
            subject=subject,
            at_revision=at_revision,
            min_revision=min_revision,
            candidates=candidates,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
        )
        with (
            typed_errors(),
            ended_when_left(self.stub.StreamAnswer(request, timeout=self.timeout_s)) as call,
        ):
            yield from call

    def retrieve(
        self,
        *,
        user: str,
        query: str,
        subject: str | None = None,
        at_revision: int | None = None,
        min_revision: int | None = None,
        max_facts: int | None = None,
    ) -> pb.RetrieveResponse:
        """Retrieve the facts that `answer` would read, without answering.

            kgt.retrieve(user="alice", query="What should I feed my dog?").context

        `max_facts` is how many there are at most; as many as `answer` reads when left out. The
        other arguments and the errors are those of `answer`.
        """
        request = pb.RetrieveRequest(
            user=user,
            query=query,
            subject=subject,
            at_revision=at_revision,
            min_revision=min_revision,
            max_facts=max_facts,
        )
        with typed_errors():
            return self.stub.Retrieve(request, timeout=self.timeout_s)
