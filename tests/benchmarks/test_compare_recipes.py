"""Tests of benchmarks/compare_recipes.py and draw_predictions.py."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import CLASS_NAMES, ROOT
from PIL import Image

from benchmarks import compare_recipes, draw_predictions, recipe_variants
from segnet.config import flags
from segnet.images.overlay import PALETTE


def _result(name, budget, mean_iou):
    return {
        "name": name,
        "budget": budget,
        "changes": ["--loss=focal"] if name == "focal" else [],
        "steps": 12,
        "seconds": 90.0,
        "mean_iou": mean_iou,
        "mean_class_accuracy": 0.5,
        "boundary_f1": 0.25,
        "iou": {"ground": 0.9, "wall": 0.4, "disc": None},
        "rarest": ["disc", "wall"],
        "machine": {
            "cores": 2,
            "processor": "a processor",
            "date": "2026-01-02T03:04:05+00:00",
        },
    }


def test_the_table_has_the_best_of_each_budget_first():
    table = compare_recipes.format_table(
        [
            _result("recipe", 6, 0.4),
            _result("focal", 6, 0.5),
            _result("recipe", 20, 0.6),
        ]
    ).splitlines()
    assert table[0].count("|") == table[2].count("|") == 11
    assert "IoU of disc wall" in table[0]
    assert [line.split(" | ")[0] for line in table[2:5]] == [
        "| focal", "| recipe", "| recipe",
    ]  # fmt: skip
    assert (
        "| `--loss=focal` | 6 | 12 | 1.5 | 0.500 | 0.500 | 0.00 |" in table[2]
    )
    assert "the recipe | 20 |" in table[4]
    assert table[-1] == "Measured on 2 cores, a processor, 2026-01-02."


def test_rarest_classes_come_from_the_manifest(data_dir):
    rarest = compare_recipes.rarest_classes(str(data_dir), 1)
    assert rarest == ["disc"]
    assert set(compare_recipes.rarest_classes(str(data_dir))) == set(
        CLASS_NAMES
    )


@pytest.mark.parametrize("recipe", sorted(recipe_variants.VARIANTS))
def test_variants_are_valid_and_differ(recipe):
    configs = []
    for changes in recipe_variants.VARIANTS[recipe].values():
        command = flags.parse_command(
            [
                "main.py",
                f"--flagfile={ROOT / 'configs' / recipe}.flags",
                "--workdir=run",
                *changes,
            ]
        )
        flags.check_command(command)
        configs.append(command.config)
    assert len(set(configs)) == len(configs)


def test_wrong_pixels_have_the_colour_of_the_missed_class():
    truth = np.array([[0, 1, 2, 255]], np.uint8)
    labels = np.array([[0, 2, 2, 1]], np.uint8)
    colours = draw_predictions.wrong(truth, labels, 3)
    right = [245, 245, 245]
    assert colours.tolist() == [[right, list(PALETTE[1]), right, [0, 0, 0]]]


def test_draws_a_row_for_each_picture(tmp_path, monkeypatch):
    for folder in ("images", "truth", "found"):
        (tmp_path / folder).mkdir()
    for stem in ("a", "b"):
        label = Image.new("L", (40, 24), 1)
        label.save(tmp_path / "truth" / f"{stem}.png")
        label.save(tmp_path / "found" / f"{stem}_labels.png")
        Image.new("RGB", (40, 24), "red").save(
            tmp_path / "images" / f"{stem}.png"
        )
    output = tmp_path / "out.png"
    arguments = [
        "draw_predictions",
        f"--annotations_dir={tmp_path / 'truth'}",
        f"--images_dir={tmp_path / 'images'}",
        f"--output={output}",
        "--class_names=one,two,three",
        "--stems=a,b",
        f"network={tmp_path / 'found'}",
    ]
    monkeypatch.setattr("sys.argv", arguments)
    assert draw_predictions.main() == 0
    with Image.open(output) as picture:
        pixels = np.asarray(picture)
    # Two rows of 120, four columns of 200, with a title and a legend.
    assert pixels.shape[1] == 4 * 204
    assert pixels[100, 100].tolist() == [255, 0, 0]
    assert pixels[230, 300].tolist() == list(PALETTE[1])
    assert pixels[100, 700].tolist() == [245, 245, 245]
