"""tools/discover_hosts.sh: hosts pass, what a shell would run does not."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "tools" / "discover_hosts.sh"


def discover(path):
    return subprocess.run(
        [SCRIPT],
        env={**os.environ, "SEGNET_HOSTS": str(path)},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_hosts_pass_and_comments_do_not(tmp_path):
    path = tmp_path / "my hosts.txt"
    path.write_bytes(
        b"# rack 1\nlocalhost:2\r\n\n  \n10.0.0.7:8\nnode-1.site_a:16"
    )
    result = discover(path)
    assert result.stdout == "localhost:2\n10.0.0.7:8\nnode-1.site_a:16\n"
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "$(touch {marker}):2",
        "`touch {marker}`:2",
        "localhost:2; touch {marker}",
        "-oProxyCommand=touch {marker}:1",
        "a b:2",
        "localhost",
        "localhost:many",
        "localhost:2:3",
        "local\x1b[31mhost:2",
        "localhost:123456",
    ],
)
def test_other_lines_are_left_out_and_named(tmp_path, line):
    marker, path = tmp_path / "marker", tmp_path / "hosts.txt"
    path.write_text(f"first:1\n{line.format(marker=marker)}\nlast:1\n")
    result = discover(path)
    assert result.stdout == "first:1\nlast:1\n"
    assert result.returncode == 0
    (said,) = result.stderr.splitlines()
    assert str(path) in said and "no host:slots line" in said
    assert "\x1b" not in said and not marker.exists()


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        result = discover(path)
        assert result.returncode == 1 and result.stdout == ""
        assert str(path) in result.stderr
