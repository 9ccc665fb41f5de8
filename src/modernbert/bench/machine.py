"""What this machine is and what it will use; for `doctor`, and as the record beside every benchmark."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version

import torch

from modernbert.core.cores import cores
from modernbert.model.precision import best_precision
from modernbert.ops.attention import choose, why_not
from modernbert.ops.native.build import PACKAGED
from modernbert.ops.native.library import library
from modernbert.ops.native.library import why_not as no_library
from modernbert.ops.roofline import matmul_rate

_PACKAGES = (
    "modernbert", "torch", "tokenizers", "safetensors", "numpy", "transformers", "sentence-transformers", "peft",
    "onnx", "onnxruntime", "openvino", "torch-optimi", "matplotlib",
)  # fmt: skip
_BACKENDS = ("varlen", "flex", "native", "blocked", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts, and the choices that follow from them."""

    cpu: str
    cores: int
    """Cores this process may use."""
    threads: int
    """Threads torch uses."""
    device: str
    dtype: str
    dtype_reason: str
    attention: str
    """The backend that `auto` takes."""
    backends: dict[str, str]
    """Each backend, and "usable" or why not."""
    kernels: str
    """Which of the package's own CPU kernels run and where they come from, or why there are none."""
    gflops: float
    """Measured matrix-multiply rate in that dtype, GFLOP/s."""
    python: str
    packages: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def line(self, load_before: float | None = None) -> str:
        """For a page of figures: today, what measured them, how busy it was before, and the packages.

        Args:
            load_before: the machine's load average when the measuring began.
        """
        load = [] if load_before is None else [f"load before {load_before:.1f}"]
        return " · ".join(
            [
                date.today().isoformat(),
                self.device,
                self.cpu,
                f"{self.cores} cores",
                f"{self.threads} threads",
                *load,
                f"{self.gflops:,.0f} GFLOP/s",
                f"Python {self.python}",
                *(f"{name} {number}" for name, number in self.packages.items()),
            ]
        )

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"device      {self.device}: {self.cpu}, {self.cores} cores, {self.threads} threads",
            f"dtype       {self.dtype}: {self.dtype_reason}",
            f"matmul      {self.gflops:,.0f} GFLOP/s measured",
            f"attention   {self.attention}",
            *(f"            {name:10} {state}" for name, state in self.backends.items()),
            f"kernels     {self.kernels}",
            f"python      {self.python}",
            *(f"            {name:14} {number}" for name, number in self.packages.items()),
        ]


def examine(packages: Sequence[str] = _PACKAGES) -> Machine:
    """Look at this machine, and which of the packages are installed; takes about half a second, for the matrix rate."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = best_precision(device)
    problems = {name: why_not(name, device, precision.dtype, head_size=64) for name in _BACKENDS}
    return Machine(
        cpu=torch.cuda.get_device_name() if device.type == "cuda" else _cpu_name(),
        cores=len(cores()),
        threads=torch.get_num_threads(),
        device=device.type,
        dtype=precision.name,
        dtype_reason=precision.reason,
        attention=choose(device, precision.dtype, 64),
        backends={name: problem or "usable" for name, problem in problems.items()},
        kernels=_kernels(),
        gflops=matmul_rate(precision.dtype, device.type) / 1e9,
        python=platform.python_version(),
        packages={name: number for name in packages if (number := _version(name))},
    )


def _kernels() -> str:
    found = library()
    if found is None:
        return f"none: {no_library()}"
    origin = "built with the package" if found.path.parent == PACKAGED else f"compiled here, {found.path}"
    return f"{found.variant}: {origin}"


def _cpu_name() -> str:
    name = torch.cpu.get_capabilities().get("cpu_name")
    return str(name or platform.processor() or platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
