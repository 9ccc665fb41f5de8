"""`modernbert design`: which shape a new model should have, for the devices it will run on."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from modernbert.bench.design import Design as Ranking
    from modernbert.bench.shape_scores import Score, Work
    from modernbert.bench.shape_timing import Timings
    from modernbert.bench.shapes import Space
    from modernbert.bench.targets import Target
    from modernbert.model.config import ModelConfig

_SIZES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Rank the shapes that a model of this size could have, by estimated speed on those devices and by depth.

    Speeds are bounds from data sheets; --measure times the first few on this device. Start from a preset and change it.
    """

    size: tyro.conf.Positional[Literal["base", "large"]] = "base"
    """The paper's search: 130M to 150M parameters of width 768, or 350M to 420M of 1,024."""
    parameters: str | None = None
    """A range such as 15M..20M, head included; absent: the preset's."""
    hidden_sizes: tuple[int, ...] = ()
    """Widths to search, such as 256 384 512; absent: the preset's."""
    vocab_size: int = 50_368
    """Rows of the embedding; 16,384 suits a small model."""
    layers: str = "4..64"
    """Range of depths."""
    expansion: str = "2..6"
    """Range of what Wi puts out, in widths; 2..4 is the reference's."""
    part_tiles: bool = False
    """Allow weights that are no whole number of 128 x 256 tiles; widths such as 384 have only those."""
    targets: tuple[str, ...] = ("t4", "a10", "l4", "3090", "4090", "a100", "h100")
    """Devices to design for; cpu is this machine, measured."""
    depth_worth: float = 0.2
    """So much slower may a shape with twice the layers be and rank the same, until its width can use no more."""
    batches: tuple[int, ...] = (1024, 4096, 16_384)
    """Tokens of a packed batch; each counts the same."""
    length: int = 512
    """Tokens of a document."""
    top: int = 10
    """Rows to show."""
    measure: bool = False
    """Time the short list, and the published shapes with it, on this device, a few layers of each."""
    short_list: int = 5
    """How many of the first to time."""
    seconds: float = 60.0
    """For timing, three rounds at least."""
    write: Path | None = None
    """A new .yaml file for a pre-training recipe of the shape in place --pick."""
    pick: int = 1
    """Place of the shape to write: of the timed ones with --measure, else of all."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Search, rank, perhaps time and write, and print."""
        from modernbert.bench.design import design, words
        from modernbert.bench.targets import targets_named
        from modernbert.core.errors import UserError

        if self.top < 1 or self.short_list < 1 or self.seconds <= 0:
            raise UserError(
                "top and short_list are 1 or more and seconds above 0: "
                f"found {self.top}, {self.short_list} and {self.seconds:g}"
            )
        space, work = self._space(), self._work()
        found = design(space, targets_named(self.targets), work)
        listed = self._short_list(found) if self.measure else None
        self._check_choice(found, listed)  # before a minute of timing
        timings = None
        if listed is not None:
            from modernbert.bench.shape_timing import time_shapes

            timings = time_shapes(listed, length=self.length, seconds=self.seconds)
        ranked = found.scores if timings is None else [score for score, _ in _by_measurement(found, timings)]
        chosen = ranked[self.pick - 1].shape
        template = None if self.write is None else self._write(chosen, found.targets)
        if self.json:
            print(json.dumps(_facts(found, self.top, timings) | {"recipe": self.write and str(self.write)}))
            return
        _show(found, self.top, timings)
        if template is not None:
            print(f"\n{self.write}: {words(chosen)}, all else from the recipe {template}")

    def _space(self) -> "Space":
        from modernbert.bench.design import PRESETS

        preset = PRESETS[self.size]
        layers = _range("layers", self.layers)
        return replace(
            preset,
            parameters=preset.parameters if self.parameters is None else _whole(_range("parameters", self.parameters)),
            hidden_sizes=self.hidden_sizes or preset.hidden_sizes,
            vocab_size=self.vocab_size,
            layers=_whole(layers),
            expansion=_range("expansion", self.expansion),
            whole_tiles=not self.part_tiles,
        )

    def _work(self) -> "Work":
        from modernbert.bench.shape_scores import Work

        return Work(batches=self.batches, length=self.length, depth_worth=self.depth_worth)

    def _short_list(self, found: "Ranking") -> "list[ModelConfig]":
        """The first, and the published shapes behind them."""
        from modernbert.bench.design import name_of

        first, rest = found.scores[: self.short_list], found.scores[self.short_list :]
        return [score.shape for score in (*first, *(score for score in rest if name_of(score.shape)))]

    def _check_choice(self, found: "Ranking", listed: "list[ModelConfig] | None") -> None:
        from modernbert.bench.shape_recipe import check_new
        from modernbert.core.errors import UserError

        most, why = (len(found.scores), "the space holds") if listed is None else (len(listed), "are timed")
        if not 1 <= self.pick <= most:
            raise UserError(f"--pick: found {self.pick}, expected 1 to {most:,}, as many as {why}")
        if self.write is not None:
            check_new(self.write)

    def _write(self, chosen: "ModelConfig", targets: "Sequence[Target]") -> str:
        from modernbert.bench.shape_recipe import write_recipe

        assert self.write is not None
        return write_recipe(chosen, self.write, made_for=[target.title for target in targets])


