"""Makes tests/golden/pretrain_curve.json: PYTHONPATH=tests python -m golden.make.pretrain_curve "why the numbers change"

Forty steps of a small model on ids of a fixed generator: two stages, whose second has longer documents, another rotary
base and a falling rate. Without dropout, whose numbers torch may draw otherwise on another processor.
"""

import hashlib
import json
import platform
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import torch

from modernbert.core.files import write_atomically
from modernbert.train.pretrain import pretrain
from support.runs import metrics, recipe

FOLDER = Path(__file__).parents[1]
FILE = FOLDER / "pretrain_curve.json"
MANIFEST = FOLDER / "manifest.json"

EXACT = ("step", "stage", "tokens", "num_predicted", "batch_tokens", "batch_rows")
NEAR = ("loss", "lr", "grad_norm")


def curve(home: Path) -> dict[str, list[dict[str, object]]]:
    """What a run says of its steps and evaluations now."""
    changes = ("dropout=0", "optim={kind: stable-adamw, lr: 8e-3}", "z_loss=1e-4", "stages.short.batch.start=128")
    run = pretrain(recipe(home, *changes, "stages.short.batch.over=1024", steps=(24, 16))).run
    steps = [{key: line[key] for key in (*EXACT, *NEAR)} for line in metrics(run) if line["kind"] == "step"]
    scores = [{"step": line["step"], **line["held"]} for line in metrics(run) if line["kind"] == "evaluation"]
    return {"steps": steps, "evaluations": scores}


def _main(reason: str) -> None:
    torch.set_num_threads(1)
    with TemporaryDirectory() as home, write_atomically(FILE, "w") as file:
        json.dump(curve(Path(home)), file, indent=1)
        file.write("\n")
    made = {
        "script": "golden/make/pretrain_curve.py",
        "sha256": hashlib.sha256(FILE.read_bytes()).hexdigest(),
        "seed": 17,
        "device": "cpu",
        "date": date.today().isoformat(),
        "reason": reason,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__},
    }
    known = json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else {}
    with write_atomically(MANIFEST, "w") as file:
        json.dump(known | {FILE.name: made}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("say why the numbers change, in one argument")
    _main(sys.argv[1])
