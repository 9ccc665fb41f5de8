"""Amounts which carry their unit in the type: `Tokens` and `Duration`.

Both are plain numbers to Python (arithmetic gives back `int` and `float`), read from the words people write in a
recipe, and printed in words which read back to exactly the same amount.
"""

import re
import sys
from fractions import Fraction
from operator import itemgetter
from typing import Self

from modernbert.core.errors import ConfigError

_MOST_TOKENS = 2**63 - 1  # what an int64 counter holds
_MOST_SECONDS = sys.float_info.max

_THOUSANDS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_SECONDS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1, "ms": Fraction(1, 1000)}
_SAME_UNIT = {"day": "d", "days": "d", "hour": "h", "hours": "h", "m": "min", "mins": "min", "minute": "min"}
_SAME_UNIT |= {"minutes": "min", "sec": "s", "secs": "s", "second": "s", "seconds": "s"}

# Three digits of exponent reach past every float, and keep 1e999999999 from filling the memory.
_NUMBER = r"(\d+(?:_\d+)*(?:\.\d+)?(?:e[-+]?\d{1,3})?|\.\d+)"
_TOKENS = re.compile(_NUMBER + r"\s*([kmbt]?)\s*(?:tokens?)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(_NUMBER + r"\s*([a-z]*)", re.ASCII)


class Tokens(int):
    """A number of tokens, from 0 to 2**63 - 1. K, M, B and T are powers of a thousand.

    >>> Tokens.parse("1.7T tokens") == 1_700_000_000_000
    True
    >>> print(Tokens(4_720_000), Tokens(1_234_567), sep=", ")
    4.72M tokens, 1_234_567 tokens
    """

    __slots__ = ()

    EXPECTED = "a whole number of tokens such as '1.7T tokens', '50B' or 3_000"

    def __new__(cls, count: int) -> Self:
        """Raises `ConfigError` when the count is negative or does not fit 64 bits."""
        if not 0 <= count <= _MOST_TOKENS:
            raise ConfigError(f"found {_show(count)}, outside 0 to 2**63 - 1; expected {cls.EXPECTED}")
        return super().__new__(cls, count)

    @classmethod
    def parse(cls, amount: str | float) -> Self:
        """Read "1.7T tokens", "50B", "3_000", 12 or 1e9.

        Raises:
            ConfigError: not an amount, not whole, negative, or above 2**63 - 1.
        """
        if isinstance(amount, int) and not isinstance(amount, bool):
            return cls(amount)
        words = _TOKENS.fullmatch(str(amount).strip())
        count = Fraction(words[1]) * _THOUSANDS[words[2].upper()] if words else None
        if count is None or count.denominator != 1:
            raise ConfigError(f"found {amount!r}, expected {cls.EXPECTED}")
        return cls(int(count))

    def __str__(self) -> str:
        if self == 1:
            return "1 token"
        letter, size = max((unit for unit in _THOUSANDS.items() if unit[1] <= self), key=itemgetter(1), default=("", 1))
        thousandths, rest = divmod(self * 1000, size)
        if not letter or rest:  # three decimals at most: 1_234_567 is easier to read than 1.234567M
            return f"{int(self):_} tokens"
        return f"{thousandths // 1000}.{thousandths % 1000:03}".rstrip("0").rstrip(".") + f"{letter} tokens"

    def __repr__(self) -> str:
        return f"Tokens({int(self)})"


class Duration(float):
    """A span of time in seconds, finite and not negative. Words need their unit: d, h, min, s or ms.

    >>> Duration.parse("1.5h") == 5400
    True
    >>> print(Duration(180), Duration(0.25), Duration(86_401), sep=", ")
    3 min, 250 ms, 86401 s
    """

    __slots__ = ()

    EXPECTED = "a duration with its unit such as '90s', '3 min', '1.5h' or '2d'"

    def __new__(cls, seconds: float) -> Self:
        """Raises `ConfigError` when the seconds are negative, infinite or not a number."""
        if not 0 <= seconds <= _MOST_SECONDS:
            raise ConfigError(f"found {_show(seconds)}, which is no span of seconds; expected {cls.EXPECTED}")
        return super().__new__(cls, seconds + 0.0)  # -0.0 becomes 0.0

    @classmethod
    def parse(cls, amount: "str | Duration") -> Self:
        """Read "90s", "3 min", "1.5h" or "2d". A bare number is refused: nobody can tell ten seconds from ten hours.

        Raises:
            ConfigError: not an amount, no unit, an unknown unit, negative, or too large for a float.
        """
        words = _DURATION.fullmatch(str(amount).strip())
        unit = words and _SECONDS.get(_SAME_UNIT.get(words[2], words[2]))
        if not words or not unit:
            raise ConfigError(f"found {amount!r}, expected {cls.EXPECTED}")
        try:
            return cls(float(Fraction(words[1]) * unit))
        except OverflowError:
            raise ConfigError(f"found {amount!r}, too long for a float; expected {cls.EXPECTED}") from None

    def __str__(self) -> str:
        for unit, size in _SECONDS.items():
            amount = self / float(size)
            words = f"{amount:.2f}".rstrip("0").rstrip(".")
            if 1 <= amount < 1e6 and float(Fraction(words) * size) == self:
                return f"{words} {unit}"
        return f"{float(self)!r}".removesuffix(".0") + " s"

    def __repr__(self) -> str:
        return f"Duration({float(self)!r})"


def _show(number: float) -> str:
    """A number of thousands of digits would fill the screen, and Python refuses to print it."""
    if isinstance(number, int) and number.bit_length() > 128:
        return f"a number of {number.bit_length()} bits"
    return str(number)
