"""Two processes under horovodrun, on this machine."""

from __future__ import annotations

import json
import shutil

import dist_worker
import numpy as np
import pytest
from conftest import convert, lines, write_folders
from horovod_launcher import launch, needs_horovod
from PIL import Image

import main
from segnet.data import placement
from segnet.records.splits import read_manifest

pytestmark = [pytest.mark.dist, needs_horovod]

TINY = (
    "--input_height=32",
    "--input_width=48",
    "--width_multiplier=0.25",
    "--device=cpu",
    "--precision=float32",
    "--log_every_steps=1",
)
# 8 images in batches of 4: 20 steps.
SAME = (
    "--epochs=10",
    "--evaluate_every_epochs=0",
    "--checkpoint_every_steps=1000",
    "--sync_batch_norm",
    "--noscale_learning_rate",
    "--warmup_epochs=0",
    "--class_weights=median_frequency",
)
# The network as it is, at a rate at which it learns but a kink (see
# `dist_worker.smooth_network`) that is taken the other way does little; batch
# norm in the encoder, before each kink, makes that frequent.
KINKED = (
    "--nobatch_norm_in_encoder",
    "--optimizer=sgd",
    "--learning_rate=1e-4",
)
SMOOTH = ("--batch_norm_in_encoder", "--optimizer=adam")
SAME_RUNS = {
    "kinked": KINKED,
    "compressed": (*KINKED, "--allreduce_compression=bf16"),
    "smooth": SMOOTH,
    "smooth_sgd": (*SMOOTH, "--optimizer=sgd", "--learning_rate=1e-3"),
}

# Last, since a process that is asked for deterministic operations keeps to it.
DETERMINISTIC = ("deterministic", "deterministic_again")
# Two epochs at once, and one that is resumed for the other.
PARTS = (
    "--shard_placement=split",
    "--warmup_epochs=0",
    "--batch_size=1",
    "--deterministic",
)


def losses(workdir):
    return [line["loss"] for line in lines(workdir) if "loss" in line]


