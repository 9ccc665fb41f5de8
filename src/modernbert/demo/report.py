"""The demonstration's outcome as one page, without a script or a link to anywhere."""

import io
from html import escape
from pathlib import Path

import numpy as np

from modernbert.core.errors import require
from modernbert.core.files import write_atomically
from modernbert.demo.train import Blank, Neighbours, Outcome

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
h1 { font-size: 1.6rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0 }
.tile { flex: 1 1 9rem; background: #f2f5f8; border-radius: .5rem; padding: .7rem 1rem }
.tile b { display: block; font-size: 1.5rem }
figure { margin: 1rem 0 } figure svg { width: 100%; height: auto }
table { border-collapse: collapse; width: 100%; font-size: .92rem } td, th { text-align: left; padding: .35rem .6rem;
  border-bottom: 1px solid #dde4ea; vertical-align: top }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.4 ui-monospace, monospace }
code { overflow-wrap: anywhere }
mark { background: #ffe08a; padding: 0 .15em; border-radius: .2em } .right { color: #14713d; font-weight: 600 }
small, .note { color: #5b6b7a }
"""


def write_report(outcome: Outcome, path: Path) -> None:
    """Write the page as HTML with the figures inside it."""
    with write_atomically(path, "w") as page:
        page.write(_page(outcome))


def _page(outcome: Outcome) -> str:
    config, scores = outcome.config, outcome.scores
    last = outcome.steps[-1]
    tiles = [
        (f"{scores.model:.1%}", f"of hidden tokens found in held-out text (bigram {scores.bigram:.1%})"),
        (f"{outcome.tokens_per_second:,.0f}", "tokens a second, training"),
        (f"{outcome.roofline_share:.0%}", f"of this machine's matrix rate ({outcome.matmul_rate / 1e9:,.0f} GFLOP/s)"),
        (
            f"{outcome.num_parameters / 1e6:.2f} M",
            f"parameters: {config.num_hidden_layers} layers x {config.hidden_size}",
        ),
    ]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>A ModernBERT trained here</title><style>{_STYLE}</style>",
        "<h1>A ModernBERT trained here</h1>",
        f"<p class=note>{outcome.num_documents:,} documents ({outcome.num_bytes / 1e6:.1f} MB) of {escape(outcome.source)}; "
        f"{outcome.num_held_out:,} held out; {last.total_tokens:,} tokens in {last.seconds / 60:.1f} minutes, "
        f"{last.number:,} steps.</p>",
        "<div class=tiles>" + "".join(f"<div class=tile><b>{big}</b>{small}</div>" for big, small in tiles) + "</div>",
        f"<figure>{_figure(outcome)}</figure>",
        "<h2>Masks filled in held-out text</h2>",
        "<p class=note>Drawn at random, not chosen. The hidden word is marked; the guesses are the model's.</p>",
        _blanks(outcome.blanks),
    ]
    if outcome.neighbours:
        parts += [
            "<h2>Functions that look alike</h2>",
            f"<p class=note>Mean of the hidden states, cosine. The nearest function is from the same module in "
            f"{outcome.same_module:.1%} of cases; by chance {outcome.same_module_by_chance:.1%}.</p>",
            _neighbours(outcome.neighbours),
        ]
    parts.append(f"<p><small>Model: {escape(str(outcome.model_folder))}; transformers opens it too.</small></p></html>")
    return "\n".join(parts)


def _blanks(blanks: tuple[Blank, ...]) -> str:
    rows = []
    for blank in blanks:
        context = f"{escape(_whole_lines(blank.before))}<mark>{escape(blank.truth)}</mark>{escape(blank.after[:50])}"
        guesses = "<br>".join(
            f"<span class={'right' if guess.token.strip() == blank.truth else 'other'}>{escape(_visible(guess.token))}</span> "
            f"<small>{guess.score:.0%}</small>"
            for guess in blank.guesses
        )
        rows.append(f"<tr><td><pre>{context}</pre><td>{guesses}")
    return f"<table><tr><th>text<th>guesses{''.join(rows)}</table>"


def _whole_lines(text: str) -> str:
    """The last lines of it, from a line's beginning where there is one."""
    end = text[-120:]
    return end.partition("\n")[2] or end


def _visible(token: str) -> str:
    return token if token.strip() else repr(token)


def _neighbours(neighbours: tuple[Neighbours, ...]) -> str:
    rows = [
        f"<tr><td><code>{escape(row.function.name)}</code><td>"
        + "<br>".join(f"<code>{escape(other.name)}</code> <small>{cosine:.2f}</small>" for other, cosine in row.nearest)
        for row in neighbours
    ]
    return f"<table><tr><th>function<th>nearest{''.join(rows)}</table>"


def _figure(outcome: Outcome) -> str:
    """Loss over tokens, and the three accuracies, as one SVG."""
    require("matplotlib", extra="train")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    curve, bars = figure.subplots(1, 2, width_ratios=[3, 1])
    tokens = np.array([step.total_tokens for step in outcome.steps]) / 1e6
    losses = np.array([step.loss for step in outcome.steps])
    curve.plot(tokens, losses, color="#b9c9d8", linewidth=0.8, label="each step")
    width = max(1, len(losses) // 40)
    smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
    curve.plot(tokens[width - 1 :], smooth, color="#1f5f99", linewidth=2, label=f"mean of {width} steps")
    curve.axhline(outcome.scores.loss, color="#c2571a", linewidth=1, linestyle="--", label="held-out text, at the end")
    curve.set(xlabel="million tokens read", ylabel="loss (nats per hidden token)", title="Pre-training")
    curve.legend(frameon=False)
    scores = outcome.scores
    shares = [100 * share for share in (scores.unigram, scores.bigram, scores.model)]
    drawn = bars.bar(["unigram", "bigram", "model"], shares, color=["#b9c9d8", "#b9c9d8", "#1f5f99"])
    bars.bar_label(drawn, fmt="%.1f")
    bars.set(title="Hidden tokens found (%)", ylim=(0, max(1.0, max(shares) * 1.15)))
    for axes in (curve, bars):
        axes.spines[["top", "right"]].set_visible(False)
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg")
    return drawing.getvalue().split("?>", 1)[1].split(">", 1)[1]  # without the XML and doctype lines
