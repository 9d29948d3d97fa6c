"""Hooks of mkdocs: pages from outside docs/, and the API reference.

README.md and its neighbours are pages of the site, README.md the first one.
Links are written for reading the files where they lie; here they are changed to
what they are called in the site. Links to files that are no pages become text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

__all__ = ["on_config", "on_files", "on_page_markdown"]

_ROOT = Path(__file__).resolve().parents[1]
# Files of the root -> pages.
_PAGES = {
    "README.md": "index.md",
    "BUILD.md": "BUILD.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
_REFERENCE = "reference.md"
# What `import segnet` has, where it is defined.
_FUNCTIONS = ("convert", "recipe", "train", "evaluate", "load", "export")
_CLASSES = {
    "Config": "segnet.config.config.Config",
    "Model": "segnet.evaluation.model.Model",
    "TrainResult": "segnet.training.start.TrainResult",
}
_ERRORS = ("UserError", "ConfigError", "DataError", "RunError")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Gives headings the anchors that they have on GitHub."""
    toc = config.mdx_configs.setdefault("toc", {})
    toc |= {"slugify": slugify(case="lower"), "permalink": True}
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that do not lie in docs/."""
    pages = {page: (_ROOT / name).read_text() for name, page in _PAGES.items()}
    for page, text in {**pages, _REFERENCE: _reference()}.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **unused: Any) -> str:
    """Changes the links of a page to those of the site."""
    source = {page: name for name, page in _PAGES.items()}.get(
        page.file.src_uri, f"docs/{page.file.src_uri}"
    )
    parts = _CODE.split(markdown)
    # Those at odd places are code.
    parts[::2] = [
        _LINK.sub(lambda match: _link(match, source), part)
        for part in parts[::2]
    ]
    return "".join(parts)


def _link(match: re.Match[str], source: str) -> str:
    """A link as it is in the site.

    Args:
      match: Of `_LINK`.
      source: Path of the file that has it, in the repository.
    """
    image, text, target = match.groups()
    if "://" in target or target.startswith(("#", "mailto:")):
        return match[0]
    path, mark, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if path in _PAGES:
        path = _PAGES[path]
    elif path.startswith("docs/"):
        path = path.removeprefix("docs/")
    elif (_ROOT / path).exists():
        return text
    return f"{image}[{text}]({path}{mark}{anchor})"


def _reference() -> str:
    """The page of what `import segnet` has."""
    lines = [
        "# API reference",
        "",
        "What `import segnet` has; [From Python](python.md) shows it in use.",
        "",
        "## Functions",
        "",
    ]
    lines += [f"::: segnet.api.{name}\n" for name in _FUNCTIONS]
    lines += ["## Classes", ""]
    lines += [f"::: {path}\n" for path in _CLASSES.values()]
    lines += ["## Errors", ""]
    lines += [f"::: segnet.errors.{name}\n" for name in _ERRORS]
    return "\n".join(lines)
