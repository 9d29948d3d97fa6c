"""What this machine has to compute with, found by looking at files.

No TensorFlow, and no device is touched: a Gaudi's bridge ends the
process when it finds no card, so this has to be known before it is loaded.
"""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import re
from pathlib import Path

from segnet.constants import num_cores

__all__ = [
    "cpu_gains_from_filtering",
    "cpu_has_bfloat16",
    "find_hpu_hardware",
    "gpu_problem",
    "hpu_problem",
    "share_heap",
    "share_of_cores",
]

# Where the habanalabs driver shows its cards: kernel class, then the device
# nodes of the newer and of the older driver.
HPU_DEVICE_GLOBS = (
    "/sys/class/accel/accel*",
    "/dev/accel/accel*",
    "/dev/hl*",
)
# Replaces HPU_DEVICE_GLOBS (tests with a simulated device).
HPU_GLOB_VARIABLE = "SEGNET_HPU_DEVICE_GLOB"
# Other makers' accelerators share /dev/accel; this tells them apart.
ACCEL_CLASS_DIR = "/sys/class/accel"
CPU_INFO = "/proc/cpuinfo"
NVIDIA_DRIVER = "/proc/driver/nvidia/version"

_CPU_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_FILTERING_FLAG, _MATRIX_FLAG = "avx512_bf16", "amx_tile"
# `mallopt`'s number for the most heaps (glibc's malloc.h).
_M_ARENA_MAX = -8
# Set by Open MPI's mpirun when it pins each process to its own cores.
_BOUND_VARIABLE = "OMPI_MCA_orte_bound_at_launch"


def find_hpu_hardware() -> list[str]:
    """Paths by which the driver shows Gaudi cards; empty without any.

    Looks at files only, since the bridge ends the process when it finds no
    card. The environment variable SEGNET_HPU_DEVICE_GLOB replaces the places
    (for a simulated device).
    """
    override = os.environ.get(HPU_GLOB_VARIABLE)
    patterns = (override,) if override else HPU_DEVICE_GLOBS
    paths = [path for pattern in patterns for path in glob.glob(pattern)]
    return sorted(path for path in paths if _may_be_gaudi(path))


def _may_be_gaudi(path: str) -> bool:
    """False for an accelerator that the kernel says another driver owns."""
    name = os.path.basename(path).replace("accel_controlD", "accel")
    driver = os.path.join(ACCEL_CLASS_DIR, name, "device", "driver")
    if not os.path.exists(driver):
        return True
    return os.path.basename(os.path.realpath(driver)).startswith("habana")


def hpu_problem() -> str | None:
    """Why the HPU cannot be used, with the remedy; None if it can.

    Needs no TensorFlow and does not import the bridge, which patches Keras.
    """
    paths = find_hpu_hardware()
    if not paths:
        return (
            f"no Gaudi here (looked for {', '.join(HPU_DEVICE_GLOBS)}); load "
            "the habanalabs driver, in a container start it with "
            "--runtime=habana"
        )
    # The kernel class is visible in a container without its device nodes,
    # and the bridge would end the process there.
    nodes = [path for path in paths if not path.startswith("/sys/")]
    if not any(os.access(path, os.R_OK | os.W_OK) for path in nodes):
        return (
            f"the driver is there ({paths[0]}) but no device that this "
            "process may open; start the container with --runtime=habana, or "
            "get read and write access to "
            f"{nodes[0] if nodes else HPU_DEVICE_GLOBS[1]}"
        )
    spec = importlib.util.find_spec("habana_frameworks")
    folders = spec.submodule_search_locations if spec else None
    # The PyTorch bridge has the same top-level package.
    if not any(Path(path, "tensorflow").is_dir() for path in folders or ()):
        return (
            f"a Gaudi is there ({paths[0]}) but the package habana-tensorflow "
            "is not; with Python 3.10: "
            "pip install -r requirements/hpu.txt"
        )
    return None


def cpu_has_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions (x86 or ARM)."""
    return not _CPU_BF16_FLAGS.isdisjoint(_cpu_flags())


def cpu_gains_from_filtering() -> bool:
    """Whether kernel gradients by minimal filtering are faster on this CPU.

    What `models.create_model` takes as `filtered_gradient`. Yes where it was
    measured to be: with AVX-512 (15 in place of 21 ms for 512 channels). No
    with AMX, whose own kernel gradient leaves nothing to gain (10.5 in place of
    10.0 ms an image for `configs/camvid.flags`), nor where nothing is measured.
    """
    flags = _cpu_flags()
    return _FILTERING_FLAG in flags and _MATRIX_FLAG not in flags


def _cpu_flags() -> set[str]:
    """What Linux says that this CPU has; empty elsewhere."""
    try:
        text = Path(CPU_INFO).read_text(encoding="utf-8")
    except OSError:
        return set()
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(flags[1].split()) if flags else set()


def gpu_problem(built_with_cuda: bool) -> str:
    """The first thing found missing on the way to a GPU, with the remedy.

    Args:
      built_with_cuda: What `tf.test.is_built_with_cuda()` says.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not built_with_cuda:
        return (
            "this TensorFlow is built without CUDA (tensorflow-cpu); "
            "pip install -r requirements.txt in a fresh environment"
        )
    if visible is not None and visible.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={visible!r} hides all of them; unset it"
    if not os.path.exists(NVIDIA_DRIVER):
        return (
            f"no NVIDIA driver is loaded (no {NVIDIA_DRIVER}); install it, in "
            "a container start it with --gpus=all"
        )
    return (
        "the NVIDIA driver is loaded but the CUDA libraries are not found; "
        "pip install 'tensorflow[and-cuda]==2.15.0.post1'"
    )


def share_of_cores(local_size: int) -> int:
    """CPU cores for each of `local_size` processes of this host.

    The ones that the launcher has pinned this process to, if it has; else an
    even share of those it may use.
    """
    if os.environ.get(_BOUND_VARIABLE):
        return num_cores()
    return max(1, num_cores() // local_size)


def share_heap() -> bool:
    """Keeps the C library from giving each thread a heap of its own.

    What one thread frees another one cannot use then: 60 steps of
    `configs/demo.flags` on two cores took 987 MB in place of 865, and no less
    time. Returns whether there is a glibc that does it.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    except (AttributeError, OSError):  # another C library
        return False
