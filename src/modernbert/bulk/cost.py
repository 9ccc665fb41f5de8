"""What it costs to read so many tokens once: hours and money from a measured speed, beside what others have published.

Prices are assumptions of whoever asks; none is looked up.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One way to have it done."""

    name: str
    hours: float | None
    """Of one machine; absent where somebody else's machines are paid by the token."""
    price: float
    """US dollars."""
    assumptions: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"name": self.name, "hours": self.hours, "price": self.price, "assumptions": list(self.assumptions)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """FineWeb-Edu's filtering as told by the makers of ModernBERT (Hugging Face blog, "Finally, a Replacement for BERT",
    December 2024): 15 trillion tokens by a BERT-sized classifier in 6,000 H100-hours at $10, or by the cheapest decoder's
    API of that day at $0.075 a million tokens."""

    tokens: float = 15e12
    encoder_hours: float = 6000.0
    encoder_dollars_per_hour: float = 10.0
    decoder_dollars_per_million: float = 0.075

    @property
    def encoder_tokens_per_second(self) -> float:
        """Of one H100: what the hours say, whatever was read of each document."""
        return self.tokens / (3600 * self.encoder_hours)


PUBLISHED = Published()


def own(
    tokens: float, *, tokens_per_second: float, dollars_per_hour: float, utilization: float, machine: str, source: str
) -> Line:
    """The user's own figure.

    Args:
        tokens_per_second: of one machine while it computes.
        utilization: share of the paid hours in which it does.
        source: how the speed is known.
    """
    hours = tokens / (3600 * tokens_per_second * utilization)
    return Line(
        name="yours",
        hours=hours,
        price=hours * dollars_per_hour,
        assumptions=(
            f"{tokens_per_second:,.0f} tokens/s on one {machine} ({source})",
            f"${dollars_per_hour:g} an hour of one {machine}",
            f"computing {utilization:.0%} of the paid time",
        ),
    )


def published_encoder(tokens: float, published: Published = PUBLISHED) -> Line:
    """FineWeb-Edu's own classifier, for as many tokens."""
    hours = published.encoder_hours * tokens / published.tokens
    return Line(
        name="encoder, published",
        hours=hours,
        price=hours * published.encoder_dollars_per_hour,
        assumptions=(
            f"{published.encoder_hours:,.0f} H100-hours for {published.tokens / 1e12:g}T tokens "
            f"({published.encoder_tokens_per_second:,.0f} tokens/s), FineWeb-Edu's filter",
            f"${published.encoder_dollars_per_hour:g} an H100-hour",
        ),
    )


def published_decoder(tokens: float, published: Published = PUBLISHED) -> Line:
    """A decoder behind an API, for as many tokens; what it writes is not counted."""
    return Line(
        name="decoder API, published",
        hours=None,
        price=tokens / 1e6 * published.decoder_dollars_per_million,
        assumptions=(
            f"${published.decoder_dollars_per_million:g} a million tokens read, the cheapest of 2024; none written",
        ),
    )
