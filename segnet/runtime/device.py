"""The one decision of device, number format, threads and seeds.

The only module that imports `habana_frameworks`. TensorFlow is imported in
functions, since the order matters on a Gaudi: environment -> TensorFlow ->
the bridge, before any operation or device query -> Keras policy -> seeds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import warnings
from collections.abc import Callable
from types import ModuleType

from segnet import environment
from segnet.errors import ConfigError
from segnet.progress import hidden_output
from segnet.runtime import hardware

__all__ = [
    "Runtime",
    "prepare_environment",
    "prepare_xla",
    "quiet_tensorflow",
    "resolve_device",
    "resolve_precision",
    "setup_runtime",
]

# What the bridge, habana-tensorflow 1.14, accepts.
_HPU_TENSORFLOW = "2.15.0"
# No oneDNN rewrites of operations that the bridge is to take; control edges
# are no obstacle to clusters (as in Habana's own custom training loops).
_HPU_ENVIRONMENT = {
    "TF_DISABLE_MKL": "1",
    "TF_ALLOW_CONTROL_EDGES_IN_HABANA_OPS": "1",
}
_BF16_VARIABLE = "TF_BF16_CONVERSION"
_POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}
_THREAD_VARIABLES = {"TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"}


@dataclasses.dataclass(frozen=True)
class Runtime:
    """What a process computes on, and how.

    Attributes:
      device: `cpu`, `gpu` or `hpu`.
      device_name: For `tf.device`: variables and steps go there.
      precision: `float32`, `bfloat16` or `float16`, of the layers; logits,
        loss and metrics are float32 in any case.
    """

    device: str
    device_name: str
    precision: str

    @property
    def compiles_parts(self) -> bool:
        """Whether XLA may compile a part of a graph: tried on CPUs alone."""
        return self.device == "cpu"

    @property
    def needs_static_shapes(self) -> bool:
        """Whether each new shape is compiled, which takes a Gaudi minutes."""
        return self.device == "hpu"


@functools.cache
def prepare_xla() -> None:
    """Lets XLA compile something small, once a process.

    It announces its first compilation whatever the log level is.
    """
    tf = _tensorflow()
    with tf.device("/device:CPU:0"), hidden_output():
        tf.function(tf.negative, autograph=False, jit_compile=True)(
            tf.zeros([])
        )


def _print_warning(message: str) -> None:
    print(f"segnet: {message}", file=sys.stderr)


def quiet_tensorflow() -> None:
    """Keeps TensorFlow, oneDNN and tensorflow-addons from logging noise.

    To be called before TensorFlow is imported. What the user has set
    (`TF_CPP_MIN_LOG_LEVEL`, `PYTHONWARNINGS`) wins.
    """
    environment.prepare_tensorflow()
    if not sys.warnoptions:
        warnings.filterwarnings(
            "ignore", r"\s*TensorFlow Addons", category=UserWarning
        )


def _tensorflow() -> ModuleType:
    quiet_tensorflow()
    import tensorflow

    return tensorflow


def prepare_environment(device: str) -> None:
    """Sets the environment variables that must precede TensorFlow's import.

    Args:
      device: `auto`, `cpu`, `gpu` or `hpu`; for a HPU there are some more.
        What the user has set wins.
    """
    quiet_tensorflow()
    if device == "hpu" or (device == "auto" and hardware.hpu_problem() is None):
        for name, value in _HPU_ENVIRONMENT.items():
            os.environ.setdefault(name, value)


def resolve_device(
    device: str, warn: Callable[[str], None] = _print_warning
) -> str:
    """Turns `--device` into `cpu`, `gpu` or `hpu`.

    Args:
      device: `auto`, `cpu`, `gpu` or `hpu`. `auto` takes the first that can be
        used of HPU, GPU and CPU.
      warn: Called with one line where `auto` passes over a Gaudi that is
        there but cannot be used, so that nobody trains on a CPU unawares.

    Raises:
      ConfigError: If the device asked for cannot be used.
    """
    if device in ("auto", "hpu"):
        problem = hardware.hpu_problem()
        if problem is None:
            return "hpu"
        if device == "hpu":
            raise ConfigError(f"--device=hpu: {problem}; or use --device=cpu")
        if hardware.find_hpu_hardware():
            warn(f"--device=auto goes on without the HPU: {problem}")
    if device == "cpu":
        return "cpu"
    tf = _tensorflow()
    if tf.config.list_physical_devices("GPU"):
        return "gpu"
    if device == "gpu":
        problem = hardware.gpu_problem(tf.test.is_built_with_cuda())
        raise ConfigError(
            f"--device=gpu: TensorFlow sees no GPU: {problem}; or use "
            "--device=cpu (TF_CPP_MIN_LOG_LEVEL=0 shows TensorFlow's own log)"
        )
    return "cpu"


def resolve_precision(precision: str, device: str) -> str:
    """Turns `--precision` into `float32`, `bfloat16` or `float16`.

    Args:
      precision: One of these or `auto`: bfloat16 where the hardware has it,
        else float32.
      device: `cpu`, `gpu` or `hpu`.

    Raises:
      ConfigError: If the device cannot compute in that format, or if the
        bridge is told to convert to bfloat16 as well (TF_BF16_CONVERSION).
    """
    if precision == "float16" and device != "gpu":
        raise ConfigError(
            f"--precision=float16 is for GPUs; with --device={device} use "
            "--precision=bfloat16"
        )
    if device == "hpu":
        return _hpu_precision(precision)
    if precision == "auto":
        return "bfloat16" if _has_bfloat16(device) else "float32"
    if (precision, device) == ("bfloat16", "gpu") and not _has_bfloat16("gpu"):
        raise ConfigError(
            "--precision=bfloat16 needs a GPU of compute capability 8.0 or "
            "more; use --precision=float16"
        )
    return precision


def _hpu_precision(precision: str) -> str:
    # Policy or conversion by the bridge, never both: the user's variable
    # decides for `auto`, and contradicts an explicit bfloat16.
    conversion = os.environ.get(_BF16_VARIABLE, "0")
    if conversion in ("", "0"):
        return "bfloat16" if precision == "auto" else precision
    if precision == "bfloat16":
        raise ConfigError(
            f"{_BF16_VARIABLE}={conversion} converts the graph and "
            "--precision=bfloat16 the layers: unset the variable, or give "
            "--precision=float32 to let it decide"
        )
    return "float32"


def _has_bfloat16(device: str) -> bool:
    """Whether the hardware computes in bfloat16; of a GPU unknown is yes."""
    if device == "cpu":
        return hardware.cpu_has_bfloat16()
    config = _tensorflow().config
    capabilities = [
        config.experimental.get_device_details(gpu).get("compute_capability")
        for gpu in config.list_physical_devices("GPU")
    ]
    return all(found is None or found >= (8, 0) for found in capabilities)


def setup_runtime(
    device: str = "auto",
    precision: str = "auto",
    *,
    seed: int = 0,
    deterministic: bool = False,
    local_rank: int = 0,
    local_size: int = 1,
    warn: Callable[[str], None] = _print_warning,
) -> Runtime:
    """Makes this process ready to compute; to be called before any operation.

    May be called again with the same device; threads stay as they were.

    Args:
      device: As for `resolve_device`.
      precision: As for `resolve_precision`.
      seed: Of Python's, NumPy's and TensorFlow's generators; not negative.
      deterministic: Whether to ask for bit-identical results; slower. It
        cannot be taken back within a process.
      local_rank: Number of this process on its host; picks a GPU, not an HPU.
      local_size: Processes on this host; they share its CPU cores.
      warn: As for `resolve_device`.

    Raises:
      ConfigError: If the device or the precision cannot be used.
    """
    prepare_environment(device)
    device = resolve_device(device, warn)
    tf = _tensorflow()
    if device == "hpu":
        _load_hpu(tf)
    else:
        try:
            if device == "gpu":
                _take_gpu(tf, local_rank)
            else:
                _hide_gpus(tf)
        except RuntimeError:  # TensorFlow has computed before.
            raise ConfigError(
                f"--device={device}: this process computes on another device "
                "already; start a new one"
            ) from None
    if device == "cpu":
        hardware.share_heap()
        _share_cpu(tf, local_size)
    _reset_keras(tf)
    precision = resolve_precision(precision, device)
    tf.keras.mixed_precision.set_global_policy(_POLICIES[precision])
    tf.keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    return Runtime(
        device=device,
        device_name=f"/device:{device.upper()}:0",
        precision=precision,
    )


def _reset_keras(tf: ModuleType) -> None:
    """Undoes what a keras.json says, where it was read before we came."""
    tf.keras.backend.set_image_data_format("channels_last")
    tf.keras.backend.set_floatx("float32")
    tf.keras.backend.set_epsilon(1e-7)


def _load_hpu(tf: ModuleType) -> None:
    """Loads the Gaudi bridge and checks that it brought a device."""
    if tf.__version__ != _HPU_TENSORFLOW:
        raise ConfigError(
            f"--device=hpu: habana-tensorflow needs TensorFlow "
            f"{_HPU_TENSORFLOW}, not {tf.__version__}: in a fresh environment "
            "pip install -r requirements/hpu.txt"
        )
    try:
        from habana_frameworks.tensorflow import load_habana_module

        load_habana_module()
    except Exception as error:  # The bridge raises all kinds, even plain ones.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"--device=hpu: habana-tensorflow cannot be loaded ({reason}); "
            "its version must fit the driver's (hl-smi shows that); or use "
            "--device=cpu"
        ) from error
    if not tf.config.list_physical_devices("HPU"):
        raise ConfigError(
            "--device=hpu: habana-tensorflow is loaded but offers no device; "
            "hl-smi shows whether another process holds every card"
        )


def _hide_gpus(tf: ModuleType) -> None:
    if tf.config.get_visible_devices("GPU"):
        tf.config.set_visible_devices([], "GPU")


def _take_gpu(tf: ModuleType, local_rank: int) -> None:
    """One GPU for each local rank, and no more memory than needed."""
    gpus = tf.config.list_physical_devices("GPU")
    if local_rank >= len(gpus):
        raise ConfigError(
            f"--device=gpu: process {local_rank + 1} of this host finds "
            f"{len(gpus)} GPUs; start at most one process for each"
        )
    tf.config.experimental.set_memory_growth(gpus[local_rank], True)
    tf.config.set_visible_devices(gpus[local_rank], "GPU")


def _share_cpu(tf: ModuleType, local_size: int) -> None:
    """Splits the cores among the local ranks."""
    if local_size <= 1 or _THREAD_VARIABLES & os.environ.keys():
        return
    num_threads = hardware.share_of_cores(local_size)
    threading = tf.config.threading
    # Once operations have run it stays as it is.
    with contextlib.suppress(RuntimeError):
        threading.set_intra_op_parallelism_threads(num_threads)
        threading.set_inter_op_parallelism_threads(num_threads)
