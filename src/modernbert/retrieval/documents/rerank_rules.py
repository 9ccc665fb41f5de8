"""What a reader of code expects of an order, on top of any scores: the definition before its uses, tests last.

Every rule adds its weight, times how far it holds, to scores that were brought to 0 to 1: so it works after cosines, BM25
and fusion alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from modernbert.retrieval.documents.identifiers import words_of
from modernbert.retrieval.documents.query import Query

_TESTS = frozenset({"test", "tests", "testing", "testdata", "spec", "specs", "__tests__", "fixtures", "mocks"})
_EXAMPLES = frozenset(
    {"example", "examples", "sample", "samples", "demo", "demos", "benchmark", "benchmarks", "tutorials"}
)
_OLD = frozenset({"compat", "legacy", "deprecated", "_compat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules ask of a chunk."""

    path: str
    """In its repository, with slashes."""
    kind: str = ""
    symbol: str = ""
    symbols: tuple[str, ...] = ()
    """All that it defines."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A hit in its new place."""

    id: str
    score: float
    """Of the hit, from 0 to 1 among these hits, with what the rules added."""
    rules: tuple[str, ...]
    """The names of those that held."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation."""

    name: str
    weight: float
    holds: Callable[[Query, Facts], float]
    """How far, from 0 to 1."""


def rerank(hits: Sequence[tuple[str, float]], facts: Sequence[Facts], query: Query) -> list[Ranked]:
    """Hits (id, score; higher is better) in their new order: by score, then as they came, so ties keep the first stage's.

    The weights of all rules that hold are added, so what no rule tells apart keeps its order.
    """
    if not hits:
        return []
    low, high = min(score for _, score in hits), max(score for _, score in hits)
    found = []
    for (id_, score), fact in zip(hits, facts, strict=True):
        held = [(rule, far) for rule in RULES if (far := rule.holds(query, fact))]
        base = (score - low) / (high - low) if high > low else 1.0
        total = base + sum(rule.weight * far for rule, far in held)
        found.append(Ranked(id_, total, tuple(rule.name for rule, _ in held)))
    return sorted(found, key=lambda ranked: -ranked.score)


def _defines(query: Query, facts: Facts) -> float:
    """The chunk defines a name of the query: 1 for the whole path of it, less for the last part only."""
    own = {symbol.lower() for symbol in facts.symbols}
    best = 0.0
    for symbol in query.symbols:
        wanted = symbol.lower()
        if any(name == wanted or name.endswith("." + wanted) for name in own):
            best = 1.0
        elif "." in wanted and wanted.rpartition(".")[2] in {name.rpartition(".")[2] for name in own}:
            best = max(best, 0.4)
    return best


def _continues(query: Query, facts: Facts) -> float:
    """The chunk is a later part of what a name of the query names."""
    own, wanted = facts.symbol.lower(), [symbol.lower() for symbol in query.symbols]
    is_it = any(own == name or own.endswith("." + name) for name in wanted)
    return float(is_it and facts.symbol not in facts.symbols)


def _is_called(query: Query, facts: Facts) -> float:
    """All words of what the chunk defines are in the query: `load weights` and `load_weights`."""
    asked = {word for part in query.text.split() for word in words_of(part)}
    names = [set(words_of(symbol.rpartition(".")[2])) for symbol in facts.symbols]
    return float(any(len(words) > 1 and words <= asked for words in names))


def _is_definition(query: Query, facts: Facts) -> float:
    """The query asks for code, and the chunk defines something."""
    return float(bool(query.symbols or query.patterns) and bool(facts.symbols))


def _is_on_path(query: Query, facts: Facts) -> float:
    """The share of the query's words that are in the file's path."""
    asked = {word for part in query.text.split() for word in words_of(part) if len(word) > 2}
    return len(asked & set(words_of(facts.path))) / len(asked) if asked else 0.0


def _asks_for(query: Query, names: frozenset[str]) -> bool:
    return any(word in names for part in query.text.split() for word in words_of(part))


def _is_in(names: frozenset[str]) -> Callable[[Query, Facts], float]:
    """The file stands among such folders, or is called so; not when the query asks for them."""

    def holds(query: Query, facts: Facts) -> float:
        path = PurePosixPath(facts.path.lower())
        words = set(words_of(path.stem))
        is_there = any(part in names for part in path.parts[:-1]) or bool(words & names)
        return float(is_there and not _asks_for(query, names))

    return holds


RULES = (
    Rule("defines", 1.0, _defines),
    Rule("continues", 0.3, _continues),
    Rule("is called so", 0.3, _is_called),
    Rule("definition", 0.1, _is_definition),
    Rule("path", 0.2, _is_on_path),
    Rule("test", -0.5, _is_in(_TESTS)),
    Rule("example", -0.3, _is_in(_EXAMPLES)),
    Rule("old", -0.3, _is_in(_OLD)),
)
