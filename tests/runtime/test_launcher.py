from __future__ import annotations

import pytest

from segnet.errors import ConfigError
from segnet.runtime import launcher


def test_no_launcher_is_rank_0_of_1():
    assert launcher.launched({}) == launcher.Launched(0, 1, 0, 1, False)


@pytest.mark.parametrize(
    "environment",
    [
        {
            "HOROVOD_RANK": "3",
            "HOROVOD_SIZE": "4",
            "HOROVOD_LOCAL_RANK": "1",
            "HOROVOD_LOCAL_SIZE": "2",
        },
        {
            "OMPI_COMM_WORLD_RANK": "3",
            "OMPI_COMM_WORLD_SIZE": "4",
            "OMPI_COMM_WORLD_LOCAL_RANK": "1",
            "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
        },
        {
            "PMI_RANK": "3",
            "PMI_SIZE": "4",
            "MPI_LOCALRANKID": "1",
            "MPI_LOCALNRANKS": "2",
        },
    ],
    ids=["horovodrun", "openmpi", "mpich"],
)
def test_launchers(environment):
    assert launcher.launched(environment) == launcher.Launched(3, 4, 1, 2)


def test_horovodrun_goes_before_mpirun():
    # horovodrun may itself use mpirun.
    launch = launcher.launched(
        {
            "OMPI_COMM_WORLD_SIZE": "8",
            "HOROVOD_RANK": "1",
            "HOROVOD_SIZE": "2",
        }
    )
    assert (launch.rank, launch.size) == (1, 2)


def test_elastic():
    launch = launcher.launched(
        {"HOROVOD_RANK": "0", "HOROVOD_SIZE": "1", "HOROVOD_ELASTIC": "1"}
    )
    assert launch.elastic


def test_reads_this_process_by_default(monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "1")
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    assert launcher.launched().rank == 1


@pytest.mark.parametrize("size", ["", "two", "-2", "1.5"])
def test_size_that_is_no_number(size):
    with pytest.raises(ConfigError, match=f"HOROVOD_SIZE='{size}' is not a"):
        launcher.launched({"HOROVOD_RANK": "0", "HOROVOD_SIZE": size})


def test_rank_outside_of_size():
    with pytest.raises(ConfigError, match="HOROVOD_RANK=2 of HOROVOD_SIZE=2"):
        launcher.launched({"HOROVOD_RANK": "2", "HOROVOD_SIZE": "2"})
