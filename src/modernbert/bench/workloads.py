"""The published protocol's documents: how many tokens they have (ModernBERT's paper, section 4.2 and table 10).

Speed depends on lengths, not on words, so the tokens themselves are drawn at random.
"""

import re
from dataclasses import dataclass

from modernbert.core.errors import UserError
from modernbert.core.seeds import Seeds

PAPER_DOCUMENTS = 8192
"""Documents of every workload in the paper; our seconds are given for as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Documents of one kind."""

    name: str
    longest: int
    """Tokens of the longest possible document; a model that takes fewer cannot run this."""
    shortest: int
    mean: float
    deviation: float
    """Of a normal distribution, cut to shortest..longest; 0: all are as long as the longest."""
    limit: int
    """The sequence length that the paper names it by."""
    given_batch: int
    """Documents of a batch when they are taken in the order given, on a CPU."""
    given_batch_gpu: int = 512
    """The same on a GPU: the paper's notebooks."""
    paper_tokens: int | None = None
    """Tokens of the paper's 8,192 documents; absent where the paper has no such workload."""
    documents: int | None = None
    """How many there are; absent where the study chooses."""

    @property
    def is_fixed(self) -> bool:
        """Whether all documents are equally long."""
        return self.deviation == 0

    @property
    def has_largest_batch(self) -> bool:
        """Whether the paper says how many documents fit into memory, and the study therefore, too."""
        return self.is_fixed and self.paper_tokens is not None

    def lengths(self, documents: int) -> list[int]:
        """Tokens of each of the documents; the first of many are those of few."""
        if self.is_fixed:
            return [self.longest] * documents
        drawn = Seeds(0).numpy("lengths", self.name).normal(self.mean, self.deviation, documents)
        return [min(self.longest, max(self.shortest, round(float(length)))) for length in drawn]

    def fewest(self) -> int:
        """Documents below which a run says nothing: a batch, or enough lengths to be mixed."""
        return {True: 8, False: 16}[self.is_fixed] if self.limit <= 512 else 2


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            name="fixed-512",
            longest=512,
            shortest=512,
            mean=512,
            deviation=0,
            limit=512,
            paper_tokens=4_194_304,
            given_batch=32,
        ),
        Workload(
            name="variable-512",
            longest=476,
            shortest=32,
            mean=256,
            deviation=64,
            limit=512,
            paper_tokens=2_096_510,
            given_batch=32,
        ),
        Workload(
            name="fixed-8192",
            longest=8192,
            shortest=8192,
            mean=8192,
            deviation=0,
            limit=8192,
            paper_tokens=67_108_864,
            given_batch=4,
            given_batch_gpu=32,
        ),
        Workload(
            name="variable-8192",
            longest=7624,
            shortest=171,
            mean=4102,
            deviation=1024,
            limit=8192,
            paper_tokens=33_604_913,
            given_batch=4,
            given_batch_gpu=32,
        ),
    )
}
"""The shortest and longest of table 10 were seen in 8,192 documents of those means and deviations."""

_MIXED = Workload(
    name="mixed", longest=512, shortest=16, mean=256, deviation=128, limit=512, given_batch=32, documents=32
)

SCALING = ("scaling-documents", "scaling-length")
"""Not of the paper: how cost grows with the number of documents and with the length of one, for ModernBERT only."""


def workload(name: str) -> Workload:
    """One of the paper's; "mixed", 32 documents of N(256, 128) tokens in 16..512; or so many of one length: "8x512".

    Raises:
        UserError: none of them.
    """
    if name in WORKLOADS or name == "mixed":
        return WORKLOADS.get(name, _MIXED)
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", name)
    if found is None:
        raise UserError(
            f"--workloads: found {name!r}, expected some of {', '.join((*WORKLOADS, *SCALING, 'mixed'))}, or so many "
            "documents of one length such as 8x512"
        )
    documents, length = int(found[1]), int(found[2])
    return Workload(
        name=name,
        longest=length,
        shortest=length,
        mean=length,
        deviation=0,
        limit=length,
        given_batch=documents,
        given_batch_gpu=documents,
        documents=documents,
    )


def token_ids(lengths: list[int], vocab_size: int) -> list[list[int]]:
    """A document of each length; ids below 10 are left to special tokens, which some models look for."""
    draw = Seeds(0).numpy("documents", sum(lengths), vocab_size)
    return [draw.integers(10, vocab_size, length).tolist() for length in lengths]
