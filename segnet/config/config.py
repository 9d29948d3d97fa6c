"""The options of a run: one frozen dataclass, a field for each flag.

Every field is a command-line flag of the same name: `flags` makes the flags
from the fields, and `validate` has the rules between them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from segnet.constants import (
    ARCHITECTURES,
    AUGMENTATIONS,
    COMPRESSIONS,
    LOSSES,
    MAX_INPUT_SIDE,
    WARNINGS,
    parse_warnings,
)

__all__ = ["Config"]


def _field(default: Any, help_text: str, **rule: Any) -> Any:
    """A dataclass field with its help text and the rule its values obey."""
    return dataclasses.field(
        default=default, metadata={"help": help_text, **rule}
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """All that decides what a run does.

    The metadata of a field holds its `help` and the rule for its values:
    `choices`, `minimum`, `maximum` or `above` (exclusive). `path` marks those
    that name a file or folder, `remembered` those that are read again when a
    run is resumed, be it from another folder, `split` those that name a split.
    """

    data_dir: str = _field(
        "",
        "Folder of the shards that tools/convert_to_tfrecord.py wrote.",
        path=True,
        remembered=True,
    )
    train_split: str = _field("train", "Split to train on.", split=True)
    eval_split: str = _field("val", "Split to evaluate on.", split=True)
    workdir: str = _field(
        "", "Folder for everything that a run writes.", path=True
    )

    architecture: str = _field(
        "vgg_segnet", "Network.", choices=tuple(ARCHITECTURES)
    )
    input_height: int = _field(
        320,
        "Height of the network's input, pixels.",
        minimum=16,
        maximum=MAX_INPUT_SIDE,
    )
    input_width: int = _field(
        640,
        "Width of the network's input, pixels.",
        minimum=16,
        maximum=MAX_INPUT_SIDE,
    )
    resolution_schedule: str = _field(
        "",
        "Smaller inputs for the first epochs: HxW[xBATCH]:EPOCHS,... For "
        "example 96x128x8:20 trains 20 epochs at 96x128 with batch 8, then "
        "the rest at the input size.",
    )
    width_multiplier: float = _field(
        1.0,
        "Factor on the network's numbers of channels; below 1 for small "
        "machines.",
        above=0.0,
        maximum=4.0,
    )
    train_crop: str = _field(
        "",
        "HxW: train on random windows of this size, at the scale of the input "
        "size. Evaluation and prediction see whole images.",
    )
    batch_norm_in_encoder: bool | None = _field(
        None,
        "Batch normalisation after each encoder convolution. Default: on "
        "unless --encoder_weights or --init_from is given.",
    )
    dropout: float = _field(
        0.0, "Dropout rate of the deep layers.", minimum=0.0, maximum=0.9
    )
    batch_norm_momentum: float = _field(
        0.99,
        "Momentum of batch norm's averages in the long run; the first steps "
        "forget sooner.",
        minimum=0.0,
        maximum=0.9999,
    )
    recalibrate_batch_norm: bool = _field(
        False,
        "Before each evaluation, compute batch norm's averages anew in one "
        "pass over the training split, as the SegNet paper does.",
    )
    sync_batch_norm: bool = _field(
        False, "Batch norm over the batches of all workers, not each its own."
    )
    encoder_weights: str = _field(
        "",
        "Keras VGG16 'notop' .h5 file to start the encoder from; auto: the one "
        "that tools/download_dataset.sh brings, if it is in data/.",
        path=True,
        remembered=True,
    )
    init_from: str = _field(
        "",
        "Workdir, checkpoint or Keras .h5 file to start all weights from.",
        path=True,
        remembered=True,
    )

    device: str = _field(
        "auto",
        "Where to compute; auto is HPU, then GPU, then CPU.",
        choices=("auto", "cpu", "gpu", "hpu"),
    )
    precision: str = _field(
        "auto",
        "Number format of the layers; auto is bfloat16 where the device has "
        "it, else float32.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )

    epochs: int = _field(125, "Passes over the training split.", minimum=1)
    max_steps: int | None = _field(
        None, "Stop after this many steps in all; 0: no limit.", minimum=0
    )
    batch_size: int = _field(16, "Images a step, per worker.", minimum=1)
    eval_batch_size: int | None = _field(
        None,
        "Images a forward pass outside training, per worker. Default: as many "
        "as need no more memory than a training step.",
        minimum=1,
    )
    accumulate_steps: int = _field(
        1,
        "Batches whose gradients make one step together, for small memories: "
        "a step then takes so many times --batch_size images.",
        minimum=1,
    )

    optimizer: str = _field(
        "adam", "Optimizer.", choices=("adam", "adamw", "sgd")
    )
    learning_rate: float = _field(
        1e-3, "Peak learning rate for one worker.", above=0.0
    )
    encoder_learning_rate_scale: float = _field(
        1.0,
        "Factor on the learning rate of the encoder, for example 0.1 with "
        "--encoder_weights.",
        above=0.0,
        maximum=10.0,
    )
    scale_learning_rate: bool = _field(
        True, "Multiply the learning rate by the number of workers."
    )
    momentum: float = _field(
        0.9, "Momentum of SGD.", minimum=0.0, maximum=0.9999
    )
    lr_schedule: str = _field(
        "constant",
        "Learning rate after warm-up.",
        choices=("constant", "cosine", "polynomial"),
    )
    warmup_epochs: float | None = _field(
        None,
        "Epochs of linear warm-up from zero. Default: none with one worker, "
        "else 5 (at most a tenth of the epochs).",
        minimum=0.0,
    )
    weight_decay: float | None = _field(
        None,
        "Decoupled weight decay of kernels (not biases, not batch norm). "
        "Default: 0.01 with adamw, else 0.",
        minimum=0.0,
    )
    gradient_clip_norm: float = _field(
        0.0, "Largest global norm of the gradients; 0: no limit.", minimum=0.0
    )
    ema_decay: float = _field(
        0.0,
        "Decay of an exponential moving average of the weights, which is then "
        "evaluated and used later; for example 0.999. 0: none.",
        minimum=0.0,
        maximum=0.99999,
    )

    loss: str = _field(
        "cross_entropy",
        "Training loss.",
        choices=LOSSES,
    )
    class_weights: str = _field(
        "none",
        "Weights of the classes in the loss: none, median_frequency, "
        "sqrt_median_frequency, median_frequency^POWER or log_frequency (from "
        "the training manifest), or a FILE with one number a class.",
        remembered=True,
    )
    label_smoothing: float = _field(
        0.0, "Label smoothing of the cross-entropy.", minimum=0.0, maximum=0.9
    )
    augment: str = _field(
        "none",
        "Random changes of the training images.",
        choices=AUGMENTATIONS,
    )
    freeze_encoder_epochs: int = _field(
        0, "Keep the encoder as it is for the first epochs.", minimum=0
    )

    cache: str = _field(
        "none",
        "Keep the decoded training split in memory (uint8).",
        choices=("none", "memory"),
    )
    shard_placement: str = _field(
        "all",
        "Which shards a worker reads: all, or split: each worker a part of its "
        "own, which need not be within reach of the others.",
        choices=("all", "split"),
    )
    data_service: str = _field(
        "",
        "HOST:PORT of the dispatcher of a tf.data service "
        "(tools/data_service.py): its workers decode and augment the training "
        "images. They need the shards at the same path.",
    )
    log_every_steps: int = _field(10, "Steps between log lines.", minimum=1)
    evaluate_every_epochs: int = _field(
        1, "Epochs between evaluations; 0: only at the end.", minimum=0
    )
    checkpoint_every_steps: int | None = _field(
        None, "Steps between checkpoints. Default: once an epoch.", minimum=1
    )
    keep_checkpoints: int = _field(3, "Newest checkpoints kept.", minimum=1)
    best_metric: str = _field(
        "val_mean_iou",
        "Score by which the best checkpoint is chosen and early stopping "
        "decides.",
        choices=("val_mean_iou", "val_mean_class_accuracy",
                 "val_pixel_accuracy", "val_frequency_weighted_iou"),
    )  # fmt: skip
    early_stopping_epochs: int = _field(
        0,
        "Stop when the score has not risen for so many epochs; 0: never.",
        minimum=0,
    )
    allreduce_compression: str = _field(
        "none",
        "Number format of gradients on their way between workers.",
        choices=COMPRESSIONS,
    )
    elastic: bool = _field(
        False, "Go on when workers leave or join (under horovodrun)."
    )
    seed: int = _field(0, "Seed of all randomness.", minimum=0, maximum=2**31)
    deterministic: bool = _field(
        False, "Bit-identical results on the same device; slower."
    )
    run_eagerly: bool = _field(
        False, "Run the step without tf.function, for debugging."
    )
    log_to: str = _field(
        "none",
        "Where to log besides metrics.jsonl and TensorBoard; needs the extra "
        "of that name.",
        choices=("none", "wandb", "mlflow"),
    )
    log_histograms: bool = _field(
        False, "At evaluations, histograms of all weights for TensorBoard."
    )
    profile_steps: str = _field(
        "", "FIRST,LAST step to profile for TensorBoard."
    )
    silence: str = _field(
        "",
        "Warnings not to show: all, or names with commas between them. Names: "
        f"{', '.join(WARNINGS)}.",
    )
    class_names: tuple[str, ...] = _field(
        (), "Names of the classes, from the training manifest.", flag=False
    )
    bit_depth: int = _field(
        0,
        "Bits of the values of deep pictures that were used, from the training "
        "manifest; 0: all.",
        flag=False,
        minimum=0,
        maximum=16,
    )
    images_digest: str = _field(
        "", "Digest of the images that the run began with.", flag=False
    )

    @property
    def effective_weight_decay(self) -> float:
        """The weight decay, the default resolved."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.01 if self.optimizer == "adamw" else 0.0

    @property
    def silenced(self) -> frozenset[str]:
        """Names of the warnings that are not shown."""
        return parse_warnings(self.silence)

    @property
    def uses_encoder_batch_norm(self) -> bool:
        """Whether the encoder has batch norm, the default resolved."""
        if self.batch_norm_in_encoder is not None:
            return self.batch_norm_in_encoder
        return not (self.encoder_weights or self.init_from)
