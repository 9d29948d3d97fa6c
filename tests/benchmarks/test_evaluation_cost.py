from __future__ import annotations

from benchmarks import evaluation_cost


def test_it_compares_in_turn(trained, capsys):
    argv = [f"--workdir={trained}", "--rounds=2"]
    assert evaluation_cost.main(argv) == 0
    printed = capsys.readouterr().out
    for line in (
        "5 images",
        "all of it: ",
        "without details: ",
        "ratio of time: ",
        "ratio of computing: ",
    ):
        assert line in printed
