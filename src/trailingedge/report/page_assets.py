"""Styles and scripts that the report page and the live page share, and the policy under which they run."""

import hashlib
from base64 import b64encode
from importlib.resources import files


def chart_script() -> str:
    """Return uPlot with its licence, and the charts that are drawn with it (`charts.js`)."""
    licence = resource("vendor/uPlot.LICENSE").strip()
    return f"/*!\n{licence}\n*/\n{resource('vendor/uPlot.iife.min.js').strip()}\n{resource('charts.js')}"


def stylesheet() -> str:
    """Return the style of uPlot and of the report."""
    return f"{resource('vendor/uPlot.min.css').strip()}\n{resource('page.css')}"


def hash_source(text: str) -> str:
    """Return the source expression of an inline script or style. Source: CSP Level 3, hash-source."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def resource(name: str) -> str:
    """Return the text of a file that lies beside this module."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