def smooth_network(monkeypatch):
    """As the workers' processes do, until the end of the test."""
    keras_layers = dist_worker.tf.keras.layers
    for layer in ("ReLU", "MaxPooling2D"):
        monkeypatch.setattr(keras_layers, layer, vars(keras_layers)[layer])
    dist_worker.smooth_network()


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Shards of 8 images: from none to three quarters of a picture is void."""
    folder = tmp_path_factory.mktemp("uneven")
    for split, count in (("train", 8), ("val", 2)):
        write_folders(folder, split, [(32, 48)] * count, 0)
        paths = sorted((folder / split / "annotations").iterdir())
        for number, path in enumerate(paths):
            label = np.array(Image.open(path))
            label[:, : 5 * number] = 3
            Image.fromarray(label).save(path)
        convert(folder, split, folder / "records")
    return folder / "records"


@pytest.fixture(scope="module")
def hosts(data_dir, tmp_path_factory):
    """A folder host0 with one shard of each split, host1 with the other."""
    folder = tmp_path_factory.mktemp("hosts")
    for split in ("train", "val"):
        manifest = read_manifest(data_dir, split)
        for rank, part in enumerate(placement.divide(manifest, 2)):
            host = folder / f"host{rank}"
            host.mkdir(exist_ok=True)
            shutil.copy(data_dir / f"{split}.json", host)
            (shard,) = part.shards
            shutil.copy(data_dir / shard.file, host)
    return folder


def _same(name, data):
    return [*TINY, f"--data_dir={data}", "--batch_size=2", *SAME,
            *SAME_RUNS[name]]  # fmt: skip


def _launch(folder, runs):
    """The folder of the runs of two workers, and what they printed."""
    result = launch(2, dist_worker.__file__, [folder, json.dumps(runs)])
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result.stdout + result.stderr


@pytest.fixture(scope="module")
def together(data_dir, uneven, tmp_path_factory):
    """Output folder of some runs of two workers, and what they printed."""
    run = [
        *TINY, f"--data_dir={data_dir}", "--batch_size=2", "--epochs=2",
        "--augment=basic",
    ]  # fmt: skip
    runs = {"run": run, "kinked": _same("kinked", uneven)}
    for name in DETERMINISTIC:
        runs[name] = [*run, "--deterministic", "--epochs=1"]
    return _launch(tmp_path_factory.mktemp("dist"), runs)


@pytest.fixture(scope="module")
def more_together(uneven, hosts, tmp_path_factory):
    """The same of the runs of slow tests."""
    folder = tmp_path_factory.mktemp("dist")
    runs = {name: _same(name, uneven) for name in SAME_RUNS}
    del runs["kinked"]
    parts = [*TINY, *PARTS, f"--data_dir={hosts / 'host{rank}'}"]
    runs["parts"] = [*parts, "--epochs=2"]
    parts += [f"--workdir={folder / 'stopped'}"]
    runs["begun"] = [*parts, "--epochs=1"]
    runs["resumed"] = [*parts, "--epochs=2"]
    return _launch(folder, runs)


@pytest.mark.parametrize(
    ("runs", "name"),
    [
        ("together", "run"),
        pytest.param("more_together", "compressed", marks=pytest.mark.slow),
    ],
)
def test_both_ranks_end_with_the_same_weights(runs, name, request):
    folder, _ = request.getfixturevalue(runs)
    with (
        np.load(folder / f"{name}-0.npz") as first,
        np.load(folder / f"{name}-1.npz") as second,
    ):
        assert first.files == second.files
        for array in first.files:
            np.testing.assert_array_equal(first[array], second[array])


def test_deterministic_runs_of_two_workers_are_equal(together):
    """Bit for bit; another run of the same job with the same seed."""
    folder, _ = together
    first, second = (
        np.load(folder / f"{name}-0.npz") for name in DETERMINISTIC
    )
    with first, second:
        for array in first.files:
            np.testing.assert_array_equal(first[array], second[array])
    assert losses(folder / DETERMINISTIC[0]) == losses(
        folder / DETERMINISTIC[1]
    )


@pytest.mark.slow
def test_workers_with_parts_of_the_shards_resume_exactly(more_together):
    folder, _ = more_together
    with (
        np.load(folder / "parts-0.npz") as at_once,
        np.load(folder / "parts-1.npz") as other_worker,
        np.load(folder / "resumed-0.npz") as resumed,
    ):
        for array in at_once.files:
            np.testing.assert_array_equal(at_once[array], other_worker[array])
            np.testing.assert_array_equal(at_once[array], resumed[array])
    assert losses(folder / "parts") == losses(folder / "stopped")


@pytest.mark.slow
def test_parts_are_scored_once_together(
    more_together, data_dir, tmp_path, monkeypatch
):
    folder, _ = more_together
    smooth_network(monkeypatch)  # Those of the runs after the smooth ones are.
    workdir = shutil.copytree(folder / "parts", tmp_path / "run")
    flags = [f"--workdir={workdir}", f"--data_dir={data_dir}"]
    command = ["main.py", "--mode=evaluate", *flags, "--shard_placement=all"]
    assert main.main([*command, "--checkpoint=latest"]) == 0
    alone = json.loads((workdir / "evaluation-val.json").read_text())
    *_, last = (x for x in lines(workdir) if "val_mean_iou" in x)
    assert alone["images"] == 5
    assert last["val_mean_iou"] == pytest.approx(alone["mean_iou"], rel=1e-6)


def test_a_worker_without_its_part_says_which_shard(hosts, tmp_path, capfd):
    flags = [*TINY, "--shard_placement=split", "--epochs=1"]
    folder = hosts / "host1"
    command = ["main.py", *flags, f"--data_dir={folder}"]
    assert main.main([*command, f"--workdir={tmp_path / 'run'}"]) == 1
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert "shard is missing" in printed


def test_rank_0_alone_writes_and_prints(together):
    folder, printed = together
    assert sorted(p.name for p in (folder / "run").iterdir()) == [
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "tensorboard",
    ]
    assert len(list((folder / "run" / "tensorboard").iterdir())) == 1
    # 10 images, 2 workers with 2: 2 steps an epoch, each logged once.
    assert len(losses(folder / "run")) == 4
    assert printed.count("2 worker(s)") == 2 + len(DETERMINISTIC)
    assert "peak learning rate 0.002" in printed


def test_another_number_of_workers_goes_on_counting_epochs(together, tmp_path):
    """Two epochs of two steps by two workers, then one of five by one."""
    workdir = shutil.copytree(together[0] / "run", tmp_path / "run")
    assert main.main(["main.py", f"--workdir={workdir}", "--epochs=3"]) == 0
    logged = [line for line in lines(workdir) if "loss" in line]
    assert [line["step"] for line in logged] == list(range(1, 10))
    scored = [line for line in lines(workdir) if "val_mean_iou" in line]
    assert [line["epoch"] for line in scored] == [1, 2, 3]
    assert [line["step"] for line in scored] == [2, 4, 9]


@pytest.mark.parametrize(
    ("runs", "name", "tolerance"),
    [
        ("together", "kinked", 1e-4),
        *(
            pytest.param("more_together", *case, marks=pytest.mark.slow)
            for case in [
                ("smooth", 1e-4),
                ("smooth_sgd", 1e-4),
                ("compressed", 0.01),
            ]
        ),
    ],
)
def test_two_workers_train_like_one_with_both_batches(
    runs, name, tolerance, uneven, tmp_path, monkeypatch, request
):
    """Losses of 2 workers with 2 images and 1 with 4, uneven void pixels."""
    if name.startswith("smooth"):
        smooth_network(monkeypatch)
    arguments = [*TINY, f"--data_dir={uneven}", "--batch_size=4", *SAME]
    dist_worker.work(tmp_path, name, [*arguments, *SAME_RUNS[name]])
    ours, expected = (
        losses(request.getfixturevalue(runs)[0] / name),
        losses(tmp_path / name),
    )
    assert len(ours) == len(expected) == 20
    difference = np.max(np.abs(np.divide(ours, expected) - 1.0))
    print(f"{name}: largest relative difference {difference:.1e}")
    assert difference <= tolerance
    # It did learn.
    assert np.mean(expected[-4:]) < 0.75 * np.mean(expected[:4])
