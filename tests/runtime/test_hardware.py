from __future__ import annotations

import os
import sys
import types

import pytest

from segnet.runtime import hardware


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without accelerators whose files are in a folder."""
    monkeypatch.delenv("SEGNET_HPU_DEVICE_GLOB", raising=False)
    monkeypatch.setattr(
        hardware,
        "HPU_DEVICE_GLOBS",
        (str(tmp_path / "class" / "accel*"), str(tmp_path / "dev" / "*")),
    )
    monkeypatch.setattr(hardware, "ACCEL_CLASS_DIR", str(tmp_path / "class"))
    (tmp_path / "dev").mkdir()
    (tmp_path / "class").mkdir()
    return tmp_path


def _add_driver(machine, card, driver):
    folder = machine / "class" / card / "device"
    folder.mkdir(parents=True)
    (machine / driver).mkdir(exist_ok=True)
    (folder / "driver").symlink_to(machine / driver)


def _add_package(machine, monkeypatch, bridge):
    package = machine / "packages" / "habana_frameworks"
    (package / bridge).mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(package.parent)


def test_no_hardware(machine):
    assert hardware.find_hpu_hardware() == []
    assert "no Gaudi here" in hardware.hpu_problem()


def test_finds_class_and_device_nodes(machine):
    _add_driver(machine, "accel0", "habanalabs")
    (machine / "dev" / "accel0").touch()
    (machine / "dev" / "accel_controlD0").touch()
    assert hardware.find_hpu_hardware() == [
        str(machine / "class" / "accel0"),
        str(machine / "dev" / "accel0"),
        str(machine / "dev" / "accel_controlD0"),
    ]


def test_accelerator_of_another_maker_is_no_hpu(machine):
    _add_driver(machine, "accel0", "intel_vpu")
    (machine / "dev" / "accel0").touch()
    (machine / "dev" / "accel_controlD0").touch()
    assert hardware.find_hpu_hardware() == []


def test_variable_replaces_the_places(machine, monkeypatch):
    (machine / "dev" / "hl0").touch()
    (machine / "other7").touch()
    monkeypatch.setenv("SEGNET_HPU_DEVICE_GLOB", str(machine / "other*"))
    assert hardware.find_hpu_hardware() == [str(machine / "other7")]


def test_class_without_device_node_cannot_be_used(monkeypatch):
    # As in a container that was started without the Habana runtime.
    monkeypatch.setattr(
        hardware, "find_hpu_hardware", lambda: ["/sys/class/accel/accel0"]
    )
    problem = hardware.hpu_problem()
    assert "/sys/class/accel/accel0" in problem
    assert "--runtime=habana" in problem


def test_node_without_permission_cannot_be_used(machine, monkeypatch):
    node = machine / "dev" / "hl0"
    node.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"read and write access to {node}" in hardware.hpu_problem()


@pytest.mark.parametrize("bridge", [None, "torch"])
def test_missing_package_names_the_remedy(machine, monkeypatch, bridge):
    (machine / "dev" / "hl0").touch()
    if bridge:  # Only the one for PyTorch.
        _add_package(machine, monkeypatch, bridge)
    problem = hardware.hpu_problem()
    assert "habana-tensorflow" in problem
    assert "pip install -r requirements/hpu.txt" in problem


def test_package_is_found_without_importing_it(machine, monkeypatch):
    (machine / "dev" / "hl0").touch()
    _add_package(machine, monkeypatch, "tensorflow")
    assert hardware.hpu_problem() is None
    assert "habana_frameworks" not in sys.modules


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags\t\t: fpu avx512f avx2\nbugs\t\t: bf16\n", False),
        ("", False),
    ],
)
def test_cpu_bfloat16(tmp_path, monkeypatch, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(hardware, "CPU_INFO", str(tmp_path / "cpuinfo"))
    assert hardware.cpu_has_bfloat16() is expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16", True),
        ("fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile", False),
        ("fpu avx2", False),
    ],
    ids=["AVX-512", "AMX", "AVX2"],
)
def test_filtering_is_for_cpus_that_gain(
    tmp_path, monkeypatch, flags, expected
):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(hardware, "CPU_INFO", str(tmp_path / "cpuinfo"))
    assert hardware.cpu_gains_from_filtering() is expected


def test_cpu_without_cpuinfo(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "CPU_INFO", str(tmp_path / "absent"))
    assert not hardware.cpu_has_bfloat16()
    assert not hardware.cpu_gains_from_filtering()


@pytest.mark.parametrize(
    ("cuda", "visible", "driver", "words"),
    [
        (False, None, True, "built without CUDA"),
        (True, "", True, "CUDA_VISIBLE_DEVICES='' hides"),
        (True, "-1", True, "CUDA_VISIBLE_DEVICES='-1' hides"),
        (True, "0", False, "no NVIDIA driver is loaded"),
        (True, None, True, "the CUDA libraries are not found"),
    ],
)
def test_gpu_problem(tmp_path, monkeypatch, cuda, visible, driver, words):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if driver:
        (tmp_path / "version").touch()
    monkeypatch.setattr(hardware, "NVIDIA_DRIVER", str(tmp_path / "version"))
    assert words in hardware.gpu_problem(cuda)


@pytest.mark.parametrize(
    ("cores", "local_size", "bound", "expected"),
    [
        (8, 1, "", 8),
        (8, 2, "", 4),
        (9, 2, "", 4),
        (2, 4, "", 1),
        (4, 2, "1", 4),
    ],
)
def test_share_of_cores(monkeypatch, cores, local_size, bound, expected):
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False
    )
    monkeypatch.setenv("OMPI_MCA_orte_bound_at_launch", bound)
    assert hardware.share_of_cores(local_size) == expected


def test_heap_is_shared_where_the_c_library_can(monkeypatch):
    asked = []
    library = types.SimpleNamespace(mallopt=lambda *it: asked.append(it) or 1)
    monkeypatch.setattr(hardware.ctypes, "CDLL", lambda name: library)
    assert hardware.share_heap()
    assert asked == [(-8, 1)]
    monkeypatch.setattr(hardware.ctypes, "CDLL", lambda name: object())
    assert not hardware.share_heap()
