"""The data service: its batches are those of the run, whatever dies."""

from __future__ import annotations

import contextlib
import socket

import numpy as np
import pytest
import tensorflow as tf
from conftest import run_flags

import main
from segnet.config import Config
from segnet.config.schedule import create_schedule
from segnet.config.validate import parse_service
from segnet.data import datasets, dispatcher, servers, service, sources
from segnet.errors import ConfigError, DataError, RunError
from segnet.records.splits import read_manifest
from tools import data_service

SIZE = {"input_height": 32, "input_width": 48}


@pytest.fixture(scope="module")
def address():
    """Of a service with two workers, in this process."""
    server, port = servers.start_dispatcher(0)
    place = f"localhost:{port}"
    workers = [servers.start_worker(place)[0] for _ in range(2)]
    yield place
    del workers, server


def _source(data_dir):
    manifest = read_manifest(str(data_dir), "train")
    return sources.RecordSource(manifest, str(data_dir), cache=False)


def _settings(rank=0, size=1, augment="none"):
    return {
        "augment": augment, "seed": 3, "shard_index": rank,
        "shard_count": size,
    }  # fmt: skip


def _plain(source, stage, start, end, settings):
    """The batches as they are without a service."""
    return source.read(
        datasets.create_train_dataset(
            source, stage, start_step=start, end_step=end, **settings
        )
    )


def _stage(workers, epochs=2):
    config = Config(batch_size=2, epochs=epochs, **SIZE)
    return create_schedule(config, 10, workers).stages[0]


def _served(source, stage, start, address, settings):
    def lost(error):
        raise error

    return service.in_order(
        datasets.create_served_dataset(
            source, stage, start_step=start, end_step=stage.end_step, **settings
        ),
        address,
        range(start, stage.end_step),
        batch_bytes=7 * stage.pixels,
        read=source.read,
        make=lambda step: pytest.fail(f"step {step} did not come"),
        lost=lost,
    )


@pytest.mark.parametrize(
    ("workers", "start", "augment"),
    [
        (1, 0, "none"),
        (2, 3, "basic"),
        pytest.param(1, 5, "strong", marks=pytest.mark.slow),
    ],
)
def test_batches_are_those_without_a_service(
    data_dir, address, workers, start, augment
):
    source, stage = _source(data_dir), _stage(workers)
    for rank in range(workers):
        settings = _settings(rank, workers, augment)
        ours = list(_served(source, stage, start, address, settings))
        theirs = list(_plain(source, stage, start, stage.end_step, settings))
        assert len(ours) == stage.end_step - start > 0
        for one, other in zip(ours, theirs, strict=True):
            for tensor, expected in zip(one, other, strict=True):
                assert tensor.dtype == expected.dtype
                assert tensor.shape == expected.shape
                np.testing.assert_array_equal(tensor, expected)


def test_each_record_comes_once_an_epoch(data_dir, address):
    source, stage = _source(data_dir), _stage(1)
    numbers = {
        # With the label as it is: all of these have the size of the input.
        source(tf.constant(number))[1].numpy().tobytes(): number
        for number in range(8)
    }
    batches = list(_served(source, stage, 0, address, _settings()))
    for epoch in (batches[:5], batches[5:]):
        labels = [
            label.numpy().astype(np.uint8).tobytes()
            for _, labels in epoch
            for label in labels
        ]
        found = [numbers[label] for label in labels if label in numbers]
        assert len(labels) == 10 and sorted(found) == list(range(8))


def test_workers_of_a_service_have_other_working_directories(
    data_dir, monkeypatch
):
    monkeypatch.chdir(data_dir.parent)
    source = _source(data_dir.name)
    monkeypatch.chdir("/")
    source(tf.constant(0))


def test_one_that_is_left_in_the_middle_is_in_no_others_way(data_dir, address):
    """As when the workers of an elastic run change."""
    source = _source(data_dir)
    before = _served(source, _stage(1), 0, address, _settings())
    next(before)
    after = _served(source, _stage(2), 1, address, _settings(1, 2))
    before.close()
    assert len(list(after)) == _stage(2).end_step - 1


