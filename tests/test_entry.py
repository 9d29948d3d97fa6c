"""Programs under streams, signals and interpreters as they can be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LATE = "the work goes on"


def run(body: str, redirect: str = "", **environment: str):
    """Runs a program `x` whose main has this body, in a shell."""
    code = (
        "import os, sys, time\n"
        "from segnet import entry\n"
        f"def main(argv):\n    {body}\n"
        "sys.exit(entry.run('x', main, stopped='half done'))\n"
    )
    return subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirect}', sys.executable, code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_ascii_stream_gets_every_name(unbuffered):
    done = run(
        "print('véhicule', os.fsdecode(b'caf\\xe9')); return 0",
        PYTHONIOENCODING="ascii:strict",
        PYTHONUNBUFFERED=unbuffered,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "v\\xe9hicule caf\\udce9\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("redirect", "status"),
    [
        (">/dev/full", 1),
        (">&-", 0),
        ("2>&-", 0),
        ("<&- >&- 2>&-", 0),
        ("| true", 0),
    ],
)
def test_the_work_is_done_whatever_becomes_of_the_output(
    tmp_path, unbuffered, redirect, status
):
    """Nor does the output go into a file that gets a free descriptor."""
    path = tmp_path / "result"
    redirect += "; exit ${PIPESTATUS[0]}"
    done = run(
        f"file = open({str(path)!r}, 'w'); time.sleep(0.1)\n"
        "    for _ in range(3): print('line ' * 5000, flush=True)\n"
        "    print('noise', file=sys.stderr)\n"
        "    file.write('done'); file.close(); return 0",
        redirect,
        PYTHONUNBUFFERED=unbuffered,
    )
    assert path.read_text() == "done"
    assert done.returncode == status, done.stderr
    lines = [line for line in done.stderr.splitlines() if line != "noise"]
    assert len(lines) == status
    if status:
        assert "x: standard output cannot be written (No space" in lines[0]


def test_output_that_is_lost_at_the_end_is_noticed_too():
    done = run("sys.stdout.write('half a line'); return 0", ">/dev/full")
    assert done.returncode == 1
    assert LATE in done.stderr
    done = run("sys.stdout.write('half'); return 2", ">/dev/full 2>/dev/full")
    assert done.returncode == 2


def test_a_pipe_that_does_not_block_gets_everything():
    done = run(
        "os.set_blocking(1, False); print('x' * 300000); return 0",
        "| (sleep 0.2; wc -c)",
    )
    assert done.stdout.split() == ["300001"]
    assert done.stderr == ""


def test_nothing_printed_gives_orders_to_a_terminal():
    r"""But for \n, \r and \t, which bars and tables are made of."""
    done = run(
        r"print('a\x1b[2Jb\u202ec\x07d\x9be\tf'); "
        r"sys.stderr.write('\r\u2066x\u200bä😀\n'); return 0"
    )
    assert done.stdout == "a\\x1b[2Jb\\u202ec\\x07d\\x9be\tf\n"
    assert done.stderr.lstrip("\r\n") == "\\u2066x\\u200bä😀\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import no_such_package.part", "no_such_package is not installed"),
        ("raise ImportError('\\n\\nABI 7', name='numpy.core')",
         "numpy cannot be loaded (ABI 7); if memory is not short, run"),
        ("raise MemoryError", "out of memory"),
        ("open('/no/such')", "/no/such: No such file or directory"),
    ],
)  # fmt: skip
def test_what_the_machine_lacks_is_one_line(body, words):
    done = run(body)
    assert done.returncode == 1
    assert done.stderr.startswith("x: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "body", ["import segnet.nothing", "return [][0]", "raise OSError('odd')"]
)
def test_a_defect_keeps_its_traceback(body):
    done = run(body)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("setting", ["error", "error::UserWarning,default"])
def test_warnings_of_libraries_do_not_end_it(setting):
    done = run(
        "import warnings; warnings.warn('old'); print('done'); return 0",
        PYTHONWARNINGS=setting,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_an_exit_of_argparse_keeps_its_status():
    assert run("sys.exit(2)").returncode == 2
    assert run("sys.exit()").returncode == 0


@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")],
)
def test_a_signal_ends_it_at_once_with_one_line(number, word):
    """Where an exception would be printed and forgotten, too."""
    done = run(
        f"class Odd:\n        def __del__(self): os.kill(os.getpid(), {number})"
        "\n    print('before')\n    del [Odd()][0]; time.sleep(30); return 0"
    )
    assert done.returncode == 128 + number
    assert done.stderr == f"x: {word}: half done\n"
    assert done.stdout == "before\n"


def test_a_signal_that_is_ignored_stays_ignored():
    body = "os.kill(os.getpid(), 2); print('on'); return 0"
    code = 'trap \'\' INT; exec "$0" -c "$1"'
    done = subprocess.run(
        ["bash", "-c", code, sys.executable,
         "import os, sys\nfrom segnet import entry\n"
         f"def main(argv): {body}\nsys.exit(entry.run('x', main))"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "on\n")


def test_a_forked_process_ends_without_a_word():
    done = run(
        "child = os.fork()\n"
        "    if not child: time.sleep(9); os._exit(1)\n"
        # Python forgets a signal that comes while it forks.
        "    time.sleep(0.2); os.kill(child, 15)\n"
        "    _, status = os.waitpid(child, 0)\n"
        "    print(os.waitstatus_to_exitcode(status)); return 0"
    )
    assert (done.stdout, done.stderr) == ("143\n", "")
