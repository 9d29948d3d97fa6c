"""The variants that `compare_recipes.py` trains: what each changes."""

from __future__ import annotations

__all__ = ["VARIANTS"]

VARIANTS: dict[str, dict[str, list[str]]] = {
    "camvid": {
        "recipe": [],
        # The loss and its weights.
        "no_dice": ["--loss=cross_entropy"],
        "cross_entropy": ["--loss=cross_entropy", "--class_weights=none"],
        "median_frequency": ["--class_weights=median_frequency"],
        "sqrt_median_frequency": ["--class_weights=sqrt_median_frequency"],
        "log_frequency": ["--class_weights=log_frequency"],
        "dice": ["--loss=dice", "--class_weights=none"],
        "focal": ["--loss=focal"],
        "lovasz": ["--loss=lovasz_softmax", "--class_weights=none"],
        # The network.
        "segnet": ["--architecture=segnet"],
        "full_width": ["--width_multiplier=1"],
        # Twice the steps of half the images.
        "batch_2": ["--batch_size=2", "--resolution_schedule=96x128x4:45"],
        # What it sees.
        "whole_images": [
            "--input_height=192",
            "--input_width=256",
            "--train_crop=",
        ],
        "no_small_inputs": ["--resolution_schedule="],
        "augment_none": ["--augment=none"],
        "augment_strong": ["--augment=strong"],
        # Averages.
        "no_ema": ["--ema_decay=0"],
        "bn_momentum_099": ["--batch_norm_momentum=0.99"],
    },
    "demo": {
        "recipe": [],
        "cross_entropy": ["--loss=cross_entropy", "--class_weights=none"],
        # The defaults of main.py, for as many steps.
        "plain": [
            "--loss=cross_entropy",
            "--class_weights=none",
            "--optimizer=adam",
            "--weight_decay=0",
            "--learning_rate=1e-3",
            "--lr_schedule=constant",
            "--warmup_epochs=0",
            "--gradient_clip_norm=0",
            "--ema_decay=0",
            "--batch_norm_momentum=0.99",
            "--augment=none",
            "--resolution_schedule=",
            "--epochs=10",
            "--max_steps=744",
        ],
        # The paper's network learns more slowly: 2.5 times the epochs.
        "segnet": [
            "--architecture=segnet",
            "--resolution_schedule=64x128x8:30",
            "--epochs=40",
        ],
    },
}
