"""A tokenizer's folder as the Hub keeps it: `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`.

Reads the layout of transformers 4 (which the Hub's ModernBERT has) and of transformers 5 (which writes no
`special_tokens_map.json` and no `added_tokens_decoder`). Writes the older one: both generations read it, and so do
servers and converters that are built on an older `tokenizers`.
"""

import json
from pathlib import Path
from typing import NamedTuple

import tokenizers
from tokenizers import AddedToken

from modernbert.core.errors import UserError
from modernbert.core.files import write_json

ROLES = ("unk", "cls", "sep", "pad", "mask")
"""What a special token can be for, in the order of their ids in ModernBERT."""

UNSTATED = int(1e30)
"""What transformers writes as `model_max_length` when nobody said one."""


class Parts(NamedTuple):
    """What a folder says: the compiled tokenizer, the special token of each role, and the length if one is stated."""

    fast: tokenizers.Tokenizer
    roles: dict[str, str]
    longest: int | None


def read_folder(folder: Path) -> Parts:
    """Read a tokenizer with the meaning transformers gives the same files.

    Truncation and padding kept in `tokenizer.json` are switched off: both would change ids behind the caller's back.

    Raises:
        UserError: a file is missing or broken, or a role has no token.
    """
    config = _read_json(folder / "tokenizer_config.json")
    fast = _read_fast(folder / "tokenizer.json")
    fast.no_truncation()
    fast.no_padding()
    _apply_flags(folder, config, fast)
    return Parts(fast, _roles(folder, config, fast), _longest(folder, config))


def write_folder(folder: Path, parts: Parts) -> None:
    """Write the three files, each atomically; the folder is made when missing, other files in it stay."""
    fast, roles, longest = parts
    added = {token_id: token.__getstate__() for token_id, token in sorted(fast.get_added_tokens_decoder().items())}
    flags = {entry["content"]: entry for entry in added.values()}
    config = {
        "added_tokens_decoder": added,
        "clean_up_tokenization_spaces": True,  # as on the Hub; transformers 5 ignores it for a BPE
        "extra_special_tokens": {},
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": UNSTATED if longest is None else longest,
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{role}_token": token for role, token in roles.items()},
    }
    special = {
        f"{role}_token": {key: value for key, value in flags[token].items() if key != "special"}
        if token in flags
        else token
        for role, token in roles.items()
    }
    write_json(folder / "tokenizer.json", _with_plain_merges(json.loads(fast.to_str())))
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", special)


def _apply_flags(folder: Path, config: dict, fast: tokenizers.Tokenizer) -> None:
    """Let the config's flags win over those in tokenizer.json, as transformers does: `lstrip` may stand here alone."""
    known = {token.content: token.__getstate__() for token in fast.get_added_tokens_decoder().values()}
    try:
        stated = sorted(config.get("added_tokens_decoder", {}).items(), key=lambda entry: int(entry[0]))
        changed = [AddedToken(**flags) for _, flags in stated if flags != known.get(flags["content"])]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder / 'tokenizer_config.json'}: added_tokens_decoder is damaged ({error!r}), expected an id and flags for"
            " each token: save or download it again, or remove it, for tokenizer.json has the same"
        ) from None
    fast.add_tokens(changed)


def _roles(folder: Path, config: dict, fast: tokenizers.Tokenizer) -> dict[str, str]:
    path = folder / "special_tokens_map.json"
    older = _read_json(path) if path.exists() else {}
    # transformers asks the older file first only where the newer one does not describe its tokens.
    stated = {**older, **config} if "added_tokens_decoder" in config else {**config, **older}
    roles = {}
    for role in ROLES:
        token = stated.get(f"{role}_token")
        if token is not None:
            roles[role] = token["content"] if isinstance(token, dict) else token
    if len(roles) < len(ROLES):
        missing = ", ".join(f"{role}_token" for role in ROLES if role not in roles)
        raise UserError(
            f"{folder} names no {missing}: every role needs a token; add it to tokenizer_config.json,"
            ' for example "pad_token": "[PAD]"'
        )
    for role, token in roles.items():
        if fast.token_to_id(token) is None:
            raise UserError(
                f"{folder} names {token!r} as {role}_token, but tokenizer.json has no such token: correct"
                " tokenizer_config.json, or add the token to tokenizer.json"
            )
    return roles


def _longest(folder: Path, config: dict) -> int | None:
    stated = config.get("model_max_length")
    if stated is None or (isinstance(stated, int | float) and stated >= UNSTATED):
        return None
    if not isinstance(stated, int) or isinstance(stated, bool) or stated < 1:
        raise UserError(
            f"{folder / 'tokenizer_config.json'}: model_max_length is {stated!r}, expected a number of tokens above 0:"
            " correct it, or remove the line to state no limit"
        )
    return stated


def _read_fast(path: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  (tokenizers raises bare Exception)
        _read_json(path)  # says it better when the file is missing or cut short
        raise UserError(
            f"{path} cannot be read by tokenizers {tokenizers.__version__} ({error}): expected what"
            " `Tokenizer.save` writes; save it again with this version, or install a newer tokenizers"
        ) from None


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path.parent} holds no {path.name}: expected a tokenizer folder with tokenizer.json and"
            " tokenizer_config.json, as a model on the Hub has; check the path"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: not JSON, or not UTF-8
        raise UserError(f"{path} is damaged ({error}): save or download it again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged (it holds no JSON object): save or download it again")
    return content


def _with_plain_merges(content: dict) -> dict:
    """Write a merge as `"a b"`: every `tokenizers` reads it, those before 0.20 read nothing else."""
    merges = content["model"].get("merges", [])
    if not any(" " in piece for merge in merges for piece in merge):
        content["model"] |= {"merges": [" ".join(merge) for merge in merges]} if merges else {}
    return content
