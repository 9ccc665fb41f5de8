"""Settings of what a model eats; no torch and no numpy here, so reading a recipe stays instant."""

from dataclasses import dataclass, field
from pathlib import Path

from modernbert.core.errors import ConfigError
from modernbert.core.quantities import Tokens
from modernbert.data.scripts import SCRIPTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One folder of token shards in a mixture."""

    path: Path
    """What `modernbert data tokenize` wrote."""
    weight: float = 1.0
    """Share of the tokens read, relative to the other sources; their sum need not be 1."""
    at_least: Tokens = Tokens(0)
    """Documents shorter than this are left out: how a stage asks for long ones."""
    at_most: Tokens | None = None
    """Documents longer than this are left out; absent: no limit."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ConfigError(f"weight is {self.weight}, expected a number above 0: leave the source out instead")
        if self.at_most is not None and self.at_most < max(1, self.at_least):
            raise ConfigError(f"at_most is {self.at_most}, below at_least ({self.at_least}): no document is left")


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """How many tokens are predicted, and what the model sees in their place."""

    rate: float = 0.3
    """Share of ordinary tokens to predict, each drawn by itself: a short document may get none."""
    final_rate: float | None = None
    """Where the rate has moved to, in a straight line, when the stage ends; absent: it stays."""
    mask_share: float = 0.8
    """Of the predicted, the share that shows as [MASK]; 1 for all-[MASK]."""
    random_share: float = 0.1
    """Of the predicted, the share that shows as a random token. The rest shows as it is."""
    whole_words: bool = False
    """Predict all tokens of a word or none. Words are what spaces and punctuation part, so this is for scripts with spaces."""
    span: float | None = None
    """Mean length in tokens of the spans to predict (SpanBERT has 3.8); absent: single tokens."""

    def __post_init__(self) -> None:
        for name, rate in [("rate", self.rate), ("final_rate", self.final_rate)]:
            if rate is not None and not 0 < rate <= 1:
                raise ConfigError(
                    f"masking.{name} is {rate}, expected a share above 0 and up to 1 (the paper's is 0.3)"
                )
        for name, share in [("mask_share", self.mask_share), ("random_share", self.random_share)]:
            if not 0 <= share <= 1:
                raise ConfigError(f"masking.{name} is {share}, expected a share from 0 to 1")
        if self.mask_share + self.random_share > 1:
            raise ConfigError(
                f"masking.mask_share {self.mask_share} and masking.random_share {self.random_share} are together above 1:"
                " they are shares of the predicted tokens; lower one"
            )
        if self.span is not None and not 1 <= self.span <= 10:
            raise ConfigError(f"masking.span is {self.span}, expected a mean length from 1 to 10 tokens")
        if self.span is not None and self.whole_words:
            raise ConfigError("masking.span and masking.whole_words cannot both be asked for: choose one")

    def rate_at(self, spent: float) -> float:
        """The rate when this share of the stage is over."""
        return self.rate if self.final_rate is None else self.rate + (self.final_rate - self.rate) * min(1.0, spent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """How documents become rows: the packed streams that pass through the model one at a time on each device."""

    length: Tokens = Tokens(1024)
    """Longest document of the stage, [CLS] and [SEP] included; longer ones are read in pieces."""
    room: Tokens = Tokens(8192)
    """Tokens of a row, several documents together; what one device computes at once (its micro-batch)."""
    look_ahead: int = 4096
    """Pieces that are shuffled and packed together. More fill rows better and take longer to the first one."""

    def __post_init__(self) -> None:
        if self.length < 3:
            raise ConfigError(f"length is {self.length}, expected 3 or more: [CLS], a token and [SEP]")
        if self.room < self.length:
            raise ConfigError(
                f"room is {self.room}, less than length ({self.length}): the longest piece must fit a row"
            )
        if self.look_ahead < 1:
            raise ConfigError(f"look_ahead is {self.look_ahead}, expected 1 piece or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """The sources of a run, and how they are read."""

    sources: dict[str, Source] = field(default_factory=dict)
    """Name and folder of each; a stage may bring its own instead."""
    held_out: dict[str, Path] = field(default_factory=dict)
    """Folders of shards that are never trained on, by name; `modernbert data tokenize --hold-out` writes them."""
    most_epochs: float = 4.0
    """A source that a stage would read more often is refused before it starts (Muennighoff et al., arXiv 2305.16264, figure 3)."""
    num_workers: int = 0
    """Processes that prepare rows ahead; 0: this one does, between steps. The rows are the same for any number."""

    def __post_init__(self) -> None:
        if self.num_workers < 0 or self.most_epochs <= 0:
            raise ConfigError(
                f"num_workers is 0 or more and most_epochs above 0: found {self.num_workers}, {self.most_epochs}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Which documents stay, in the order they are asked. All that is left out is left out as a whole, and reported."""

    at_least: int = 1
    """Characters of a document, white space at both ends not counted."""
    at_most: int | None = None
    """Characters of a document; absent: no limit. Long ones are no harm, they are read in pieces."""
    least_letters: float = 0.0
    """Share of letters and marks among all that is not white space. Prose has 0.95, code 0.7, tables of numbers 0.2."""
    most_repeated: float = 1.0
    """Share of lines, empty ones not counted, that are the same as one before; Gopher (arXiv 2112.11446, A.1) has 0.3."""
    word_length: tuple[float, float] | None = None
    """Least and most characters of a word, on average; Gopher has 3 and 10. Not asked of scripts without spaces; absent: any."""
    scripts: tuple[str, ...] = ()
    """Unicode scripts such as Latin, Cyrillic, Han; none: any."""
    script_share: float = 0.8
    """Share of letters that are of these scripts, together."""
    exact_duplicates: bool = True
    """Leave out what came before, white space and Unicode's spellings of the same character apart. 110 bytes a document."""
    test_sets: tuple[str, ...] = ()
    """Files whose text must not be trained on, in any format that is read."""
    test_field: str = "text"
    """Key or column of the text in these."""
    overlap: int = 13
    """Words in a row, in common with a test set, that give a document away; in scripts without spaces, characters."""
    languages: tuple[str, ...] = ()
    """Languages as ISO 639 writes them, such as en, de; none: any. Told from the first 2,000 characters."""
    near_duplicates: float | None = None
    """Leave out what shares this share of its runs of five words with one before (Jaccard), such as 0.8. 3 kB a document."""
    seed: int = 17
    """Of the sketches that near duplicates are found by."""

    def __post_init__(self) -> None:
        if self.at_least < 0 or (self.at_most is not None and self.at_most < max(1, self.at_least)):
            raise ConfigError(
                f"at_least is {self.at_least} and at_most {self.at_most}: no document is left; expected 0 or more, and"
                " at_most not below at_least"
            )
        for name in ("least_letters", "most_repeated", "script_share", "near_duplicates"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ConfigError(f"{name} is {share}, expected a share from 0 to 1")
        if self.near_duplicates is not None and self.near_duplicates < 0.3:
            raise ConfigError(f"near_duplicates is {self.near_duplicates}, expected 0.3 or more: less is no likeness")
        if self.word_length is not None and not 0 <= self.word_length[0] <= self.word_length[1]:
            raise ConfigError(f"word_length is {self.word_length}, expected the least and the most, such as [3, 10]")
        for script in self.scripts:
            if script not in SCRIPTS:
                raise ConfigError(f"scripts: found {script!r}, expected one of {', '.join(SCRIPTS)}")
        if self.overlap < 1:
            raise ConfigError(f"overlap is {self.overlap}, expected 1 word or more; GPT-3's is 13")
