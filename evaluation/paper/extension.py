"""CounterFactExtension, rebuilt from ParaRel's pairs as the paper's Appendix B describes it.

The paper has 27,737 samples from the pairs of Dai et al., which are 27,738; which one it leaves out
is not said, so all are here. Where the paper asked GPT-4 for a counterfactual target and a second
wording, both are drawn from the data: another object of the same relation that is true of the
subject in no relation, and another pattern of the relation. So the targets are of the right kind,
and nothing is invented ("Umboria").
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.paper.pararel import ParaRel

PAPERS_SAMPLES = 27_737
Sample = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Extension:
    """The samples in the order of the pairs, and what could not be had for some of them."""

    samples: tuple[Sample, ...]
    without_paraphrase: int
    """Relations with a single pattern that ends in the object have no other to ask with."""
    left_out: tuple[str, ...]
    """Pairs without a prompt or another object, in words."""

    def text(self) -> str:
        """The samples as the file has them: one JSON array."""
        return json.dumps(self.samples, ensure_ascii=False, indent=1) + "\n"


def build(pararel: ParaRel, seed: int) -> Extension:
    """Build the samples. The same seed gives the same bytes. Raises DataMissing."""
    samples: list[Sample] = []
    left_out: list[str] = []
    for number, (relation, subject, true) in enumerate(_pairs(pararel)):
        rng = random.Random(f"{seed} {number}")
        forms = pararel.forms.get(relation, ())
        others = _others(pararel, relation, subject)
        if not forms or not others:
            what = "another object" if forms else "a pattern that ends in the object"
            left_out.append(f"pair {number} of {relation} lacks {what}")
            continue
        new = rng.choice(others)
        paraphrase = [rng.choice(forms[1:]).replace("{}", subject)] if forms[1:] else []
        samples.append(
            {
                "case_id": number,
                "requested_rewrite": {
                    "prompt": f"{forms[0]} ",  # the paper's samples have the blank, too
                    "relation_id": f"{relation}({pararel.labels[relation]})",
                    "target_new": {"str": new},
                    "target_true": {"str": true},
                    "subject": subject,
                },
                "generation_prompts": paraphrase,
            }
        )
    without = sum(not sample["generation_prompts"] for sample in samples)
    return Extension(tuple(samples), without, tuple(left_out))


def write(extension: Extension, path: Path) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f"{path.name}.building")
    building.write_text(extension.text(), encoding="utf-8")
    building.replace(path)


def _pairs(pararel: ParaRel) -> Iterator[tuple[str, str, str]]:
    for relation, pairs in pararel.pairs.items():
        for subject, object_ in pairs:
            yield relation, subject, object_


def _others(pararel: ParaRel, relation: str, subject: str) -> Sequence[str]:
    """The relation's objects that are not true of the subject, in string order."""
    true = {known.object.casefold() for known in pararel.about[subject]}
    return [o for o in pararel.objects[relation] if o.casefold() not in true]
