"""What pyproject.toml cannot say: the recipes become part of the package.

They lie in `configs/`, where people look for them, and are installed as
`segnet/configs/`, where `segnet.installation` looks for them.
"""

from __future__ import annotations

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["segnet", "segnet.*"]), "segnet.configs"],
    package_dir={"segnet.configs": "configs"},
    package_data={
        # tests/test_package.py finds what is missing here.
        "": ["*.css", "*.html", "*.js", "*.svg"],
        "segnet": ["py.typed", "report/templates/*"],
        "segnet.configs": ["*.flags"],
    },
)
