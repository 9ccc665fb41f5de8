"""What late-interaction folders say: sentence-transformers 6, PyLate, and Stanford's ColBERT.

PyLate (`model_type` "ColBERT") keeps its settings flat in config_sentence_transformers.json and leaves out the steps for
masking and normalising; Stanford (architecture "HF_ColBERT") keeps them in artifact.metadata and the projection among the
encoder's own weights. Both put a marker token before a text, which is a prompt here.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from modernbert.core.errors import CheckpointError, UnsupportedError
from modernbert.model.folder import weight_files
from modernbert.retrieval.dense import Dense, Normalize, layers_of
from modernbert.retrieval.expansion import Expansion
from modernbert.retrieval.folder import Described, Settings, describe, read_json, whole_number
from modernbert.retrieval.prompts import Prompts
from modernbert.text.tokenizer import Tokenizer

Score = Literal["maxsim", "meanmaxsim"]

_STANFORD = "HF_ColBERT"
_PYLATE = (
    "query_length", "document_length", "query_expansion", "do_query_expansion", "attend_to_expansion_tokens",
    "attend_to_mask_tokens", "query_prefix", "document_prefix", "skiplist_words",
)  # fmt: skip
"""Any of these at the top of the settings is PyLate's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateSettings:
    """How queries and documents become token vectors."""

    prompts: Prompts = field(default_factory=Prompts)
    query_length: int | None = None
    """Tokens of the longest query, special ones and prompt included; absent: what the model was trained for."""
    document_length: int | None = None
    expansion: Expansion | None = None
    """Absent: queries stay as they are."""
    skiplist: tuple[str, ...] = ()
    """Tokens that give no vector, though others see them."""
    skiplist_tasks: tuple[str, ...] = ("document",)
    pool_factor: float = 1.0
    """Tokens of a document that become one, see `token_pooling`."""
    num_protected: int = 1
    pools_normalize: bool = True
    score: Score = "maxsim"


def is_late(folder: Path) -> bool:
    """Whether it says of itself that it gives a vector a token."""
    said = describe(folder)
    if said.settings.get("model_type") in ("ColBERT", "MultiVectorEncoder"):
        return True
    if said.steps:
        return any(step.kind == "MultiVectorMask" for step in said.steps)
    return (_file(folder / "config.json").get("architectures") or [""])[0] == _STANFORD  # type: ignore[index]


def read_late(folder: Path, tokenizer: Tokenizer) -> tuple[Described, LateSettings, list[Dense | Normalize]]:
    """The folder's words, what they mean, and the layers behind the encoder in order.

    Raises:
        CheckpointError: it is no late-interaction folder, or a file in it is wrong.
        UnsupportedError: it wants what is not built, such as a module of its own.
    """
    said = describe(folder)
    architectures = _file(folder / "config.json").get("architectures") or [""]
    if not said.steps:
        if architectures[0] != _STANFORD:  # type: ignore[index]
            raise CheckpointError(
                f"{folder}: found no modules.json and the architecture {architectures[0]!r}, expected a late-interaction "  # type: ignore[index]
                "folder of sentence-transformers 6, PyLate or Stanford's ColBERT: name another, or train one"
            )
        return said, _stanford(folder, tokenizer), [_stanford_projection(folder), Normalize()]
    said.expect(
        ("Dense", "MultiVectorMask", "Normalize", "HierarchicalTokenPooling", "Pooling"), "a late-interaction model"
    )
    is_pylate = said.settings.get("model_type") == "ColBERT"
    if any(step.kind == "Pooling" for step in said.steps) and not is_pylate:
        raise CheckpointError(
            f"{folder}: found a Pooling module, expected vectors of tokens: this is an embedder, open it with Embedder"
        )
    layers = layers_of(said.steps)
    if is_pylate:
        layers.append(Normalize())
    return said, _settings(said, tokenizer, is_pylate=is_pylate), layers


