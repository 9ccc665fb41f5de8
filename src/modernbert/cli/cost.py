"""`modernbert cost`: what reading a corpus with an encoder takes, in hours and dollars."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modernbert.core.dtypes import DtypeName
from modernbert.core.packaged import DEFAULT

if TYPE_CHECKING:
    from modernbert.bulk.cost import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Hours and dollars for a corpus at a measured speed, beside published figures. Every assumption is shown, and is a flag."""

    tokens: str = "15T"
    """To be read, such as 300B; data stats counts them."""
    tokens_per_second: float | None = None
    """Of one machine, as annotate prints it."""
    done: str | None = None
    """A folder that annotate wrote: the speed of its workers, from its sidecars."""
    measure: bool = False
    """Measure here, with --model."""
    seconds: float = 20.0
    """With --measure: how long."""
    model: str = DEFAULT
    """With --measure."""
    dtype: DtypeName = "auto"
    """With --measure."""
    device: str = "cpu"
    """With --measure."""
    threads: int = 1
    """With --measure: of the one worker."""
    workers: int = 1
    """On one machine, for --measure and --done: the speed of one worker is taken so many times."""
    dollars_per_hour: float | None = None
    """Of one machine; needed for a figure of your own."""
    machine: str = "machine"
    """What to call it."""
    utilization: float = 1.0
    """Share of the paid time in which it computes."""
    published_hours: float = 6000.0
    """H100-hours of FineWeb-Edu's filter, for 15T tokens."""
    published_dollars_per_hour: float = 10.0
    """Of an H100, in that figure."""
    decoder_dollars_per_million: float = 0.075
    """Of the decoder's API, for tokens that it reads."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Reckon and print."""
        import json

        from modernbert.bulk.cost import Published, published_decoder, published_encoder
        from modernbert.core.quantities import Tokens

        self._check()
        tokens = Tokens.parse(self.tokens)
        published = Published(
            encoder_hours=self.published_hours,
            encoder_dollars_per_hour=self.published_dollars_per_hour,
            decoder_dollars_per_million=self.decoder_dollars_per_million,
        )
        lines = [*self._own(tokens), published_encoder(tokens, published), published_decoder(tokens, published)]
        if self.json:
            print(json.dumps({"tokens": int(tokens), "lines": [line.as_dict() for line in lines]}))
            return
        print(f"to read {tokens} once")
        for line in lines:
            hours = "" if line.hours is None else f"{line.hours:,.1f} hours"
            print(f"  {line.name:<24} {hours:>18}  ${line.price:>14,.2f}")
            for each in line.assumptions:
                print(f"      assumed: {each}")
        if len(lines) == 2:
            print("for your own: --measure (or --tokens-per-second, or --done FOLDER) and --dollars-per-hour")

    def _check(self) -> None:
        from modernbert.core.errors import UserError

        given = [self.tokens_per_second is not None, self.done is not None, self.measure]
        if sum(given) > 1:
            raise UserError(
                "found several of --tokens-per-second, --done and --measure, expected one speed: drop the others"
            )
        if any(given) and self.dollars_per_hour is None:
            raise UserError(
                "--dollars-per-hour is missing: a speed becomes a price by what an hour of the machine costs"
            )
        if self.dollars_per_hour is not None and not any(given):
            raise UserError("--dollars-per-hour needs a speed: add --measure, --tokens-per-second or --done FOLDER")
        if not 0 < self.utilization <= 1:
            raise UserError(f"--utilization: found {self.utilization:g}, expected a share above 0 and up to 1")
        for name in ("tokens_per_second", "seconds", "workers"):
            found = getattr(self, name)
            if found is not None and found <= 0:
                raise UserError(f"--{name.replace('_', '-')}: found {found:g}, expected more than 0")

    def _own(self, tokens: int) -> "Iterator[Line]":
        from modernbert.bulk.cost import own

        if self.dollars_per_hour is None:
            return
        speed, source = self._speed()
        yield own(
            tokens,
            tokens_per_second=speed,
            dollars_per_hour=self.dollars_per_hour,
            utilization=self.utilization,
            machine=self.machine,
            source=source,
        )

    def _speed(self) -> tuple[float, str]:
        times = "" if self.workers == 1 else f" x {self.workers} workers, each taken to be as fast as one alone"
        if self.tokens_per_second is not None:
            return self.tokens_per_second, "as given"
        if self.done is not None:
            from modernbert.bulk.speed import speed_of

            return self.workers * speed_of(self.done), f"of one worker in {self.done}{times}"
        from modernbert.bulk.config import Recipe, models_named
        from modernbert.bulk.measure import tokens_per_second

        recipe = Recipe(models=models_named((self.model,)), dtype=self.dtype, device=self.device, threads=self.threads)
        found = tokens_per_second(recipe, seconds=self.seconds)
        return self.workers * found, f"measured here in {self.seconds:g} s with {self.model}{times}"
