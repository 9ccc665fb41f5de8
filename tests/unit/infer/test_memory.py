from types import SimpleNamespace

import pytest
import torch
from torch import nn

from modernbert.infer.memory import _free_on_host, bytes_per_token, free_memory, is_out_of_memory, most_tokens
from modernbert.model.config import SIZES
from modernbert.model.encoder import Encoder
from support.narrow import WAYS, Narrow

CPU = torch.device("cpu")
MEMINFO = "MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:   20000000 kB\n"


def _write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_without_a_limit_it_is_what_the_kernel_calls_available(tmp_path):
    _write(tmp_path, {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"})
    assert _free_on_host(tmp_path) == 20_000_000 * 1024


@pytest.mark.parametrize("limited", ["", "pod/"], ids=["own group", "group above"])
def test_a_containers_limit_counts_wherever_it_is_set(tmp_path, limited):
    group = f"sys/fs/cgroup/{limited}"
    _write(tmp_path, {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/pod/app\n"})
    _write(tmp_path, {"sys/fs/cgroup/pod/app/memory.max": "max\n", "sys/fs/cgroup/pod/app/memory.current": "5\n"})
    _write(
        tmp_path,
        {
            f"{group}memory.max": "4000000\n",
            f"{group}memory.current": "3000000\n",
            f"{group}memory.stat": "anon 1\ninactive_file 500000\n",
        },
    )
    assert _free_on_host(tmp_path) == 1_500_000


def test_the_older_files_of_control_groups_are_read_too(tmp_path):
    _write(tmp_path, {"proc/meminfo": MEMINFO, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/1\n0::/\n"})
    folder = "sys/fs/cgroup/memory/docker/1"
    _write(tmp_path, {f"{folder}/memory.limit_in_bytes": "7000\n", f"{folder}/memory.usage_in_bytes": "6000\n"})
    assert _free_on_host(tmp_path) == 1000


def test_a_group_over_its_limit_has_nothing_free(tmp_path):
    _write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5\n"})
    _write(tmp_path, {"sys/fs/cgroup/memory.current": "9\n"})
    assert _free_on_host(tmp_path) == 0


def test_this_machine_tells():
    free = free_memory(CPU)
    assert free is not None
    assert free > 2**20


def test_a_device_that_does_not_tell_sets_no_bound():
    assert free_memory(torch.device("meta")) is None
    assert most_tokens(Narrow(1), CPU) is None


def test_a_batch_takes_at_most_half_of_what_is_free():
    model = Encoder(SIZES["tiny"])
    most = most_tokens(model, CPU)
    assert most is not None
    assert most * bytes_per_token(model) == pytest.approx(free_memory(CPU) / 2, rel=0.2)


def test_a_token_of_base_takes_what_the_benchmark_measured():
    """docs/benchmarks.md: 8,192 tokens in float32 add 355 MB."""
    model = nn.Linear(2, 2)
    model.config = SIZES["base"]
    assert 355e6 <= 8192 * bytes_per_token(model) <= 1.2 * 355e6
    assert bytes_per_token(model.to(torch.bfloat16)) * 2 == bytes_per_token(model.float())


def test_a_stock_config_tells_as_well():
    model = nn.Linear(2, 2)
    assert bytes_per_token(model) is None
    model.config = SimpleNamespace(hidden_size=10, intermediate_size=20)
    assert bytes_per_token(model) == 4 * 160


@pytest.mark.parametrize("way", WAYS)
def test_out_of_memory_is_known_by_what_it_says(way):
    assert is_out_of_memory(WAYS[way]())


def test_what_torch_really_says_on_this_machine_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), ValueError("out of memory")])
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)