def _settings(said: Described, tokenizer: Tokenizer, *, is_pylate: bool) -> LateSettings:
    where, whole, first = said.folder, said.settings, said.transformer
    prompts = dict(Prompts.of(whole, where).named)
    for key, name in (("query_prefix", "query"), ("document_prefix", "document")):
        if key in whole:
            marker = str(whole[key] or "")
            check_marker(marker, tokenizer, where)
            prompts[name] = marker + prompts[name].removeprefix(marker)
    lengths = {
        name: whole_number(first, name, where) or whole_number(whole, name, where)
        for name in ("query_length", "document_length")
    }
    expansion = Expansion.of(first.get("query_expansion", whole.get("query_expansion")), where)
    is_said = "query_expansion" in first or "query_expansion" in whole
    if not is_said and any(key in whole for key in _PYLATE) and whole.get("do_query_expansion") is not False:
        attend = whole.get("attend_to_expansion_tokens", whole.get("attend_to_mask_tokens"))
        expansion = Expansion(length=lengths["query_length"] or 32, is_attended=bool(attend))
        lengths["query_length"] = None  # it is the length of the expansion now
    mask = next((step.settings for step in said.steps if step.kind == "MultiVectorMask"), None)
    pooling = next((step.settings for step in said.steps if step.kind == "HierarchicalTokenPooling"), {})
    if mask is not None and mask.get("keep_only_token_ids"):
        raise UnsupportedError(
            f"{where}: keep_only_token_ids is for images, which are not read here: choose another model"
        )
    default_words = list(string.punctuation) if is_pylate else []
    words = mask.get("skiplist_words") if mask is not None else whole.get("skiplist_words")
    if pooling and pooling.get("tasks", ["document"]) != ["document"]:
        raise UnsupportedError(f"{where}: token pooling: found tasks {pooling['tasks']}, expected document alone")
    score = str(whole.get("similarity_fn_name") or "maxsim").lower()
    return LateSettings(
        prompts=Prompts(named=prompts, default=Prompts.of(whole, where).default),
        query_length=lengths["query_length"],
        document_length=lengths["document_length"],
        expansion=expansion,
        skiplist=tuple(cast("list[str]", default_words if words is None else words)),
        skiplist_tasks=tuple(cast("list[str]", (mask or {}).get("skiplist_tasks") or ["document"])),
        pool_factor=float(cast("float", pooling.get("pool_factor", 1.0))),
        num_protected=int(cast("int", pooling.get("num_protected_tokens", 1))),
        pools_normalize=bool(pooling.get("normalize_embeddings", not pooling)),
        score="meanmaxsim" if score == "meanmaxsim" else "maxsim",  # others are of single vectors, in old folders
    )


def _stanford(folder: Path, tokenizer: Tokenizer) -> LateSettings:
    path = folder / "artifact.metadata"
    metadata = _file(path) if path.is_file() else {}
    markers = {
        "query": f"{metadata.get('query_token_id') or '[unused0]'} ",
        "document": f"{metadata.get('doc_token_id') or '[unused1]'} ",
    }
    for marker in markers.values():
        check_marker(marker, tokenizer, folder)
    return LateSettings(
        prompts=Prompts(named=markers),
        document_length=whole_number(metadata, "doc_maxlen", path),
        expansion=Expansion(
            length=whole_number(metadata, "query_maxlen", path) or 32,
            is_attended=bool(metadata.get("attend_to_mask_tokens")),
        ),
        skiplist=tuple(string.punctuation) if metadata.get("mask_punctuation", True) else (),
    )


def _stanford_projection(folder: Path) -> Dense:
    from safetensors.torch import load_file

    tensors = {name: tensor for path in weight_files(folder) for name, tensor in load_file(path).items()}
    if "linear.weight" not in tensors:
        raise CheckpointError(
            f"{folder}: found no linear.weight, which is ColBERT's projection: fetch the folder again"
        )
    weight_PD = tensors["linear.weight"].float()
    layer = Dense(weight_PD.shape[1], weight_PD.shape[0])
    layer.load_state_dict({"linear.weight": weight_PD})
    return layer.eval()


def check_marker(marker: str, tokenizer: Tokenizer, where: Path) -> None:
    """That a marker which is a token of the vocabulary is found in a text as that one token.

    Raises:
        CheckpointError: the tokenizer would take it apart, and the model would see what it was not trained on.
    """
    for token in (marker, marker.strip()):
        try:
            token_id = tokenizer.id(token)
        except ValueError:
            continue
        if tokenizer.encode([token], special=False).ids[0] != [token_id]:
            raise CheckpointError(
                f"{where}: found the marker {token!r} in the vocabulary but not among the added tokens, expected it there: "
                "add it to added_tokens of tokenizer.json as a special token"
            )
        return


def _file(path: Path) -> Settings:
    found = read_json(path, dict) if path.is_file() else {}
    assert isinstance(found, Mapping)
    return found