def _range(name: str, words: str) -> tuple[float, float]:
    """15M..20M"""
    from modernbert.core.errors import UserError

    ends = [re.fullmatch(r"(\d+(?:_\d+)*(?:\.\d+)?)([KMB]?)", end.strip(), re.IGNORECASE) for end in words.split("..")]
    if len(ends) != 2 or not all(ends):
        raise UserError(f"--{name}: found {words!r}, expected two ends such as {_EXAMPLES[name]}")
    low, high = (float(end[1]) * _SIZES[end[2].upper()] for end in ends if end)
    return low, high


_EXAMPLES = {"parameters": "15M..20M", "layers": "4..30", "expansion": "2..4"}


def _whole(ends: tuple[float, float]) -> tuple[int, int]:
    return round(ends[0]), round(ends[1])


def _by_measurement(found: "Ranking", timings: "Timings") -> "list[tuple[Score, int]]":
    """Scores of the timed shapes and their places in the list of timings, best first: measured share times depth."""
    scores = [found.scores[(found.rank_of(timing.shape) or 0) - 1] for timing in timings.shapes]
    pairs = [(score, place) for place, score in enumerate(scores)]
    return sorted(pairs, key=lambda pair: -timings.shapes[pair[1]].of_matmul * pair[0].depth)


def _facts(found: "Ranking", top: int, timings: "Timings | None") -> dict[str, object]:
    from modernbert.bench.design import name_of, verdicts

    facts: dict[str, object] = {
        "targets": [{"name": target.name, "source": target.source} for target in found.targets],
        "num_shapes": len(found.scores),
        "dropped": found.grid.dropped,
        "shapes": [_score_facts(score, place) for place, score in enumerate(found.scores[:top], 1)],
        "published": verdicts(found),
    }
    if timings is not None:
        facts["measured"] = {
            "device": timings.device,
            "dtype": timings.dtype,
            "matmul_flops": timings.matmul,
            "tokens": timings.tokens,
            "rounds": timings.rounds,
            "shapes": [
                {
                    "place": found.rank_of(score.shape),
                    "name": name_of(score.shape),
                    "tokens_per_second": timings.shapes[at].tokens_per_second,
                    "range": [timings.shapes[at].slowest, timings.shapes[at].fastest],
                    "of_matmul": timings.shapes[at].of_matmul,
                }
                for score, at in _by_measurement(found, timings)
            ],
        }
    return facts


def _score_facts(score: "Score", place: int) -> dict[str, object]:
    from modernbert.bench.design import name_of
    from modernbert.model.counts import num_parameters

    shape = score.shape
    return {
        "place": place,
        "name": name_of(shape),
        "num_hidden_layers": shape.num_hidden_layers,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_attention_heads": shape.num_attention_heads,
        "parameters": num_parameters(shape),
        "score": score.value,
        "tiles": score.speed.tiles,
        "waves": score.speed.waves,
        "matrices": score.speed.matrices,
        "of_peak": score.speed.of_peak,
        "depth": score.depth,
        "utilisation": score.utilisation,
        "tokens_per_second": {name: speed.tokens_per_second for name, speed in score.speeds.items()},
    }


