"""Lengths of documents and windows at which attention has gone wrong, or could: what every backend is tried with."""

from modernbert.ops.window import Window
from support.tiny import BOUNDARIES

MIXTURES = {
    "one token": [1],
    "one block": [64],
    "two blocks": [64, 64],
    "one more than a block": [65],
    "many tiny": [*range(1, 12), *range(1, 12)],
    "equal side by side": [7] * 10,
    "equal, longer, side by side": [150] * 3,
    "equal but apart": [7, 3, 7, 3, 7],
    "equal, longer, apart": [150, 3, 150, 150, 140],
    "multiples of a step": [16, 32, 16, 16, 128],
    "empty among them": [0, 5, 0, 0, 9, 0],
    "a long one among tweets": [12, 700, 9, 30, 1],
    "not a multiple of a block": [100, 29],
    "boundaries": list(BOUNDARIES),
    "shortest last": [129, 128, 17, 16, 15, 1],
}
WINDOWS = {
    "full": Window.full(),
    "64": Window.both(64),
    "8": Window.both(8),
    "3 back, 5 ahead": Window(3, 5),
    "90 back, 2 ahead": Window(90, 2),
    "itself": Window(0, 0),
}
