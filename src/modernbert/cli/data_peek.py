"""`modernbert data peek`: what a model will be trained on, as it will see it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from modernbert.data.loader import Loader
    from modernbert.data.peek import Peeked, Piece, Row, Stretch
    from modernbert.text.tokenizer import Tokenizer

_STYLES = {
    "special": "dim",
    "hidden": "bold white on red",
    "replaced": "bold black on yellow",
    "kept": "bold black on green",
}
_DOCUMENTS = ("", "cyan")
"""Styles of documents that lie side by side."""

_PICTURES = {
    **{code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"},
    **dict.fromkeys(range(127, 160), "\ufffd"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """Show packed and masked rows as text, and how full rows are.

    Documents of a row take turns in colour; what is to be predicted stands in ⟦ ⟧. Of a recipe, these are the very rows
    that `pretrain` reads first.
    """

    what: tyro.conf.Positional[tuple[str, ...]]
    """A recipe and what is laid over it, as for `modernbert recipe check`; or folders of token shards, read in equal shares."""
    rows: int = 1
    """How many to show; 0 for figures only."""
    most: int = 2048
    """Show no further document of a row after so many tokens: rows for large devices fill screens."""
    stage: str | None = None
    """Of the recipe; absent: its first."""
    length: int | None = None
    """Tokens of the longest piece, [CLS] and [SEP] included; absent: the recipe's, or 1,024."""
    room: int | None = None
    """Tokens of a row; absent: the recipe's, or 8,192."""
    rate: float | None = None
    """Share of tokens to predict; absent: the recipe's, or 0.3."""
    seed: int | None = None
    """Absent: the recipe's, or 17."""

    def run(self) -> None:
        """Read and print."""
        from rich.console import Console

        from modernbert.core.errors import UserError
        from modernbert.data.peek import peek

        if self.rows < 0 or self.most < 1:
            raise UserError(f"rows is 0 or more and most 1 or more: found {self.rows} and {self.most}")
        if not self.what:
            raise UserError("found nothing to look into, expected a recipe or a folder of token shards")
        is_folder = [Path(word).is_dir() for word in self.what]
        if any(is_folder) and not all(is_folder):
            raise UserError(f"found folders and other words ({' '.join(self.what)}), expected a recipe or only folders")
        loader, tokenizer = self._of_folders() if all(is_folder) else self._of_recipe()
        with loader:
            peeked = peek(loader, num_rows=self.rows)
        console = Console(highlight=False, markup=False, emoji=False)
        if peeked.rows:
            console.print(_legend(), soft_wrap=True)
        for row in peeked.rows:
            _show_row(row, peeked.room, tokenizer, self.most, console)
        for line in _figures(peeked):
            console.print(line, soft_wrap=True)

    def _of_folders(self) -> "tuple[Loader, Tokenizer]":
        from modernbert.core.errors import UserError
        from modernbert.core.quantities import Tokens
        from modernbert.core.seeds import Seeds
        from modernbert.data.config import Masking, Rows, Source
        from modernbert.data.loader import Loader
        from modernbert.data.shards import Shards, check_one_tokenizer

        if self.stage is not None:
            raise UserError(f"found stage {self.stage} and folders of shards: only a recipe has stages")
        sources = {folder: (Source(path=Path(folder)), Shards.open(folder)) for folder in self.what}
        opened = [shards for _, shards in sources.values()]
        check_one_tokenizer(opened)
        length = self.length or 1024
        rows = Rows(length=Tokens(length), room=Tokens(self.room or max(8192, length)))
        masking = Masking() if self.rate is None else Masking(rate=self.rate)
        seeds = Seeds(17 if self.seed is None else self.seed)
        total = sum(shards.num_tokens for shards in opened)
        return Loader(sources, rows, masking, seeds=seeds, tokens=total), opened[0].tokenizer()

    def _of_recipe(self) -> "tuple[Loader, Tokenizer]":
        from modernbert.core.errors import UserError
        from modernbert.core.quantities import Tokens
        from modernbert.train.corpora import Corpora
        from modernbert.train.recipes import read_recipe

        recipe = read_recipe(self.what)
        if self.seed is not None:
            recipe = replace(recipe, seed=self.seed)
        name = self.stage or next(iter(recipe.stages))
        if name not in recipe.stages:
            raise UserError(f"the recipe has no stage {name}, it has {', '.join(recipe.stages)}")
        stage = recipe.stages[name]
        given = {key: Tokens(n) for key, n in (("length", self.length), ("room", self.room)) if n is not None}
        rate = {} if self.rate is None else {"rate": self.rate, "final_rate": None}
        stage = replace(stage, rows=replace(stage.rows, **given), masking=replace(stage.masking, **rate))
        corpora = Corpora.open(recipe)
        return corpora.loader(name, stage), corpora.tokenizer