def _show(found: "Ranking", top: int, timings: "Timings | None") -> None:
    from rich.console import Console

    from modernbert.bench.design import verdicts

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no width to fit
    space = found.space
    low, high = (f"{end / 1e6:,.4g}M" for end in space.parameters)
    print(
        f"{len(found.scores):,} shapes of {low} to {high} parameters, for {', '.join(t.title for t in found.targets)}"
    )
    print("\n".join(f"dropped {count:,}: {rule}" for rule, count in found.grid.dropped.items()))
    console.print(_ranking(found, top))
    print("\n".join(_legend(found)))
    console.print(_speeds(found, top))
    print("\n".join(verdicts(found)))
    if timings is not None:
        console.print(_measured(found, timings))
        print("\n".join(_measured_words(found, timings)))


def _ranking(found: "Ranking", top: int) -> "Table":
    from modernbert.bench.design import name_of, reasons
    from modernbert.model.counts import num_parameters

    table = _table(["", "layers", "width", "gate", "parameters", "of peak", "depth", "score"], ["", "why"])
    for place, score in enumerate(found.scores[:top], 1):
        shape = score.shape
        table.add_row(
            str(place),
            *(f"{n:,}" for n in (shape.num_hidden_layers, shape.hidden_size, shape.intermediate_size)),
            f"{num_parameters(shape) / 1e6:.1f}M",
            *(f"{100 * share:.1f}" for share in (score.speed.of_peak, score.depth, score.value)),
            name_of(shape) or "",
            reasons(score, found.scores[0]),
        )
    return table


def _legend(found: "Ranking") -> list[str]:
    from modernbert.bench.shape_scores import enough_layers

    widths = sorted({score.shape.hidden_size for score in found.scores})
    enough = ", ".join(f"{enough_layers(width):.0f} for {width:,}" for width in widths)
    return [
        "of peak: of what the devices could compute, the share that goes into the weights' products, estimated;",
        "  tiles, waves and matrices are what is left of it by whole tiles, by whole waves, and by all that is no product",
        f"depth: 100 where the width can use no more layers ({enough}), {found.work.depth_worth:.0%} less for half of them",
        "score: their product, in percent",
    ]


def _speeds(found: "Ranking", top: int) -> "Table":
    table = _table(["k tokens/s at most", *(target.title for target in found.targets)], [])
    for place, score in enumerate(found.scores[:top], 1):
        table.add_row(str(place), *(_thousands(score.speeds[t.name].tokens_per_second) for t in found.targets))
    return table


def _measured(found: "Ranking", timings: "Timings") -> "Table":
    from modernbert.bench.design import name_of

    table = _table(
        ["measured", "estimated", "layers", "width", "gate", "tokens/s", "range", "of matmul", "score"], [""]
    )
    for place, (score, at) in enumerate(_by_measurement(found, timings), 1):
        shape, timing = score.shape, timings.shapes[at]
        table.add_row(
            str(place),
            str(found.rank_of(shape)),
            *(f"{n:,}" for n in (shape.num_hidden_layers, shape.hidden_size, shape.intermediate_size)),
            f"{timing.tokens_per_second:,.0f}",
            f"{timing.slowest:,.0f} to {timing.fastest:,.0f}",
            f"{timing.of_matmul:.0%}",
            f"{100 * timing.of_matmul * score.depth:.1f}",
            name_of(shape) or "",
        )
    return table


def _measured_words(found: "Ranking", timings: "Timings") -> list[str]:
    from modernbert.bench.shape_timing import agreement

    scores = [found.scores[(found.rank_of(timing.shape) or 0) - 1] for timing in timings.shapes]
    agreed, pairs = agreement(
        [score.speed.of_peak for score in scores], [timing.of_matmul for timing in timings.shapes]
    )
    told = [
        f"measured on {timings.device} in {timings.dtype}: {timings.tokens:,} tokens in documents of {timings.length},"
        f" medians of {timings.rounds} rounds in turns, random weights; matmul {timings.matmul / 1e9:,.0f} GFLOP/s",
        "built: the first layer, and one period of global and windowed layers; the whole model is their sum",
        f"of two shapes, the estimate and the clock agree which uses the device better in {agreed} of {pairs} pairs",
    ]
    if any(timing.of_matmul > 1 for timing in timings.shapes):
        told.append("above 100% of matmul: something else was running, so time again on a quiet machine")
    return told


def _table(numbers: Sequence[str], texts: Sequence[str]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for name in texts:
        table.add_column(name)
    return table


def _thousands(number: float) -> str:
    """Three digits: 1583300 -> 1,583, 246.1 -> 0.246"""
    digits = 0 if number >= 1e5 else 1 if number >= 1e4 else 2 if number >= 1e3 else 3
    return f"{number / 1e3:,.{digits}f}"
