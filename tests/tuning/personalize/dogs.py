"""What the tests of Personalize share: a correction about a dog, and how it is proposed."""

from __future__ import annotations

from server.tuning.answer import Answerer
from server.tuning.personalize.command import PersonalizeCommand
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.personalize.personalizer import Personalizer

QUERY = "What does a dog enjoy?"
FACTS = [
    ("dog", "Desires", "meat"), ("dog", "Desires", "bones"), ("dog", "AtLocation", "kennel"),
    ("dog", "HasA", "four legs"), ("cat", "AtLocation", "sofa"), ("cat", "HasA", "tail"),
]  # fmt: skip
COMMAND = PersonalizeCommand("alice", QUERY, "vegetables")


async def proposed(answerer: Answerer, command: PersonalizeCommand) -> PersonalizeOutcome:
    snapshot = await answerer.store.snapshot(command.user)
    return await Personalizer(answerer).propose(command, snapshot)
