"""Which number format a device computes ModernBERT fastest in, and why."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Precision:
    """A dtype and the reason it was chosen, for people."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        """The dtype's bare name, such as "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")


def best_precision(device: torch.device | str = "cpu") -> Precision:
    """bfloat16 where the hardware multiplies it, else float32.

    A CPU without bfloat16 units emulates it: 20 GFLOP/s against 95 in float32 on a Zen 3 core pair.
    ModernBERT was trained in bfloat16 autocast; float16 is not offered, because it overflows in fine-tuning.
    """
    device = torch.device(device)
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision(torch.bfloat16, "this GPU has bfloat16 tensor cores")
        return Precision(torch.float32, "this GPU has no bfloat16 tensor cores")
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        if capabilities.get("amx_bf16"):
            return Precision(torch.bfloat16, "this CPU has AMX-BF16")
        if capabilities.get("avx512_bf16"):
            return Precision(torch.bfloat16, "this CPU has AVX512-BF16")
        return Precision(torch.float32, "this CPU has neither AVX512-BF16 nor AMX, and would emulate bfloat16 slowly")
    return Precision(torch.float32, f"bfloat16 is not proven on {device.type}")
