"""What `horovodrun` or `mpirun` says of this process, before Horovod starts.

Standard library only: a Gaudi and a GPU are picked by it before TensorFlow
runs anything.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from segnet.errors import ConfigError

__all__ = ["Launched", "launched"]

# Rank, size, rank on the host, processes on the host: as set by horovodrun, by
# Open MPI's mpirun, and by that of MPICH and Intel MPI.
_VARIABLES = (
    (
        "HOROVOD_RANK",
        "HOROVOD_SIZE",
        "HOROVOD_LOCAL_RANK",
        "HOROVOD_LOCAL_SIZE",
    ),
    (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)


@dataclasses.dataclass(frozen=True)
class Launched:
    """What the launcher says of this process, known before Horovod starts.

    Attributes:
      rank: Number of this process, from 0.
      size: Number of processes.
      local_rank: Number of this process on its host, from 0.
      local_size: Number of processes on this host.
      elastic: Whether the number of processes may change.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    elastic: bool = False


def launched(environment: Mapping[str, str] | None = None) -> Launched:
    """Reads what `horovodrun` or `mpirun` says of this process.

    Args:
      environment: Environment variables; this process's by default.

    Returns:
      Rank 0 of 1 where there is no launcher.

    Raises:
      ConfigError: If the variables make no sense.
    """
    environment = os.environ if environment is None else environment
    for names in _VARIABLES:
        if names[1] not in environment:
            continue
        values = []
        for name, default in zip(names, (0, 1, 0, 1), strict=True):
            text = environment.get(name, str(default))
            if not text.isdecimal():
                raise ConfigError(
                    f"the environment variable {name}={text!r} is not a "
                    "number; unset it or start through horovodrun or mpirun"
                )
            values.append(int(text))
        rank, size, local_rank, local_size = values
        if rank >= size:
            raise ConfigError(
                f"the environment says {names[0]}={rank} of "
                f"{names[1]}={size}; start through horovodrun or mpirun"
            )
        elastic = environment.get("HOROVOD_ELASTIC") == "1"
        return Launched(rank, size, local_rank, local_size, elastic)
    return Launched()
