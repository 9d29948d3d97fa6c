"""The report of a run, opened in Chromium as people open it.

`make test-browser` brings what it needs: Chromium, its driver and axe-core.
After `make demo` the demo's report is opened, too.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run_flags

import main

pytestmark = pytest.mark.browser

_AXE = Path(__file__).with_name("node") / "node_modules/axe-core/axe.min.js"
_DEMO = Path(ROOT, "demo", "run", "report", "index.html")
_SIZES = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 390, "height": 844},
}


@pytest.fixture(scope="module")
def whole(data_dir, folders, tmp_path_factory):
    """The page of a tiny run, with all parts that there can be."""
    folder = tmp_path_factory.mktemp("browser")
    for name, seed in (("run", 0), ("other", 1)):
        flags = run_flags(data_dir, folder / name, "--epochs=6")
        assert main.main([*flags, f"--seed={seed}"]) == 0
    command = [
        "main.py", "report", f"--workdir={folder / 'run'}",
        f"--compare_to={folder / 'other'}",
        f"--image_path={folders / 'train' / 'images'}",
    ]  # fmt: skip
    assert main.main(command) == 0
    return folder / "run" / "report" / "index.html"


@pytest.fixture(scope="module", params=["whole", "demo"])
def report(request, tmp_path_factory):
    """A page, where none of the files are that it was made from."""
    made = _DEMO
    if request.param == "whole":
        made = request.getfixturevalue("whole")
    elif not made.exists():
        pytest.skip(f"{made} is not there: make demo")
    page = tmp_path_factory.mktemp("mailed") / "index.html"
    return shutil.copy(made, page)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "no Chromium; make test-browser installs it"
    # Its sandbox does not work for root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, report):
    """Opens the page; at the end it must have said and asked for nothing."""
    contexts, faults = [], []

    def open_page(size="desktop", scheme="light"):
        context = chromium.new_context(
            viewport=_SIZES[size], color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                faults.append(request.url[:80])
                if not request.url.startswith(("data:", f"file://{report}"))
                else None
            ),
        )
        page.goto(f"file://{report}")
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def _shown(page):
    """Scores of the cards, in the order in which they stand."""
    return [
        json.loads(text)
        for text in page.eval_on_selector_all(
            "#gallery .card", "cards => cards.map(c => c.dataset.scores)"
        )
    ]


def test_all_parts_are_there(opened, report, whole):
    page = opened()
    parts = ["Scores", "Training", "Confidence", "Pictures",
             "Labels that look wrong"]  # fmt: skip
    if filecmp.cmp(report, whole):
        parts += ["Compared", "What to label next"]
    titles = page.locator("h2").all_inner_texts()
    assert set(parts) <= set(titles)
    broken = page.eval_on_selector_all(
        "img", "all => all.filter(i => !i.naturalWidth).length"
    )
    assert broken == 0
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1


@pytest.mark.parametrize(
    ("order", "down"), [("pixel_accuracy", False), ("missed 2", True)]
)
def test_pictures_are_sorted(order, down, opened):
    page = opened()
    first = [scores["mean_iou"] for scores in _shown(page)]
    assert first == sorted(first) and len(first) >= 5
    page.select_option("#order", order)
    values = [scores[order] for scores in _shown(page)]
    assert values == sorted(values, reverse=down)
    said = page.locator("#gallery .score").all_inner_texts()
    assert said == [f"{value:.3f}" for value in values]


def test_a_table_is_sorted_by_a_click_and_by_a_key(opened):
    page = opened()
    head = page.locator("th", has=page.get_by_role("button", name="IoU")).first
    cells = "table:has(th button) tbody tr td:nth-child(2)"

    def values():
        return [float(x) for x in page.locator(cells).all_inner_texts()]

    head.get_by_role("button").click()
    assert values() == sorted(values(), reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    assert values() == sorted(values())
    assert head.get_attribute("aria-sort") == "ascending"


def test_the_layer_and_how_far_it_covers(opened):
    page = opened()
    seen = page.locator("#gallery .card").first.locator("img.layer:visible")
    for layer in ("truth", "errors", "confidence", "prediction"):
        page.select_option("#layer", layer)
        assert seen.count() == 1
        assert seen.get_attribute("data-layer") == layer
    opacity = "image => getComputedStyle(image).opacity"
    assert seen.evaluate(opacity) == "0.6"
    page.locator("#fade").focus()
    page.keyboard.press("End")
    assert seen.evaluate(opacity) == "1"
    page.keyboard.press("Home")
    assert seen.evaluate(opacity) == "0"


@pytest.mark.parametrize(
    "gallery", ["gallery", "suspects", "unlabelled", "changed"]
)
def test_pictures_are_enlarged_and_keys_go_on(gallery, opened):
    page = opened()
    cards = page.locator(f"#{gallery} .card")
    if not cards.count():
        pytest.skip("there is none")
    names = cards.evaluate_all("cards => cards.map(card => card.dataset.name)")
    small = cards.first.locator("img").first.bounding_box()["width"]
    cards.first.focus()
    page.keyboard.press("Enter")
    viewer, title = page.locator("#viewer"), page.locator("#viewer-title")
    assert viewer.is_visible() and title.inner_text() == names[0]
    assert viewer.locator("img").first.bounding_box()["width"] > small
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == names[1 % len(names)]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert title.inner_text() == names[-1]
    viewer.get_by_role("button", name="Next picture").click()
    assert title.inner_text() == names[0]
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    # Where one was before.
    focused = page.evaluate("() => document.activeElement.dataset.name")
    assert focused == names[0]


@pytest.mark.parametrize("size", list(_SIZES))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_of_accessibility(size, scheme, opened):
    page = opened(size, scheme)
    script = _AXE.read_text()
    for enlarged in (False, True):
        if enlarged:
            page.locator("#gallery .card").first.click()
        page.evaluate(script)
        found = page.evaluate("() => axe.run()")
        serious = [
            (fault["id"], [node["html"][:120] for node in fault["nodes"]][:3])
            for fault in found["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert len(found["passes"]) > 10


def test_the_tools_of_the_pictures_stay_with_them(opened):
    page = opened()
    bar = page.locator(".tools")
    page.locator("#gallery .card").last.scroll_into_view_if_needed()
    assert bar.bounding_box()["y"] >= 0
    for part in ("#labels", "#next", "#comparison"):
        link = page.locator(f"nav a[href='{part}']")
        if not link.count():  # The page of the demo has the first alone.
            continue
        link.click()
        box = bar.bounding_box()
        heading = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= heading["y"]


def test_nothing_is_wider_than_a_phone(opened):
    page = opened("phone")
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= _SIZES["phone"]["width"]