@pytest.mark.slow
def test_a_damaged_record_is_named(data_dir, address, tmp_path):
    for file in data_dir.iterdir():
        content = bytearray(file.read_bytes())
        if file.name == "train-00001-of-00002.tfrecord":
            content[len(content) // 2] ^= 0xFF
        (tmp_path / file.name).write_bytes(content)
    source = _source(tmp_path)
    with pytest.raises(DataError, match="train-00001-of-00002.tfrecord"):
        list(_served(source, _stage(1), 0, address, _settings()))


class _Script:
    """In the place of the service: gives what a list says."""

    def __init__(self, *script):
        self._script = script
        self.closed = False

    def __call__(self, dataset, address):
        return self

    def __iter__(self):
        for item in self._script:
            if isinstance(item, Exception):
                raise item
            yield tf.constant(item), f"image {item}", f"label {item}"

    def close(self):
        self.closed = True


def _order(monkeypatch, script, num_steps, most=16):
    """What comes of a script: batches, those made here, why it was lost."""
    served = _Script(*script)
    monkeypatch.setattr(service, "_Served", served)
    monkeypatch.setattr(service, "_FEW", min(most, 16))
    monkeypatch.setattr(service, "_HELD_BATCHES", most)
    made, lost = [], []

    def make(step):
        made.append(step)
        return f"image {step}", f"label {step}"

    batches = service.in_order(
        None, "host:1", range(num_steps), batch_bytes=1, read=iter, make=make,
        lost=lost.append,
    )  # fmt: skip
    assert list(batches) == [
        (f"image {step}", f"label {step}") for step in range(num_steps)
    ]
    assert served.closed
    return made, [str(error) for error in lost]


def test_batches_are_put_in_order(monkeypatch, capsys):
    assert _order(monkeypatch, [2, 0, 1, 4, 3], 5) == ([], [])
    assert capsys.readouterr().out == ""


def test_a_batch_that_does_not_come_is_made_here(monkeypatch, capsys):
    # 1 is lost, and so is 6; 3 is late, and comes when it has been made here.
    script = [0, 2, 4, 5, 7, 3, 8, 9, 10]
    made, lost = _order(monkeypatch, script, 11, most=3)
    assert (made, lost) == ([1, 3, 6], [])
    (line,) = capsys.readouterr().out.splitlines()
    assert "a batch did not come" in line


def test_what_a_worker_took_along_at_the_end_is_made_here(monkeypatch):
    silence = service._Silent("nothing")
    assert _order(monkeypatch, [0, 1, 3, silence], 6) == ([2, 4, 5], [])


@pytest.mark.parametrize(
    ("script", "num_steps", "reason"),
    [
        # More than a worker has at a time; and a service that never began.
        ([0, 1, service._Silent("no workers")], 20, "no workers"),
        ([service._Silent("no workers")], 2, "no workers"),
        ([0, RunError("no dispatcher")], 3, "no dispatcher"),
        (
            [tf.errors.NotFoundError(None, None, "/data/x; No such file")],
            2,
            "No such file; its hosts need the files of --data_dir",
        ),
    ],
)
def test_a_service_that_is_lost_is_told(
    monkeypatch, capsys, script, num_steps, reason
):
    made, (told,) = _order(monkeypatch, script, num_steps)
    assert reason in told
    # The run ends where all workers agree to: until then batches are made.
    assert made == list(range(len(script) - 1, num_steps))
    assert capsys.readouterr().out == ""


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr(dispatcher, "START_SECONDS", 0.0)
    monkeypatch.setattr(service, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(service, "ABSENT_SECONDS", 0.1)
    for module in (dispatcher, service):
        monkeypatch.setattr(module, "_LOOK_SECONDS", 0.1)


@contextlib.contextmanager
def _listener():
    """A port that answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}", listener


@pytest.mark.parametrize("is_there", [True, False])
def test_nothing_waits_for_ever(data_dir, short_waits, monkeypatch, is_there):
    # TensorFlow's own client would.
    monkeypatch.setattr(
        service._Served, "_served", lambda self: iter(self._closed.wait, True)
    )
    with _listener() as (place, listener):
        if not is_there:
            listener.close()
        word = "no batch came" if is_there else "no dispatcher answers"
        with pytest.raises(RunError, match=word):
            list(
                _served(_source(data_dir), _stage(1, 5), 0, place, _settings())
            )


def _run(capsys, *flags):
    """Exit status and the one line on standard error of `main.py`."""
    status = main.main(run_flags(*flags))
    (line,) = capsys.readouterr().err.splitlines()
    return status, line


def test_a_run_without_dispatcher_ends_at_once(
    data_dir, tmp_path, capsys, short_waits
):
    with _listener() as (place, _):
        pass
    status, line = _run(
        capsys, data_dir, tmp_path / "run", f"--data_service={place}"
    )
    assert status == 1
    assert f"--data_service={place}: no dispatcher answers there" in line
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    "flag", ["--cache=memory", "--shard_placement=split", "--deterministic"]
)
def test_what_a_service_excludes_is_refused(data_dir, tmp_path, capsys, flag):
    status, line = _run(
        capsys, data_dir, tmp_path / "run", "--data_service=h:1", flag
    )
    assert status == 2
    assert f"--data_service=h:1 and {flag} exclude each other" in line


@pytest.mark.parametrize(
    "text",
    ["h", "h:", ":1", "h:0", "h:65536", "grpc://h", "http://h:1", "h:1/"],
)
def test_an_address_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match=r"is not HOST:PORT"):
        parse_service(text)


def test_addresses():
    assert parse_service("grpc://decode-1.local:5050") == (
        "decode-1.local",
        5050,
    )
    assert parse_service("[::1]:5050") == ("[::1]", 5050)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--role=worker"], "--dispatcher"),
        (["--role=worker", "--dispatcher=h"], "--dispatcher=h is not"),
        (["--role=dispatcher", "--dispatcher=h:1"], "is for --role=worker"),
        (["--role=dispatcher", "--host=h"], "is for --role=worker"),
        (["--role=dispatcher", "--port=70000"], "--port=70000"),
    ],
)
def test_flags_of_the_program(capsys, flags, word):
    assert data_service.main(["data_service.py", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("data_service: ") and word in captured.err


def test_the_program_says_why_it_does_not_start(capsys, short_waits):
    def run(*flags):
        assert data_service.main(["data_service.py", *flags]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    with _listener() as (place, _):
        port = place.rpartition(":")[2]
        line = run("--role=dispatcher", f"--port={port}")
        assert f"could not be started on port {port}" in line
    line = run("--role=worker", f"--dispatcher={place}")
    assert f"--dispatcher={place}: no dispatcher answers there" in line
