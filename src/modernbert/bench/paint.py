"""How a backend looks in every figure: a colour a runtime, a marker a number format."""

from typing import TYPE_CHECKING

from modernbert.bench.backends import BACKENDS, Dtype, Runtime

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: dict[Runtime, str] = {"ours": "#1f5f99", "stock": "#8a8578", "onnx": "#c2571a", "openvino": "#4f8f5b"}
_MARKERS: dict[Dtype, str] = {"float32": "o", "bfloat16": "s", "int8": "^"}
INK, FAINT = "#33383d", "#c9ced3"


def colour(backend: str) -> str:
    """Of lines, bars and points."""
    return _COLOURS[BACKENDS[backend].runtime]


def marker(backend: str) -> str:
    """Of points."""
    return _MARKERS[BACKENDS[backend].dtype]


def plain(axes: "Axes") -> None:
    """No box, a faint grid behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, which="both", length=3)
    axes.grid(color=FAINT, alpha=0.45, linewidth=0.6)
    axes.set_axisbelow(True)
