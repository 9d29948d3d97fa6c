"""tools/download_dataset.sh: web pages that come instead of the file."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pytest
from download_server import Answer
from download_site import (
    QUOTA,
    ZIP_PART,
    Site,
    archive,
    assert_one_line,
    create_site,
    names,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with create_site(tmp_path) as created:
        yield created


CONFIRM = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan
warning</title></head><body><form action="/search"><input name="q"></form>
<form id="download-form" action="{action}" method="get">
<input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="a&amp;b">
<input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="12-34"></form></body></html>"""


def confirm_page(action: str) -> Answer:
    page = CONFIRM.format(action=html.escape(action)).encode()
    return Answer(page, content_type="text/html", ranges=False)


FORM_ANSWER = "/file?export=download&id=a%26b&confirm=t&uuid=12-34"


@pytest.mark.parametrize("absolute", [False, True])
def test_confirmation_is_given(site, absolute):
    prefix = site.server.url if absolute else ""
    site.server.answers["/dataset1"] = Answer(location="/page")
    site.server.answers["/page"] = confirm_page(
        prefix + "/file?export=download"
    )
    site.server.answers[FORM_ANSWER] = Answer(archive())
    assert site.fetch("dataset1").returncode == 0
    assert names(site.folder) == ["dataset1"]
    asked = [path for path, _ in site.server.requests]
    assert asked == ["/dataset1", "/page", FORM_ANSWER]


def test_confirmation_then_resume(site):
    site.put(ZIP_PART, archive()[:70_000])
    site.server.answers["/dataset1"] = confirm_page("/file?export=download")
    site.server.answers[FORM_ANSWER] = Answer(archive(), cut_at=10_000)
    done = site.fetch("dataset1")
    assert done.returncode == 0, done
    assert site.server.requests[-2:] == [
        (FORM_ANSWER, "bytes=70000-"),
        (FORM_ANSWER, "bytes=80000-"),
    ]


def test_confirmation_without_end_is_given_up(site):
    site.server.answers["/dataset1"] = confirm_page("/file?export=download")
    site.server.answers[FORM_ANSWER] = confirm_page("/file?export=download")
    assert_one_line(site.fetch("dataset1"), "gave up", site.server.url)
    assert names(site.folder) == []


def test_form_that_leads_elsewhere_is_not_followed(site):
    # The same machine, but not the host that was asked.
    elsewhere = site.server.url.replace("127.0.0.1", "localhost") + "/file"
    site.server.answers["/dataset1"] = confirm_page(elsewhere)
    assert_one_line(site.fetch("dataset1"), "a form that leads to localhost")
    assert [path for path, _ in site.server.requests] == ["/dataset1"]


@pytest.mark.parametrize("status", [200, 403])
def test_quota_page_says_what_to_do(site, status):
    site.server.answers["/dataset1"] = Answer(QUOTA, status, "text/html")
    done = site.fetch("dataset1")
    assert_one_line(done, "24 hours", "browser", f"{site.folder}/dataset1.zip")
    assert names(site.folder) == []


def test_quota_page_leaves_the_part(site):
    site.put(ZIP_PART, archive()[:70_000])
    site.server.answers["/dataset1"] = Answer(QUOTA, ranges=False)
    assert_one_line(site.fetch("dataset1"), "24 hours")
    assert names(site.folder) == [ZIP_PART]
    assert (site.folder / ZIP_PART).read_bytes() == archive()[:70_000]


@pytest.mark.parametrize("what", ["dataset1", "vgg16"])
def test_any_other_page_is_told_from_data(site, what):
    page = b"\xef\xbb\xbf\n <html><title>Sign\nin\x07</title></html>"
    site.server.answers["/" + what] = Answer(page, content_type="text/html")
    done = site.fetch(what)
    assert_one_line(done, "web page (HTTP 200, 'Sign in')", "browser")
    assert names(site.folder) == []
