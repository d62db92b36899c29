"""The commands of `kgt`: personalize, ask and look, through the client."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from kgt.addresses import DEFAULT_ADDRESS, VARIABLES, InvalidAddress, for_client, named_address
from kgt.client import DEFAULT_TIMEOUT_S, Client, whole_lines
from kgt.errors import CallError, DataLoss
from kgt.output import Output, drop_unwritten, forgive_streams, moment, visible
from kgt.v1 import personalization_pb2 as pb

Handler = Callable[[Client, argparse.Namespace, Output], None]

STOPPINGS = {"answer": pb.STOPPING_ANSWER, "literal": pb.STOPPING_LITERAL}
REMOVALS = {
    "conflicting": pb.REMOVAL_CONFLICTING,
    "literal": pb.REMOVAL_LITERAL,
    "none": pb.REMOVAL_NONE,
}
SOURCES = {"generated": pb.RELATION_SOURCE_GENERATED, "ranked": pb.RELATION_SOURCE_RANKED}

_LONGEST_TIMEOUT_S = 7 * 86_400.0
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class NotConfirmed(Exception):
    """A question was not answered with yes."""


class WrongUsage(Exception):
    """What was named on the command line, or in the environment, cannot be used."""


def run(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 1 for a failed call, 2 for wrong usage."""
    forgive_streams()
    options = _parser().parse_args(arguments)
    try:
        with Client(
            options.server or _server_in_environment(), timeout_s=options.timeout
        ) as client:
            options.handler(client, options, Output(options.json))
        sys.stdout.flush()  # here, where it can still be told that the disk is full
    except CallError as error:
        name = f"{type(error).__name__}{f' ({error.reason})' if error.reason else ''}"
        return _failed(f"{name}: {error}")
    except WrongUsage as error:
        return _failed(str(error), 2)
    except BrokenPipeError:  # whoever reads has seen enough
        drop_unwritten()
    except (
        NotConfirmed,
        ValueError,
    ) as error:  # ValueError: a number or a text that no message holds
        return _failed(str(error))
    except OSError as error:
        drop_unwritten()
        return _failed(_reason(error))
    return 0


def _failed(why: str, status: int = 1) -> int:
    print(f"kgt: {visible(why)}", file=sys.stderr)
    return status


def _reason(error: OSError) -> str:
    why = error.strerror or str(error)
    return f"{error.filename}: {why}" if error.filename else why


def _server_in_environment() -> str:
    """Raises WrongUsage."""
    try:
        return for_client(named_address(os.environ) or DEFAULT_ADDRESS).text
    except InvalidAddress as error:
        raise WrongUsage(f"the server's address {error} ({', '.join(VARIABLES)})") from error


# Commands


