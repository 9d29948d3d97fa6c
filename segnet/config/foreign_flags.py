"""Flags of image-segmentation-keras and Habana's Segnet: what to use here.

The lines are those of docs/migration.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from segnet.installation import named_as_here

__all__ = ["MODES_ELSEWHERE", "explain"]

_CONVERTER = "tools/convert_to_tfrecord.py"
_EXPLAINED = {
    "train_images": f"{_CONVERTER} --images_dir=... --split=train",
    "train_annotations": f"{_CONVERTER} --annotations_dir=... --split=train",
    "val_images": f"{_CONVERTER} --images_dir=... --split=val",
    "val_annotations": f"{_CONVERTER} --annotations_dir=... --split=val",
    "images_path": f"{_CONVERTER} --images_dir=...",
    "segs_path": f"{_CONVERTER} --annotations_dir=...",
    "n_classes": f"{_CONVERTER} --num_classes=..., where void does not count "
    "as a class but is named by --void_labels; training takes it from there",
    "num_classes": f"{_CONVERTER} --num_classes=...; training takes it from "
    "there",
    "model_name": "--architecture=vgg_segnet (the default); the segnet here is "
    "the paper's network, not theirs",
    "steps_per_epoch": "nothing: an epoch is one pass over the data; "
    "--max_steps limits the whole run",
    "val_steps_per_epoch": "nothing: every image of the split is scored once",
    "train_engine": "--device=cpu, gpu or hpu (default: auto)",
    "data_type": "--precision=float32, bfloat16 or, for amp, float16 "
    "(default: auto)",
    "optimizer_name": "--optimizer=adam, adamw or sgd",
    "checkpoints_path": "--workdir=RUN",
    "auto_resume_checkpoint": "nothing: the same --workdir always resumes, "
    "optimizer and step as well",
    "load_weights": "--init_from=FILE.h5, or --init_from=PREFIX.0 for a "
    "checkpoint of Keras",
    "loss_type": "--loss=cross_entropy (the default)",
    "validate": "nothing: always; --evaluate_every_epochs says how often",
    "verify_dataset": f"{_CONVERTER} --verify_only",
    "not_verify_dataset": "nothing: the converter checks all files, training "
    "does not repeat it",
    "not_cached": "nothing, it is the default; --cache=memory for a cache",
    "tensorboard": "nothing: always, in WORKDIR/tensorboard",
    "model_dir": "nothing: always, in WORKDIR/tensorboard",
    "hls_type": "nothing: mpirun decides where workers run",
    "kubernetes_run": "nothing: mpirun decides where workers run",
    "use_upsampling": "nothing: it is part of the convolutions",
    "dump_config": "nothing; TensorFlow's TF_DUMP_GRAPH_PREFIX dumps graphs",
    "do_augment": "--augment=basic or strong",
    "distributed": "horovodrun or mpirun before the command",
    "num_workers_per_hls": "mpirun -np N before the command",
    "input_path": "--mode=predict --image_path=...",
    "inp_dir": "--mode=predict --image_path=...",
    "output_path": "--mode=predict --output_dir=...",
    "out_dir": "--mode=predict --output_dir=...",
}
# What stands first on their command lines.
MODES_ELSEWHERE = {
    "evaluate_model": "main.py --mode=evaluate",
    "verify_dataset": f"{_CONVERTER} --verify_only",
    "visualize_dataset": "nothing",
    "predict_video": "main.py --mode=predict --image_path=FILM --overlay_video",
}


def explain(arguments: Sequence[str], known: Sequence[str]) -> str | None:
    """What to say of the first flag that belongs to another program.

    Args:
      arguments: Command line without the program's name.
      known: Names of the flags that there are.

    Returns:
      One line; None where all belong here, or nowhere.
    """
    for argument in arguments:
        if argument == "--":
            break
        name = argument.lstrip("-").partition("=")[0]
        if not argument.startswith("-") or name in known:
            continue
        if name in _EXPLAINED:
            return named_as_here(
                f"--{name} is a flag of image-segmentation-keras or of "
                f"Habana's Segnet; here it is {_EXPLAINED[name]} "
                "(docs/migration.md)"
            )
    return None
