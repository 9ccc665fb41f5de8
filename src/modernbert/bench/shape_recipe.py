"""A pre-training recipe for a new shape: the shipped one for the most similar size, with the shape in its place."""

import re
from collections.abc import Sequence
from math import log
from pathlib import Path

from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import linear_flops_per_token, num_parameters
from modernbert.train.config import Continue
from modernbert.train.recipes import Shipped, read_recipe, shipped


def write_recipe(shape: ModelConfig, path: Path, *, made_for: Sequence[str]) -> str:
    """Write the recipe, and return the name of the shipped one that everything but the shape is from.

    Args:
        shape: layers, widths and vocabulary; all else of a model stays as it is for every size.
        path: a new .yaml file.
        made_for: the devices, for the comment on top.

    Raises:
        UserError: the file is there, or its name is no recipe's.
    """
    check_new(path)
    template = nearest_recipe(shape)
    text = recipe_text(shape, template, path.name, made_for)
    with write_atomically(path, "w") as file:
        file.write(text)
    return template.name


def check_new(path: Path) -> None:
    """Whether a recipe can be written there.

    Raises:
        UserError: the file is there, or its name is no recipe's.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(f"{path}: found {path.suffix or 'no ending'!r}, expected a name that ends in .yaml")
    if path.exists():
        raise UserError(f"{path} is there already: choose another name, or move it away")


def nearest_recipe(shape: ModelConfig) -> Shipped:
    """The shipped recipe of the named size whose work for a token is nearest, by factors."""
    fitting = []
    for recipe in shipped():
        found = None if recipe.is_overlay else read_recipe([recipe.path])
        if found is not None and isinstance(found.model, str) and not isinstance(found.start, Continue):
            fitting.append((recipe, SIZES[found.model]))
    return min(fitting, key=lambda pair: abs(log(linear_flops_per_token(pair[1]) / linear_flops_per_token(shape))))[0]


def recipe_text(shape: ModelConfig, template: Shipped, file_name: str, made_for: Sequence[str]) -> str:
    """The template's YAML with its comments, but for the model, the run's folder and the weights it starts from."""
    name = f"{shape.num_hidden_layers}x{shape.hidden_size}x{shape.intermediate_size}"
    text = re.sub(r"\A(#.*\n)+", "", template.path.read_text(encoding="utf-8"))
    text = re.sub(r"^start:\n(?:[ ]+.*\n)+\n?", "", text, flags=re.MULTILINE)  # a new shape has nothing to start from
    text = re.sub(r"^model: .*$", _model(shape), text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^run: .*$", f"run: runs/{name}", text, count=1, flags=re.MULTILINE)
    return (
        f"# {shape.num_hidden_layers} layers of {shape.hidden_size}, {num_parameters(shape) / 1e6:.1f}M parameters,"
        f" designed for {', '.join(made_for)}.\n"
        f"# Everything but the shape is from the recipe {template.name}, the nearest in size: rates may want a search.\n"
        f"# modernbert pretrain {file_name} --data.sources.web.path=data/web\n"
        f"{text}"
    )


def _model(shape: ModelConfig) -> str:
    """What differs from base, field by field."""
    fields = {
        "num_hidden_layers": shape.num_hidden_layers,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_attention_heads": shape.num_attention_heads,
    }
    lines = [f"  {name}: {value}" for name, value in fields.items()]
    if shape.vocab_size != ModelConfig().vocab_size:
        lines.append(f"  vocab_size: {shape.vocab_size}  # in the end that of the shards' tokenizer")
        lines.append("  pad_token_id: null")
    if shape.global_attn_every_n_layers != ModelConfig().global_attn_every_n_layers:
        lines.append(f"  global_attn_every_n_layers: {shape.global_attn_every_n_layers}")
    return "\n".join(["model:", *lines])
