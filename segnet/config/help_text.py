"""What `main.py --help` prints: usage, modes and examples, then the flags."""

from __future__ import annotations

import textwrap

from absl import flags

from segnet.installation import named_as_here

__all__ = ["GROUPS", "help_text"]

_HEAD = """\
Trains, evaluates and uses networks for semantic segmentation.

usage: python main.py [--mode=MODE] --workdir=RUN [--flagfile=FILE] [flags]

modes (`main.py evaluate` is short for `main.py --mode=evaluate`)
  train     trains a network on the records in --data_dir, or goes on with the
            run that is in --workdir (the default)
  evaluate  scores the network of --workdir on its evaluation split
  predict   labels --image_path with the network of --workdir
  report    makes a page that shows how good the network of --workdir is, and
            where it is wrong; without --workdir, one that shows what is in
            --data_dir, and what looks wrong there
  export    writes that network as a file that runs without this program

examples
  python main.py --flagfile=configs/own.flags --data_dir=data/records \\
    --workdir=runs/first
  python main.py --workdir=runs/first --epochs=200
  python main.py evaluate --workdir=runs/first
  python main.py predict --workdir=runs/first --image_path=photos

A flag given later wins. A flagfile has one flag a line; configs/ has recipes.
Exit status: 0 done; 1 bad data or failed run; 2 bad flags; 130 or 143 stopped
by Ctrl-C or SIGTERM, after a checkpoint."""

# All flags, in the order in which they are shown.
GROUPS: dict[str, tuple[str, ...]] = {
    "what to do": ("mode", "workdir", "data_dir", "train_split", "eval_split"),
    "how long to train": (
        "epochs", "max_steps", "early_stopping_epochs", "batch_size",
        "accumulate_steps",
    ),
    "evaluate and predict": (
        "image_path", "recursive", "output_dir", "probabilities",
        "uncertainty", "mc_samples", "palette",
        "overlay_video",
        "format", "polygon_tolerance", "tile_size", "tile_scale",
        "checkpoint", "tta", "eval_batch_size", "max_pixels", "bit_depth",
    ),
    "report": ("compare_to",),
    "export": ("export_format", "export_force"),
    "network": (
        "architecture", "width_multiplier", "input_height", "input_width",
        "train_crop", "resolution_schedule", "dropout",
        "batch_norm_in_encoder", "batch_norm_momentum", "sync_batch_norm",
        "recalibrate_batch_norm",
    ),
    "weights to start from": (
        "init_from", "encoder_weights", "freeze_encoder_epochs",
        "encoder_learning_rate_scale",
    ),
    "loss and augmentation": (
        "loss", "class_weights", "label_smoothing", "augment",
    ),
    "optimizer": (
        "optimizer", "learning_rate", "lr_schedule", "warmup_epochs",
        "scale_learning_rate", "momentum", "weight_decay",
        "gradient_clip_norm", "ema_decay",
    ),
    "device and speed": (
        "device", "precision", "cache", "shard_placement", "data_service",
    ),
    "what is written": (
        "log_every_steps", "log_histograms", "log_to", "evaluate_every_epochs",
        "checkpoint_every_steps",
        "keep_checkpoints", "best_metric", "report", "silence",
    ),
    "several workers": ("elastic", "allreduce_compression"),
    "repeatability and debugging": (
        "seed", "deterministic", "run_eagerly", "profile_steps",
    ),
}  # fmt: skip


def help_text(values: flags.FlagValues) -> str:
    """The whole help.

    Args:
      values: With the flags of `main.py`.
    """
    grouped = {name for names in GROUPS.values() for name in names}
    defined = {name for name in values if values[name].name == name}
    rest = tuple(sorted(defined - grouped))
    parts = [_HEAD]
    for title, names in {**GROUPS, "other flags": rest}.items():
        flags_of_group = [_describe(values[name]) for name in names]
        if flags_of_group:
            parts.append("\n".join([title, *flags_of_group]))
    return named_as_here("\n\n".join(parts))


def _describe(flag: flags.Flag) -> str:
    """The lines of one flag: its form, its default and what it is for."""
    form = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    default = ""
    if flag.default not in (None, ""):
        default = f" Default: {(flag.default_as_str or '').strip(chr(39))}."
    # absl puts the choices of an enum first.
    about = (flag.help or "").rpartition(">: ")[2]
    text = textwrap.wrap(
        f"{about}{default}",
        width=80,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
        break_on_hyphens=False,
    )
    return "\n".join([f"  {form}", *text])
