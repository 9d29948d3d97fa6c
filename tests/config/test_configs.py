"""The flagfiles in configs/: each parses, is valid and is documented."""

from __future__ import annotations

import pytest
from conftest import ROOT

from segnet.config import Config, flags
from segnet.constants import VGG16_WEIGHTS

FLAGFILES = sorted((ROOT / "configs").glob("*.flags"))


def _parse(path):
    command = flags.parse_command(
        ["main.py", f"--flagfile={path}", "--workdir=run", "--data_dir=data"]
    )
    flags.check_command(command)
    return command


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_is_valid_and_documented(path):
    command = _parse(path)
    assert command.mode == "train"
    header = path.read_text().split("\n--")[0]
    assert "Command" in header
    assert f"configs/{path.name}" in header or path.stem == "demo"
    assert f"| `{path.stem}` |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_each_line_changes_something(path):
    """Only what differs from the defaults, apart from the device."""
    config, default = _parse(path).config, Config()
    for line in path.read_text().splitlines():
        name = line.removeprefix("--").partition("=")[0]
        if not line.startswith("--") or name in ("flagfile", "device"):
            continue
        if path.stem.endswith("_dist") or name in HABANA_RECIPE:
            continue
        # Those that start from weights where they are; here they are not.
        if line == "--encoder_weights=auto":
            continue
        name = name.removeprefix("no")
        assert getattr(config, name) != getattr(default, name), line


# Written out though they are the defaults: they are Habana's recipe.
HABANA_RECIPE = {
    "input_height", "input_width", "batch_size", "epochs", "optimizer",
    "learning_rate", "loss", "augment", "class_weights",
}  # fmt: skip


def test_habanas_recipe_is_what_its_code_computes():
    """Read in its Model-References 1.8.0, keras_segmentation/."""
    config = _parse(ROOT / "configs" / "habana.flags").config
    assert config.encoder_weights.endswith(VGG16_WEIGHTS)
    assert not config.uses_encoder_batch_norm
    assert (config.architecture, config.optimizer) == ("vgg_segnet", "adam")
    assert (config.learning_rate, config.warmup_epochs) == (1e-5, 0)
    assert not config.scale_learning_rate
    assert (config.lr_schedule, config.ema_decay) == ("constant", 0)
    assert (config.loss, config.class_weights) == ("cross_entropy", "none")
    assert (config.augment, config.cache) == ("none", "memory")
    assert (config.dropout, config.gradient_clip_norm) == (0, 0)


def test_there_are_those_that_are_promised():
    names = {path.stem for path in FLAGFILES}
    assert names == {
        "camvid", "camvid_vgg16", "cpu", "demo", "gpu_fp16", "hpu_bf16",
        "habana", "hpu_bf16_dist", "hpu_fp32", "hpu_fp32_dist", "own",
    }  # fmt: skip
    for name in ("cpu", "gpu_fp16", "habana", "hpu_bf16", "hpu_fp32"):
        config = _parse(ROOT / "configs" / f"{name}.flags").config
        assert (config.input_height, config.input_width) == (320, 640)
        assert (config.batch_size, config.epochs) == (16, 125)
