"""Folders for programs of before transformers 5: servers, converters, pinned environments."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from modernbert.core.errors import UnsupportedError
from modernbert.core.files import atomic_folder, write_json
from modernbert.model.catalogue import take
from modernbert.model.folder import check_free
from modernbert.model.hub import folder_of
from modernbert.retrieval.folder import CLASSES, Described, Step, describe
from modernbert.retrieval.pooling import Pool
from modernbert.tasks.prediction import FILE as PREDICTION

_CLASS = "PreTrainedTokenizerFast"
"""What transformers 4 knows; release 5 writes TokenizersBackend, which only it can open."""

_NEW = ("backend", "is_local", "local_files_only")
"""Words of release 5 in tokenizer_config.json that mean nothing before."""

_KNOWN = ("Pooling", "Dense", "Normalize")
"""sentence-transformers' steps that its releases before 5 know, too."""

_SETTINGS = ("config_sentence_transformers.json", "sentence_bert_config.json")


def export_legacy(name: str, out: Path) -> None:
    """Write a whole folder: both generations' words in config.json, adapters merged, classes under names that all know.

    Raises:
        UserError: `out` is taken.
        UnsupportedError: it has a module that no old release of sentence-transformers knows.
    """
    check_free(out)
    source = folder_of(name)
    said = describe(source)
    for step in said.steps[1:]:
        if step.kind not in _KNOWN:
            raise UnsupportedError(
                f"{name}: found the module {step.kind}, expected {', '.join(_KNOWN)}, which old releases of "
                "sentence-transformers know: serve it with modernbert serve"
            )
    with atomic_folder(out) as folder:
        take(said.model_folder if said.steps else name, folder)
        _add_bert_words(folder / "config.json")
        _rewrite_tokenizer(folder / "tokenizer_config.json")
        if said.steps:
            _copy_steps(said, folder)
        if (source / PREDICTION).is_file():
            shutil.copyfile(source / PREDICTION, folder / PREDICTION)


def _add_bert_words(path: Path) -> None:
    """What llama.cpp's converter looks for under BERT's name; others ignore it."""
    said = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, said | {"layer_norm_eps": said["norm_eps"]})


def _rewrite_tokenizer(path: Path) -> None:
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    settings = {key: value for key, value in settings.items() if key not in _NEW} | {"tokenizer_class": _CLASS}
    if isinstance(settings.get("extra_special_tokens"), list):  # release 4 wants names for them
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    write_json(path, settings)


def _copy_steps(said: Described, folder: Path) -> None:
    """What stands behind the transformer, with its weights, and the settings of the whole."""
    for written in [path for path in folder.iterdir() if path.is_dir()]:  # by `take`, as new releases want it
        shutil.rmtree(written)
    listed = [{"idx": 0, "name": "0", "path": "", "type": CLASSES["Transformer"]}]
    for number, step in enumerate(said.steps[1:], start=1):
        own = f"{number}_{step.kind}"
        (folder / own).mkdir()
        for path in (each for each in (step.folder or folder).glob("*") if each.is_file()):
            shutil.copyfile(path, folder / own / path.name)
        if step.kind == "Pooling":
            write_json(folder / own / "config.json", _old_pooling(step.settings))
        listed.append({"idx": number, "name": str(number), "path": own, "type": CLASSES[step.kind]})
    write_json(folder / "modules.json", listed)
    for name in _SETTINGS:
        where = said.folder if (said.folder / name).is_file() else said.model_folder
        if (where / name).is_file():
            shutil.copyfile(where / name, folder / name)


def _old_pooling(settings: Mapping[str, object]) -> Mapping[str, object]:
    """`pooling_mode_cls_token` and its like, which release 5.4 left for one word."""
    width = settings.get("word_embedding_dimension") or settings.get("embedding_dimension")
    return Pool.of(Step(kind="Pooling", settings=settings)).step(int(str(width))).settings
