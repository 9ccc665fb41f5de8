"""Which number format, and why."""

import pytest
import torch

from modernbert.model.precision import Precision, best_precision


@pytest.mark.parametrize(
    ("capabilities", "name", "reason"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "bfloat16", "this CPU has AMX-BF16"),
        ({"amx_bf16": False, "avx512_bf16": True}, "bfloat16", "this CPU has AVX512-BF16"),
        ({"amx_bf16": False, "avx512_bf16": False}, "float32",
         "this CPU has neither AVX512-BF16 nor AMX, and would emulate bfloat16 slowly"),
        ({"architecture": "aarch64"}, "float32",
         "this CPU has neither AVX512-BF16 nor AMX, and would emulate bfloat16 slowly"),
    ],
)  # fmt: skip
def test_a_cpu_takes_bfloat16_when_it_multiplies_it(capabilities, name, reason, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    precision = best_precision("cpu")
    assert (precision.name, precision.reason) == (name, reason)


@pytest.mark.parametrize(
    ("has_it", "name", "reason"),
    [
        (True, "bfloat16", "this GPU has bfloat16 tensor cores"),
        (False, "float32", "this GPU has no bfloat16 tensor cores"),
    ],
)
def test_a_gpu_takes_bfloat16_when_it_has_it_without_emulation(has_it, name, reason, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_it and not including_emulation)
    precision = best_precision(torch.device("cuda"))
    assert (precision.name, precision.reason) == (name, reason)


def test_another_device_takes_float32():
    assert best_precision("mps") == Precision(torch.float32, "bfloat16 is not proven on mps")


def test_this_machine_has_an_answer():
    assert best_precision().dtype in (torch.float32, torch.bfloat16)
