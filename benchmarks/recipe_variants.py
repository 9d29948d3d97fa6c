"""The variants that `compare_recipes.py` trains: what each changes."""

from __future__ import annotations

__all__ = ["VARIANTS"]

VARIANTS: dict[str, dict[str, list[str]]] = {
    "camvid": {
        "recipe": [],
        "cross_entropy": ["--class_weights=none"],
        "median_frequency": ["--class_weights=median_frequency"],
        "dice_mix": ["--loss=cross_entropy_dice"],
        "focal": ["--loss=focal"],
        "lovasz": ["--loss=lovasz_softmax", "--class_weights=none"],
        "segnet": ["--architecture=segnet"],
        "augment_none": ["--augment=none"],
        "augment_strong": ["--augment=strong"],
        "no_ema": ["--ema_decay=0"],
        "bn_momentum_099": ["--batch_norm_momentum=0.99"],
        "full_width": ["--width_multiplier=1"],
        "no_small_inputs": ["--resolution_schedule="],
        "crops": [
            "--input_height=288",
            "--input_width=384",
            "--train_crop=192x256",
        ],
    },
    "demo": {
        "recipe": [],
        "cross_entropy": ["--class_weights=none"],
    },
}
