"""Results as tables that read well in a terminal and are Markdown: quality with its uncertainty, cost, and the paper beside."""

from collections.abc import Sequence

from modernbert.retrieval.evaluation.evaluate import Result
from modernbert.retrieval.evaluation.measures import MEASURES, compare, interval
from modernbert.retrieval.evaluation.published import everything, published

MAIN = "nDCG@10"
_CALLED = {"RR@10": "MRR@10", "AP@100": "MAP@100", "R@10": "recall@10", "R@100": "recall@100"}


def report(results: Sequence[Result]) -> str:
    """One table a collection; of several collections one of all of them first."""
    names = list(dict.fromkeys(result.collection for result in results))
    parts = [_overview(results, names)] if len(names) > 1 else []
    parts += [_one([result for result in results if result.collection == name]) for name in names]
    if any(published(result.collection, result.kind) for result in results):
        parts.append(f"published: {everything()['source']}; {everything()['protocol']}.")
    parts.append(
        "In brackets: 95 % of means of queries drawn again (bootstrap). p: paired randomisation of nDCG@10 against the first "
        "row. p50, p95: one query alone, its encoding included, every document compared (exact scan)."
    )
    return "\n\n".join(parts) + "\n"


def _overview(results: Sequence[Result], names: Sequence[str]) -> str:
    rankers = list(dict.fromkeys(result.ranker for result in results))
    rows = [[MAIN, *names, "mean"]]
    for ranker in rankers:
        found = {result.collection: result.means()[MAIN] for result in results if result.ranker == ranker}
        mean = [f"{100 * sum(found.values()) / len(found):.1f}"] if len(found) == len(names) else [""]
        rows.append([ranker, *(f"{100 * found[name]:.1f}" if name in found else "" for name in names), *mean])
    return _markdown(rows)


def _one(results: Sequence[Result]) -> str:
    first, *_ = results
    heads = [*(_CALLED.get(name, name) for name in MEASURES), "p", "build s", "MB", "p50 ms", "p95 ms"]
    rows = [[first.collection, *heads]]
    for result in results:
        scores, means = result.scores[MAIN], result.means()
        sure = interval(list(scores.values()))
        p = "" if result is first else _p(compare(scores, first.scores[MAIN]).p_randomised)
        rows.append(
            [
                result.ranker,
                f"{100 * sure.mean:.1f} [{100 * sure.low:.1f}, {100 * sure.high:.1f}]",
                *(f"{100 * means[name]:.1f}" for name in MEASURES if name != MAIN),
                p,
                f"{result.build_seconds:.1f}",
                f"{result.num_bytes / 1e6:.1f}",
                f"{1e3 * result.seconds_p50:.1f}",
                f"{1e3 * result.seconds_p95:.1f}",
            ]
        )
    for kind in ("dense", "late"):
        if any(result.kind == kind for result in results):
            for model, score in published(first.collection, kind).items():
                rows.append([f"{kind} {model}, published", f"{100 * score:.1f}", *[""] * (len(heads) - 1)])
    num_queries = len(first.scores[MAIN])
    return f"{_markdown(rows)}\n\n{num_queries:,} queries, {first.num_documents:,} documents; in percent."


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """Columns of even width, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))) + " |"
        for row in rows
    ]  # fmt: skip
    rule = "|" + "|".join("-" * (width + 1) + (":" if i else "-") for i, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
