"""Put a trained model, or a head on it, into the folder that the package carries, and sign it.

    python models/nano/package.py trunk RUN/model --out src/modernbert/models/nano
    python models/nano/package.py head HEAD --name embedding --out src/modernbert/models/nano
    python models/nano/package.py sign --out src/modernbert/models/nano

Weights are stored in bfloat16, which is half the size, and nothing is judged but what is stored so. A head is an adapter, which was
trained on the packaged trunk and not on the run's, for it names its hash; or a whole model that reads with the trunk's tokenizer.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes

from modernbert.core import packaged
from modernbert.core.errors import UserError
from modernbert.core.files import content_hash, write_atomically
from modernbert.core.script import as_script
from modernbert.model.adapter import WEIGHTS
from modernbert.model.adapter_config import CONFIG, is_adapter
from modernbert.model.folder import copy_modules, copy_tokenizer
from modernbert.model.heads import ARCHITECTURES
from modernbert.model.hf_config import from_file
from modernbert.model.revisions import TRAINING
from modernbert.model.store import load, save
from modernbert.tasks.prediction import FILE as PREDICTION

TOKENIZER = "tokenizer.json"


def main() -> None:
    """Copy, round, sign."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=("trunk", "head", "sign"))
    words.add_argument("source", type=Path, nargs="?")
    words.add_argument("--name", help="of the head")
    words.add_argument("--out", type=Path, required=True, help="the trunk's folder, named as the model is")
    given = words.parse_args()
    if given.what == "trunk":
        trunk(given.source, given.out)
    elif given.what == "head":
        put = adapter_head if is_adapter(given.source) else whole_head
        put(given.source, given.out, given.name)
    for folder in (given.out, *given.out.glob(f"{packaged.HEADS}/*")):
        packaged.sign(folder)
        print(f"{folder}: {packaged.signature(folder)}")


def trunk(source: Path, out: Path) -> None:
    """A masked language model and its tokenizer."""
    model = load(source, dtype=torch.float32).to(torch.bfloat16)
    save(model, out)
    copy_tokenizer(source, out)
    (out / TRAINING).unlink(missing_ok=True)
    if (source / TRAINING).exists():  # a mean of models has none
        shutil.copyfile(source / TRAINING, out / TRAINING)


def whole_head(source: Path, trunk: Path, name: str) -> None:
    """A model of its own, without its tokenizer, which is the trunk's."""
    out = trunk / packaged.HEADS / name
    if content_hash(source / TOKENIZER) != content_hash(trunk / TOKENIZER):
        raise UserError(f"{source} has another tokenizer than {trunk}: train it with the trunk's")
    _, architecture = from_file(source / "config.json")
    save(load(source, ARCHITECTURES[str(architecture)], dtype=torch.float32).to(torch.bfloat16), out)
    copy_modules(source, out)
    _copy_facts(source, out)


def adapter_head(source: Path, trunk: Path, name: str) -> None:
    """An adapter, told by the trunk's name and not by where it lay."""
    out = trunk / packaged.HEADS / name
    out.mkdir(parents=True, exist_ok=True)
    settings = json.loads((source / CONFIG).read_text())
    weights = content_hash(trunk / "model.safetensors")
    if settings["revision"] != weights:
        raise UserError(f"{source} was trained on weights {settings['revision'][:12]}, found {weights[:12]} in {trunk}")
    with write_atomically(out / CONFIG, "w") as file:
        json.dump(settings | {"base_model_name_or_path": trunk.name}, file, indent=2, sort_keys=True)
        file.write("\n")
    tensors = {key: tensor.to(torch.bfloat16).contiguous() for key, tensor in load_file(source / WEIGHTS).items()}
    with write_atomically(out / WEIGHTS) as file:
        file.write(as_bytes(tensors, metadata={"format": "pt"}))
    shutil.copyfile(source / "config.json", out / "config.json")
    _copy_facts(source, out)


def _copy_facts(source: Path, out: Path) -> None:
    for file_name in (TRAINING, PREDICTION):
        if (source / file_name).is_file():
            shutil.copyfile(source / file_name, out / file_name)


if __name__ == "__main__":
    as_script(main)
