"""Linear layers behind an encoder, and the activations that folders name: sentence-transformers' and PyLate's `Dense`.

Shapes:  M rows   I width before   P width after
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modernbert.core.errors import CheckpointError, UnsupportedError
from modernbert.model.folder import weight_files
from modernbert.retrieval.folder import Step

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "torch.nn.modules.linear.Identity": nn.Identity,
    "torch.nn.modules.activation.Tanh": nn.Tanh,
    "torch.nn.modules.activation.Sigmoid": nn.Sigmoid,
    "torch.nn.modules.activation.ReLU": nn.ReLU,
    "torch.nn.modules.activation.GELU": nn.GELU,
    "torch.nn.modules.activation.SiLU": nn.SiLU,
}


class Dense(nn.Module):
    """A linear layer, an activation, and maybe the input once more. Computes in float32, after an encoder of any dtype."""

    def __init__(
        self,
        width: int,
        out: int,
        *,
        bias: bool = False,
        activation: str = "torch.nn.modules.linear.Identity",
        has_residual: bool = False,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(width, out, bias=bias)
        self.activation = activation
        self._activate = activation_of(activation, "activation_function")
        self.has_residual = has_residual
        if has_residual and width != out:
            self.residual = nn.Linear(width, out, bias=False)

    @classmethod
    def load(cls, step: Step) -> "Dense":
        """From a folder of such a step.

        Raises:
            CheckpointError: its files are missing or contradict each other.
            UnsupportedError: its activation is none of ours.
        """
        from safetensors.torch import load_file

        folder = step.folder or Path()
        sizes = step.settings.get("in_features"), step.settings.get("out_features")
        if not all(isinstance(size, int) for size in sizes):
            raise CheckpointError(f"{folder}: found in_features and out_features {sizes}, expected two whole numbers")
        layer = cls(
            *sizes,  # type: ignore[arg-type]
            bias=bool(step.settings.get("bias", True)),
            activation=str(step.settings.get("activation_function", "torch.nn.modules.activation.Tanh")),
            has_residual=bool(step.settings.get("use_residual", False)),
        )
        tensors: dict[str, Tensor] = {}
        for path in weight_files(folder):
            tensors |= load_file(path)
        try:
            layer.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise CheckpointError(f"{folder}: the weights are not those of its config.json ({said})") from None
        return layer.eval()

    def step(self, module_input_name: str) -> Step:
        """To be written."""
        settings: dict[str, object] = {
            "in_features": self.linear.in_features,
            "out_features": self.linear.out_features,
            "bias": self.linear.bias is not None,
            "activation_function": self.activation,
        }
        if module_input_name != "sentence_embedding":
            settings |= {"module_input_name": module_input_name, "module_output_name": module_input_name}
        if self.has_residual:
            settings["use_residual"] = True
        return Step(kind="Dense", settings=settings, tensors=self.state_dict())

    def forward(self, rows: Float[Tensor, "M I"]) -> Float[Tensor, "M P"]:
        """Row by row."""
        rows = rows.to(self.linear.weight.dtype)
        out_MP = self._activate(self.linear(rows))
        if not self.has_residual:
            return out_MP
        return out_MP + (self.residual(rows) if hasattr(self, "residual") else rows)


class Normalize(nn.Module):
    """Rows of length 1; one of zeros stays zeros."""

    def step(self, module_input_name: str) -> Step:
        """To be written."""
        is_token = module_input_name != "sentence_embedding"
        named = {"module_input_name": module_input_name, "module_output_name": module_input_name}
        return Step(kind="Normalize", settings=named if is_token else {})

    def forward(self, rows: Float[Tensor, "M P"]) -> Float[Tensor, "M P"]:
        """Row by row."""
        return torch.nn.functional.normalize(rows.float(), dim=-1)


def layers_of(steps: Iterable[Step]) -> list[Dense | Normalize]:
    """The layers among a folder's steps, in order.

    Raises:
        CheckpointError: as `Dense.load`, as is UnsupportedError.
    """
    kinds: dict[str, Callable[[Step], Dense | Normalize]] = {"Dense": Dense.load, "Normalize": lambda step: Normalize()}
    return [kinds[step.kind](step) for step in steps if step.kind in kinds]


def width_behind(layers: Iterable[nn.Module], width: int) -> int:
    """Numbers in a row behind the layers, of a row of `width` before them."""
    return [width, *(layer.linear.out_features for layer in layers if isinstance(layer, Dense))][-1]


def activation_of(name: str, where: str | Path) -> nn.Module:
    """What a folder means by `torch.nn.modules.activation.Tanh`. Names are looked up and never imported.

    Raises:
        UnsupportedError: it is none of those we know.
    """
    if name not in _ACTIVATIONS:
        known = ", ".join(each.rpartition(".")[2] for each in _ACTIVATIONS)
        raise UnsupportedError(
            f"{where}: found the activation {name!r}, expected one of torch's {known}: choose another"
        )
    return _ACTIVATIONS[name]()
