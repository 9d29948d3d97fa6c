"""Tests of benchmarks/compare_recipes.py."""

from __future__ import annotations

import pytest
from conftest import CLASS_NAMES, ROOT

from benchmarks import compare_recipes
from segnet.config import flags


def _result(name, budget, mean_iou):
    return {
        "name": name,
        "budget": budget,
        "changes": "--loss=focal" if name == "focal" else "",
        "steps": 12,
        "seconds": 90.0,
        "mean_iou": mean_iou,
        "mean_class_accuracy": 0.5,
        "boundary_f1": 0.25,
        "iou": {"ground": 0.9, "wall": 0.4, "disc": None},
        "rarest": ["disc", "wall"],
        "machine": "a processor, 2 cores, 2026-01-02",
    }


def test_the_table_has_the_best_of_each_budget_first():
    table = compare_recipes.format_results(
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
    assert "| recipe |  | 20 |" in table[4]
    assert table[-1] == "Measured on a processor, 2 cores, 2026-01-02."


def test_rarest_classes_come_from_the_manifest(data_dir):
    rarest = compare_recipes.rarest_classes(str(data_dir), 1)
    assert rarest == ["disc"]
    assert set(compare_recipes.rarest_classes(str(data_dir))) == set(
        CLASS_NAMES
    )


@pytest.mark.parametrize("recipe", sorted(compare_recipes.VARIANTS))
def test_variants_are_valid_and_differ(recipe):
    configs = []
    for changes in compare_recipes.VARIANTS[recipe].values():
        command = flags.parse_command(
            [
                "main.py",
                f"--flagfile={ROOT / 'configs' / recipe}.flags",
                "--workdir=run",
                *changes.split(),
            ]
        )
        flags.check_command(command)
        configs.append(command.config)
    assert len(set(configs)) == len(configs)


def test_an_unknown_variant_is_an_error_that_lists_them(capsys):
    with pytest.raises(SystemExit, match="2"):
        compare_recipes.main(
            ["demo", "--data_dir=a", "--output_dir=b", "--only=nonesuch"]
        )
    message = capsys.readouterr().err
    assert "no variant nonesuch; there are recipe, cross_entropy" in message
