"""One of several processes that train by recipes, one after the other: python rank.py RECIPE PORT RECIPE PORT...

The port is where the processes of a run meet; all else they are told in the environment, as torchrun does it.
"""

import os
import sys
from pathlib import Path

import torch

from modernbert.core.config import read
from modernbert.train.config import Recipe
from modernbert.train.pretrain import pretrain

if __name__ == "__main__":
    torch.set_num_threads(1)
    for path, port in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        os.environ["MASTER_PORT"] = port
        pretrain(read(Recipe, Path(path)))