def personalize(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt personalize -u alice "What does a dog enjoy?" vegetables"""
    chosen = pb.PersonalizeOptions(
        k=options.k,
        epsilon=options.epsilon,
        stopping=STOPPINGS.get(options.stopping, pb.STOPPING_UNSPECIFIED),
        removal=REMOVALS.get(options.removal, pb.REMOVAL_UNSPECIFIED),
        relation_source=SOURCES.get(options.relation_source, pb.RELATION_SOURCE_UNSPECIFIED),
    )
    response = client.personalize(
        user=options.user,
        query=options.query,
        answer=options.answer,
        subject=options.subject,
        object=options.object,
        relations=options.relation,
        request_id=options.request_id,
        expected_revision=options.expected_revision,
        preview=options.preview,
        verify=not options.no_verify,
        options=chosen,
    )
    output.message(response, lambda: show_personalize(response, output))


def answer(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt answer -u alice "What should I feed my dog?" --candidate meat --candidate vegetables"""
    response = client.answer(
        user=options.user,
        query=options.query,
        subject=options.subject,
        at_revision=options.at_revision,
        candidates=options.candidate,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        seed=options.seed,
    )
    output.message(response, lambda: show_answer(response, output))


def neighborhood(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt neighborhood -u alice dog"""
    response = client.get_neighborhood(
        user=options.user,
        concept=options.concept,
        at_revision=options.at_revision,
        page_size=options.page_size,
        page_token=options.page_token,
    )

    def show() -> None:
        rows = (
            (
                _origin(v.origin),
                v.triple.head,
                v.triple.relation,
                v.triple.tail,
                f"{v.weight:g}" if v.HasField("weight") else "",
            )
            for v in response.triples
        )
        output.table(["", "head", "relation", "tail", "weight"], rows)
        _show_more(output, response.next_page_token)

    output.message(response, show)


def facts(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt facts -u alice"""
    response = client.list_facts(
        user=options.user, page_size=options.page_size, page_token=options.page_token
    )

    def show() -> None:
        rows = (
            (
                _origin(f.origin),
                _triple(f.triple),
                str(f.revision),
                f.edit_id,
                moment(f.create_time),
            )
            for f in response.facts
        )
        output.table(["", "triple", "revision", "edit", "when (UTC)"], rows)
        _show_more(output, response.next_page_token)

    output.message(response, show)


def edit(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt edit -u alice --add dog likes carrots --remove dog likes meat"""
    response = client.edit_facts(
        user=options.user,
        add=[(head, relation, tail) for head, relation, tail in options.add],
        remove=[(head, relation, tail) for head, relation, tail in options.remove],
        request_id=options.request_id,
    )
    output.message(response, lambda: show_edit(response.edit, output))


def edits(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt edits -u alice"""
    response = client.list_edits(
        user=options.user, page_size=options.page_size, page_token=options.page_token
    )

    def show() -> None:
        for e in response.edits:
            show_edit(e, output)
        if not response.edits:
            output.line("no edits", "dim")
        _show_more(output, response.next_page_token)

    output.message(response, show)


def revert(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt revert -u alice 4f1c..."""
    response = client.revert_edit(
        user=options.user,
        edit_id=options.edit_id,
        skip_conflicts=options.skip_conflicts,
        request_id=options.request_id,
    )

    def show() -> None:
        show_edit(response.edit, output)
        for skipped in response.skipped:
            output.line(
                f"  left as it is: {_triple(skipped.triple)} (edits {', '.join(skipped.edit_ids)})",
                "yellow",
            )

    output.message(response, show)


def export(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt export -u alice alice.jsonl"""
    lines = whole_lines(client.export_overlay(user=options.user))
    if options.file is None:
        for line in lines:
            output.raw(line)
        return
    with _replacing(options.file) as file:
        lost: DataLoss | None = None
        try:
            file.writelines(f"{line}\n" for line in lines)
        except DataLoss as error:
            if file.tell() == 0:
                raise
            lost = error  # what came before it may be the only copy that is left
    if lost is not None:
        raise DataLoss(
            f"{lost}; {options.file} has the lines that could be read", reason=lost.reason
        ) from lost
    output.line(f"written to {options.file}")


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """A file to write, which takes the place of `path` once it is whole. Raises OSError."""
    if path.exists() and not path.is_file():  # a device or a pipe: /dev/stdout
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def import_(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt import -u alice alice.jsonl --merge"""
    lines = _lines(
        options.file
    )  # read here: what fails while a stream is being sent is logged with a trace
    response = client.import_overlay(
        user=options.user, lines=lines, merge=options.merge, request_id=options.request_id
    )

    def show() -> None:
        output.line(
            f"{response.imported_edits} edits taken in; the overlay is at revision {response.revision}"
        )
        if len(response.merged_edit_ids) > 1:
            output.line(
                f"as edits {', '.join(response.merged_edit_ids)}, of which this is the last:"
            )
        if response.HasField("edit"):
            show_edit(response.edit, output)

    output.message(response, show)


def _lines(path: Path) -> list[str]:
    """The lines of an export, without the mark that editors put before them. Raises WrongUsage."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WrongUsage(f"{path}: {error.strerror}") from error
    if data.startswith(_UTF16_MARKS) or b"\0" in data[:4]:
        raise WrongUsage(f"{path}: is UTF-16 text; save it as UTF-8")
    try:
        return io.StringIO(data.decode("utf-8-sig"), newline=None).readlines()
    except UnicodeDecodeError as error:
        raise WrongUsage(f"{path}: is not UTF-8 text (byte {error.start + 1})") from error


def erase(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt erase -u alice --yes"""
    if not options.yes and not _confirmed(options.user):
        raise NotConfirmed("nothing was erased")
    r = client.erase_user(user=options.user, request_id=options.request_id)
    output.message(
        r,
        lambda: output.line(
            f"erased {r.edits} edits, {r.added_triples} added and {r.removed_triples} removed triples,"
            f" {r.personal_concepts} personal concepts, {r.stored_responses} stored responses"
        ),
    )


def _confirmed(user: str) -> bool:
    """Whether the user's name is typed. The question goes where errors go: stdout is the result's."""
    print(
        f"Everything kept about {user!r} will be gone for good. Type the user's name to go on: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().rstrip("\n") == user


# What people see


def show_personalize(r: pb.PersonalizeResponse, output: Output) -> None:
    """What a Personalize changed and why."""
    output.line(f"{r.answer_before or '(nothing)'} -> {r.answer_after or '(nothing)'}", "bold")
    show_changes(r.edit, output)
    if r.HasField("loss_before"):
        output.line(f"loss (Eq. 7) {_number(r.loss_before)} -> {_number(r.loss_after)}")
        output.line(
            f"P(answer|q) (Eq. 1) {math.exp(r.answer_logprob_before):.3f} -> {math.exp(r.answer_logprob_after):.3f}"
        )
    state = (
        "preview, nothing committed"
        if r.preview
        else f"revision {r.edit.revision}"
        if r.edit.id
        else "nothing to change"
    )
    reason = _name(pb.StopReason.Name, r.stop_reason, "STOP_REASON_")
    output.line(
        f"subject {r.subject.concept!r}, stopped: {reason}, {state}"
        + (f", edit {r.edit.id}" if r.edit.id else "")
    )
    if r.explanation:
        output.line(f"not converged: {r.explanation}", "yellow")
    output.line(cost_line(r.cost), "dim")


def show_changes(e: pb.Edit, output: Output) -> None:
    """The triples that an edit added and removed, with their probabilities."""
    rows = [("-", c) for c in e.removed] + [("+", c) for c in e.added]
    if not rows:
        return
    output.table(
        ["", "triple", "P(z|q) before", "P(z|q) after", "P(a|q,z)"],
        (
            (
                sign,
                _triple(c.triple),
                _probability(
                    c.HasField("retrieval_probability_before"), c.retrieval_probability_before
                ),
                _probability(
                    c.HasField("retrieval_probability_after"), c.retrieval_probability_after
                ),
                _probability(
                    c.HasField("reasoning_probability_after"), c.reasoning_probability_after
                ),
            )
            for sign, c in rows
        ),
    )


def show_edit(e: pb.Edit, output: Output) -> None:
    """One edit of the history."""
    if not e.id:
        output.line("nothing to change", "dim")
        return
    kind = _name(pb.EditKind.Name, e.kind, "EDIT_KIND_")
    what = (
        f"  {e.query} -> {e.answer}"
        if e.query
        else f"  of {e.reverted_edit_id}"
        if e.reverted_edit_id
        else ""
    )
    output.line(f"revision {e.revision}  {moment(e.create_time)}  {kind}  {e.id}{what}", "bold")
    show_changes(e, output)
    if e.triples_left_out:
        output.line(
            f"  and {e.triples_left_out} triples more, which only an export shows", "yellow"
        )


def show_answer(r: pb.AnswerResponse, output: Output) -> None:
    """An answer, and what it rests on."""
    output.paragraph(r.text, "bold")
    output.table(
        ["", "fact", "P(z|q)"],
        ((_origin(f.origin), _triple(f.triple), f"{f.retrieval_probability:.3f}") for f in r.facts),
    )
    if r.candidates:
        output.table(
            ["candidate", "P(a|q)"], ((c.text, f"{math.exp(c.logprob):.4f}") for c in r.candidates)
        )
    others = f" (or {', '.join(m.concept for m in r.alternatives)})" if r.alternatives else ""
    output.line(f"subject {r.subject.concept!r}{others}, revision {r.revision}", "dim")
    output.line(cost_line(r.cost), "dim")


def cost_line(cost: pb.Cost) -> str:
    """A cost in one line."""
    stages = ", ".join(f"{s.stage} {s.duration_ms:.0f}" for s in cost.stages)
    return (
        f"{cost.forward_passes} forward passes, {cost.tokens_read} tokens read, {cost.tokens_generated} generated;"
        f" ms: {stages}"
    )


def _name(name_of: Callable[[Any], str], value: int, prefix: str) -> str:
    """A value of an enum as people read it; its number where a newer server has given it a name
    since."""
    try:
        return name_of(value).removeprefix(prefix).lower().replace("_", " ")
    except ValueError:
        return str(value)


def _triple(t: pb.Triple) -> str:
    return f"({t.head}, {t.relation}, {t.tail})"


def _origin(origin: int) -> str:
    return {int(pb.ORIGIN_ADDED): "+", int(pb.ORIGIN_REMOVED): "-"}.get(origin, "")


def _probability(present: bool, value: float) -> str:
    return f"{value:.3f}" if present else ""


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "infinite"


def _show_more(output: Output, token: str) -> None:
    if token:
        output.line(f"more: --page-token {token}", "dim")


# Arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line and status 2; how a command is used is told by --help."""
        self.exit(2, f"{self.prog}: {visible(message)}\n")


def _server(text: str) -> str:
    try:
        return for_client(text).text
    except InvalidAddress as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(
            f"is a number of seconds, at most {_LONGEST_TIMEOUT_S:.0f}"
        )
    return value


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="kgt", description="Personalize a language model by editing its knowledge graph."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, handler: Handler, help: str) -> argparse.ArgumentParser:
        one = commands.add_parser(
            name, help=help, description=help, epilog=f"example: {handler.__doc__}"
        )
        one.set_defaults(handler=handler)
        one.add_argument(
            "-u",
            "--user",
            default=os.environ.get("KGT_USER"),
            required="KGT_USER" not in os.environ,
            help="the user (KGT_USER)",
        )
        one.add_argument(
            "--server",
            type=_server,
            help=f"host:port or unix:path (KGT_ADDRESS; {DEFAULT_ADDRESS})",
        )
        one.add_argument(
            "--timeout",
            type=_seconds,
            default=DEFAULT_TIMEOUT_S,
            help="seconds that a call may take",
        )
        one.add_argument("--json", action="store_true", help="one JSON document, for programs")
        return one

    one = command("personalize", personalize, "make a query be answered with your answer")
    one.add_argument("query")
    one.add_argument("answer")
    one.add_argument("--subject", help="the concept that the query is about")
    one.add_argument("--object", help="the concept that the answer names")
    one.add_argument(
        "--relation", action="append", default=[], help="a relation between them; may be repeated"
    )
    one.add_argument(
        "--preview", action="store_true", help="show what would change, and change nothing"
    )
    one.add_argument(
        "--no-verify", action="store_true", help="do not generate the answer before and after"
    )
    one.add_argument(
        "--expected-revision", type=int, help="fail unless the overlay is at this revision"
    )
    one.add_argument("-k", type=int, help="number of relations considered")
    one.add_argument("--epsilon", type=float, help="loss threshold of literal stopping")
    one.add_argument("--stopping", choices=STOPPINGS, help="when enough is changed")
    one.add_argument("--removal", choices=REMOVALS, help="what may be removed")
    one.add_argument("--relation-source", choices=SOURCES, help="generated by the model, or ranked")
    _request_id(one)

    one = command("answer", answer, "ask, as this user")
    one.add_argument("query")
    one.add_argument("--subject", help="the concept that the query is about")
    one.add_argument(
        "--at-revision", type=int, help="as of this edit; 0 is without personalization"
    )
    one.add_argument(
        "--candidate",
        action="append",
        default=[],
        help="an answer whose probability to show; may be repeated",
    )
    one.add_argument("--max-tokens", type=int)
    one.add_argument("--temperature", type=float)
    one.add_argument("--seed", type=int)

    one = command(
        "neighborhood", neighborhood, "the triples that start at a concept, as this user sees them"
    )
    one.add_argument("concept")
    one.add_argument("--at-revision", type=int, help="as of this edit; 0 is the shared graph")
    _paging(one)

    _paging(command("facts", facts, "everything this user has added or removed"))

    one = command("edit", edit, "add and remove triples directly")
    for name in ("--add", "--remove"):
        one.add_argument(
            name, nargs=3, action="append", default=[], metavar=("HEAD", "RELATION", "TAIL")
        )
    _request_id(one)

    _paging(command("edits", edits, "this user's edits, newest first"))

    one = command("revert", revert, "undo an edit, exactly")
    one.add_argument("edit_id")
    one.add_argument(
        "--skip-conflicts", action="store_true", help="leave out what later edits rely on"
    )
    _request_id(one)

    command("export", export, "the overlay with its history, as JSON lines").add_argument(
        "file", type=Path, nargs="?"
    )

    one = command("import", import_, "take an export back")
    one.add_argument("file", type=Path)
    one.add_argument("--merge", action="store_true", help="into an overlay with edits, as one edit")
    _request_id(one)

    one = command("erase", erase, "remove everything kept about this user")
    one.add_argument("--yes", action="store_true", help="do not ask")
    _request_id(one)
    return parser


def _request_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--request-id", help="repeat a write safely: the same id gets the same response"
    )


def _paging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--page-size", type=int, default=0)
    parser.add_argument("--page-token", default="")