def _legend() -> "Text":
    from rich.text import Text

    return Text.assemble(
        ("⟦MASK|word⟧", _STYLES["hidden"]),
        " hidden, and what was there; ",
        ("⟦shown|word⟧", _STYLES["replaced"]),
        " another token in its place; ",
        ("⟦=word⟧", _STYLES["kept"]),
        " to be predicted, though it can be seen; ",
        ("[CLS] [SEP]", _STYLES["special"]),
        " around each document",
    )


def _show_row(row: "Row", room: int, tokenizer: "Tokenizer", most: int, console: "Console") -> None:
    from rich.text import Text

    fates, documents = row.fates, "1 piece" if len(row.pieces) == 1 else f"{len(row.pieces):,} pieces"
    predicted = fates["hidden"] + fates["replaced"] + fates["kept"]
    ordinary = predicted + fates["plain"]
    console.print(
        Text(
            f"\nrow {row.number}: {row.num_tokens:,} of {room:,} tokens in {documents}; {predicted:,} to"
            f" predict ({predicted / max(1, ordinary):.1%}): {fates['hidden']:,} hidden, {fates['replaced']:,} replaced,"
            f" {fates['kept']:,} kept",
            "bold",
        ),
        soft_wrap=True,
    )
    shown = 0
    for number, piece in enumerate(row.pieces):
        if shown >= most:
            console.print(
                f"... and {row.num_tokens - shown:,} more tokens in {len(row.pieces) - number:,} of its pieces (--most)"
            )
            return
        console.print(_piece(piece, number, tokenizer), soft_wrap=True)
        shown += len(piece.fates)


def _piece(piece: "Piece", number: int, tokenizer: "Tokenizer") -> "Text":
    from rich.text import Text

    style = _DOCUMENTS[number % 2]
    part = "" if piece.end - piece.start == piece.whole else f", tokens {piece.start:,} to {piece.end:,}"
    text = Text.assemble((f"{piece.source} {piece.document:,}, {piece.whole:,} tokens{part}: ", "dim"))
    for stretch in piece.stretches(tokenizer):
        text.append(_marked(stretch), _STYLES.get(stretch.fate, style))
    return text


def _marked(stretch: "Stretch") -> str:
    text, shown = _printable(stretch.text), _printable(stretch.shown)
    match stretch.fate:
        case "hidden":
            times = "" if stretch.num_tokens == 1 else f"×{stretch.num_tokens}"
            return f"⟦MASK{times}|{_on_one_line(text)}⟧"
        case "replaced":
            return f"⟦{_on_one_line(shown)}|{_on_one_line(text)}⟧"
        case "kept":
            return f"⟦={_on_one_line(text)}⟧"
    return text


def _printable(text: str) -> str:
    """Control characters as pictures: a corpus must not command the terminal."""
    return text.translate(_PICTURES)


def _on_one_line(text: str) -> str:
    return text.replace("\n", "⏎").replace("\t", "⇥")


def _figures(peeked: "Peeked") -> Iterator[str]:
    from modernbert.data.stats import bars, histogram

    yield ""
    yield (
        f"the first {peeked.num_blocks} blocks: {len(peeked.lengths):,} pieces in {peeked.num_rows:,} rows of"
        f" {peeked.room:,} tokens, {peeked.full:.2%} full"
    )
    if len(peeked.shares) > 1:
        yield "  share of tokens: " + ", ".join(f"{name} {share:.1%}" for name, share in peeked.shares.items())
    yield "  pieces by their tokens, [CLS] and [SEP] not counted:"
    yield from (f"    {line}" for line in bars(histogram(peeked.lengths - 2)))
