"""How a matrix product falls into tiles, and tiles into waves over the units of a device. Arithmetic only.

A unit computes one tile at a time. Where a matrix does not divide into tiles, the last ones are partly empty (tile
quantisation); where the tiles do not divide among the units, some units have nothing to do in the last wave (wave
quantisation). Both after "The Case for Co-Designing Model Architectures with Hardware" (arXiv 2401.14489, section 3).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

Tile = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A product of [rows, inner] and [inner, columns] as one kind of tiles computes it, in work per unit.

    One is the work of all units together without any loss: a loss shows as a number above 1.
    """

    tile: Tile
    num_tiles: int
    num_waves: int
    padding: float
    """Work of the whole tiles over the work asked for: 1 where the matrix divides into tiles."""
    idling: float
    """Work of the whole waves over the work of the tiles: 1 where the last wave is full."""

    @property
    def slowdown(self) -> float:
        """Both together."""
        return self.padding * self.idling


def num_tiles(rows: int, columns: int, tile: Tile) -> int:
    """Tiles that cover a matrix, the last ones perhaps in part."""
    return ceil(rows / tile[0]) * ceil(columns / tile[1])


def num_waves(tiles: int, units: int) -> int:
    """Rounds in which that many units compute that many tiles."""
    return ceil(tiles / units)


def last_wave(tiles: int, units: int) -> float:
    """Share of the units that have work in the last wave: what the reference's search calls utilisation."""
    return (tiles % units or units) / units


@lru_cache(maxsize=1 << 16)  # shapes of one width share half of their products
def cut(rows: int, columns: int, units: int, tiles: tuple[Tile, ...]) -> Cut:
    """The product's fastest cut: of those tiles, the one with the smallest slowdown; of equals, the first."""
    return min((_cut(rows, columns, units, tile) for tile in tiles), key=lambda found: found.slowdown)


def _cut(rows: int, columns: int, units: int, tile: Tile) -> Cut:
    count = num_tiles(rows, columns, tile)
    waves = num_waves(count, units)
    return Cut(
        tile=tile,
        num_tiles=count,
        num_waves=waves,
        padding=count * tile[0] * tile[1] / (rows * columns),
        idling=waves * units / count,
    )
