"""`modernbert tokenizer train` and `check`: learn a vocabulary, and see how well one fits a corpus."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from modernbert.text.report import Fit, Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """Learn a byte-level BPE vocabulary with ModernBERT's order of ids."""

    paths: tyro.conf.Positional[tuple[str, ...]]
    """Files, folders, patterns or addresses, as for `modernbert data tokenize`; each has an even share of --most-bytes."""
    out: Path
    """Folder of the tokenizer."""
    vocab_size: int = 50_368
    """All tokens together; rounded up to a multiple of 64."""
    num_unused: int = 83
    """At least so many tokens stay free for later."""
    longest: int = 8192
    """The model's length in tokens, stated in the tokenizer's files."""
    min_frequency: int = 2
    """How often a pair must occur to become a token."""
    most_bytes: int = 50_000_000
    """Text to learn from, a uniform sample. Memory is 7 bytes a byte of English, 100 of Chinese or Japanese."""
    text_field: str = "text"
    """Key or column of the text."""
    on_error: Literal["stop", "skip"] = "stop"
    """What happens when a row cannot be read: nothing is written, or it is left out and counted."""
    per_line: bool = False
    """Plain text files hold a document a line."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Learn and save."""
        from modernbert.core.errors import UserError
        from modernbert.core.log import say
        from modernbert.data.sampling import sample
        from modernbert.text.report import layout
        from modernbert.text.train import train_tokenizer

        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise UserError(f"{self.out} is there already: choose another name, or move it away")
        say("reading all of it, for a sample")
        texts = list(
            sample(
                self.paths,
                most_bytes=self.most_bytes,
                text_field=self.text_field,
                on_error=self.on_error,
                per_line=self.per_line,
            )
        )
        say(f"learning from {sum(len(text.encode()) for text in texts) / 1e6:,.1f} MB of it")
        tokenizer = train_tokenizer(
            texts,
            vocab_size=self.vocab_size,
            num_unused=self.num_unused,
            longest=self.longest,
            min_frequency=self.min_frequency,
        )
        tokenizer.save(self.out)
        facts = layout(tokenizer)
        if self.json:
            print(json.dumps(facts.as_dict() | {"out": str(self.out)}))
            return
        for line in _layout_lines(facts):
            print(line)
        print(f"tokenizer: {self.out}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """See how many tokens texts take, what has no token of its own, and whether everything comes back."""

    tokenizer: tyro.conf.Positional[str]
    """Folder of the tokenizer, or a packaged model's name."""
    paths: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts, as for `tokenizer train`; each path is a source. None: only the vocabulary is looked at."""
    most_bytes: int = 10_000_000
    """Text of each source, a uniform sample."""
    text_field: str = "text"
    """Key or column of the text."""
    on_error: Literal["stop", "skip"] = "stop"
    """What happens when a row cannot be read."""
    per_line: bool = False
    """Plain text files hold a document a line."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Encode and print."""
        from modernbert.data.sampling import sample
        from modernbert.text.report import fit, layout
        from modernbert.text.tokenizer import Tokenizer

        tokenizer = Tokenizer.load(self.tokenizer)
        facts, sources = layout(tokenizer), {}
        if not self.json:
            for line in _layout_lines(facts):
                print(line)
        for path in self.paths:
            texts = sample(
                [path],
                most_bytes=self.most_bytes,
                text_field=self.text_field,
                on_error=self.on_error,
                per_line=self.per_line,
            )
            sources[path] = fit(tokenizer, texts)
            if not self.json:
                for line in _fit_lines(path, sources[path]):
                    print(line)
        if self.json:
            print(json.dumps(facts.as_dict() | {"sources": {path: each.as_dict() for path, each in sources.items()}}))


def _layout_lines(facts: "Layout") -> Iterator[str]:
    special = ", ".join(f"[{role.upper()}] {token_id:,}" for role, token_id in facts.special.items())
    yield f"{facts.vocab_size:,} tokens, {facts.num_unused} unused; {special}"
    yield f"longest token: {facts.longest_token!r}"
    if facts.missing_bytes:
        yield f"{facts.missing_bytes} bytes have no token: texts with these become [UNK]"
    if not facts.differences:
        yield "ids are laid out as in ModernBERT's own vocabulary"
    for name, (found, expected) in facts.differences.items():
        yield f"not ModernBERT's own layout: {name} is {found:,}, there {expected:,}"


def _fit_lines(path: str, found: "Fit") -> Iterator[str]:
    yield f"{path}: {found.texts:,} texts, {found.bytes:,} bytes, {found.tokens:,} tokens"
    yield (
        f"  {found.bytes_per_token:.2f} bytes a token, {found.tokens_per_word:.2f} tokens a word, "
        f"{found.tokens_per_character:.2f} tokens a character"
    )
    yield (
        f"  {found.used:,} different tokens, {found.coverage:.1%} of the vocabulary; "
        f"{found.partial / max(1, found.tokens):.2%} hold a part of a character, {found.unknown:,} are unknown"
    )
    yield f"  texts that do not come back: {found.broken:,}"
    if found.in_pieces:
        shown = ", ".join(f"{character!r} {count:,}" for character, count in found.in_pieces.items())
        yield f"  characters spelled in parts, the most frequent: {shown}"
