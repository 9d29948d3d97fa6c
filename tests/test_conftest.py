"""What the tests share must itself be right."""

from __future__ import annotations

import conftest


def test_what_the_shell_exports_does_not_reach_the_tests():
    kept = {"PATH": "/bin", "COVERAGE_PROCESS_CONFIG": "x", "TMPDIR": "/t"}
    exported = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_USE_LEGACY_KERAS": "1",
        "PYTHONWARNINGS": "error",
        "CUDA_VISIBLE_DEVICES": "0",
        "OMPI_COMM_WORLD_RANK": "1",
        "LC_ALL": "C",
        "COLUMNS": "40",
        "NO_COLOR": "1",
    }
    environment = kept | exported
    conftest.clean_environment(environment)
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_HOME": "/dev/null/keras"}
    assert environment == kept | quiet
