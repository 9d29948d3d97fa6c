from __future__ import annotations

import html.parser
import json
import re

import numpy as np
import pytest

import main
from segnet.evaluation import calibration
from segnet.evaluation.image_scores import ImageScores
from segnet.report.measured import choose


class _Page(html.parser.HTMLParser):
    """What a page consists of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag, **wanted):
        return [
            attrs
            for name, attrs in self.tags
            if name == tag and wanted.items() <= attrs.items()
        ]


@pytest.fixture(scope="module")
def page(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("reported") / "a <b>run"
    status = main.main(
        [
            "main.py", f"--data_dir={data_dir}", f"--workdir={workdir}",
            "--input_height=32", "--input_width=48", "--batch_size=5",
            "--width_multiplier=0.125", "--epochs=2", "--device=cpu",
            "--log_every_steps=1",
        ]
    )  # fmt: skip
    assert status == 0
    # The training made it.
    written = workdir / "report" / "index.html"
    page = _Page(written.read_text())
    written.unlink()
    command = ["main.py", "report", f"--workdir={workdir}"]
    assert main.main(command) == 0
    assert len(_Page(written.read_text()).tags) == len(page.tags)
    return page


def test_the_page_needs_no_other_file(page):
    sources = [
        attrs[key]
        for _, attrs in page.tags
        for key in ("src", "href")
        if attrs.get(key)
    ]
    assert len(sources) > 25
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "a <b>run" in page.text  # escaped in the file
    assert not page.all("b")


def test_every_image_is_shown_with_all_layers(page):
    cards = page.all("button", **{"class": "card"})
    shown = [json.loads(c["data-scores"]) for c in cards if "data-scores" in c]
    assert len(shown) == 5
    for layer in ("prediction", "truth", "errors", "confidence"):
        found = page.all("img", **{"data-layer": layer})
        assert len(found) == 5
    for scores in shown:
        assert 0 <= scores["mean_iou"] <= 1
        assert {"missed 0", "invented 2", "iou 1"} <= scores.keys()
    assert all("alt" in image for image in page.all("img"))


def test_the_page_says_how_good_and_on_what(page):
    words = " ".join(page.text.split())
    assert re.search("on 5 images of .val., trained on 10 images", words)
    assert re.search("4 steps, 2 epochs at 32.48", words)
    for name in ("ground", "wall", "disc", "calibration error"):
        assert name in words
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    for link in page.all("a"):
        assert link["href"][1:] in ids


def test_a_workdir_without_a_run_is_told(tmp_path, capsys):
    assert main.main(["main.py", "report", f"--workdir={tmp_path}"]) == 2
    assert "has no config.json" in capsys.readouterr().err


def test_of_many_images_the_telling_ones_are_shown():
    number, classes = 60, 2
    counts = np.zeros((number, 3, classes), np.int64)
    # Image i is right in 40 + i of 100 pixels of the first class.
    counts[:, 0, 0] = 40 + np.arange(number) // 2
    counts[:, 1, 0] = counts[:, 2, 0] = 100
    counts[33, 1, 1] = 500  # of the second, all missed
    counts[21, 2, 1] = 500  # and where it is invented
    images = ImageScores(
        counts,
        np.zeros((number, calibration.NUM_BINS, 3), np.int64),
        np.zeros(number),
        np.zeros((number, classes)),
    )
    assert choose(images, 60) == list(range(60))
    chosen = choose(images, 25)
    assert len(chosen) == 25
    assert chosen == sorted(set(chosen))
    assert {0, 1, 2, 33, 21, 57, 58, 59} <= set(chosen)
