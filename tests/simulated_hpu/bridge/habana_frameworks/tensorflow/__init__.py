"""Stand-in for `habana_frameworks.tensorflow`: registers the simulated HPU.

It is stricter than the real bridge: loading it after the first operation or
the first device query is an error. Each call of interest is added as one JSON
line to the file named by SIMULATED_HPU_CALLS:

* `import`, with the environment variables that the real bridge reads;
* `load_habana_module`;
* the TensorFlow calls of `_WATCHED`, with their arguments;
* `function`: a traced function, with the types and devices of its operations
  and the devices of the variables of floats that it uses.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.eager.polymorphic_function import atomic_function
from tensorflow.python.framework import load_library

__all__ = ["load_habana_module"]

_SUPPORTED_TENSORFLOW = "2.15.0"
_WATCHED = (
    (tf.config, "list_physical_devices"),
    (tf.config, "set_visible_devices"),
    (tf.config.experimental, "enable_op_determinism"),
    (tf.keras.mixed_precision, "set_global_policy"),
    (tf.keras.utils, "set_random_seed"),
)
_RANK_VARIABLES = ("HOROVOD_{}", "OMPI_COMM_WORLD_{}")
_loaded = False


def _record(call: str, **details: Any) -> None:
    path = os.environ.get("SIMULATED_HPU_CALLS")
    if not path:
        return
    line = {"call": call, "pid": os.getpid(), "rank": _rank("RANK"), **details}
    # One write to a file opened for appending: lines of ranks do not mix.
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _rank(what: str) -> int | None:
    for template in _RANK_VARIABLES:
        if template.format(what) in os.environ:
            return int(os.environ[template.format(what)])
    return None


def _watch(module: Any, name: str) -> None:
    original = getattr(module, name)

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        _record(name, args=[str(value) for value in (*args, *kwargs.values())])
        return original(*args, **kwargs)

    setattr(module, name, watched)


def _watch_tracing() -> None:
    original = atomic_function.from_func_graph

    @functools.wraps(original)
    def watched(name: Any, graph: Any, *args: Any, **kwargs: Any) -> Any:
        operations = graph.get_operations()
        _record(
            "function",
            name=name.decode() if isinstance(name, bytes) else name,
            types=sorted({operation.type for operation in operations}),
            devices=sorted({operation.device for operation in operations}),
            variables=sorted(
                {v.device for v in graph.variables if v.dtype.is_floating}
            ),
        )
        return original(name, graph, *args, **kwargs)

    atomic_function.from_func_graph = watched


def load_habana_module(allow_op_override: bool | None = None) -> None:
    """Registers the device `HPU`; a second call does nothing.

    Args:
      allow_op_override: As in the real one, where it concerns custom layers.

    Raises:
      RuntimeError: If TensorFlow has run an operation or listed devices.
    """
    global _loaded
    if _loaded:
        return
    if context.context()._initialized:
        raise RuntimeError("load_habana_module() after the first operation")
    if context.context()._physical_devices is not None:
        raise RuntimeError("load_habana_module() after a device query")
    if (_rank("SIZE") or 1) > 1:
        local_rank = str(_rank("LOCAL_RANK"))
        os.environ["ID"] = local_rank
        os.environ["HLS_MODULE_ID"] = local_rank
    load_library.load_pluggable_device_library(
        os.environ["SIMULATED_HPU_LIBRARY"]
    )
    _loaded = True
    _record("load_habana_module", module_id=os.environ.get("HLS_MODULE_ID"))
    for module, name in _WATCHED:
        _watch(module, name)
    _watch_tracing()


if tf.__version__ != _SUPPORTED_TENSORFLOW:
    raise ImportError(
        f"TensorFlow {_SUPPORTED_TENSORFLOW} is needed, not {tf.__version__}"
    )
_record(
    "import",
    environment={
        name: value
        for name, value in os.environ.items()
        if name.startswith(("TF_", "HABANA_"))
    },
    # Modules that ran before this one, to check what came first.
    horovod="horovod.tensorflow" in sys.modules,
)
