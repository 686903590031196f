# SPDX-License-Identifier: Apache-2.0
"""What the documents list is what the sources have."""
import re

from build import ROOT, git_files


def known():
    """Every string that a driver matches."""
    found = set()
    for f in git_files("drivers/*.c"):
        for strings in re.findall(r'\.compatible = ((?:"[^"]*"\s*)+)', (ROOT / f).read_text()):
            found |= set(re.findall(r'([^"\s]+?)\\0', strings))
    assert len(found) > 20
    return found


def test_porting_lists_every_device_that_has_a_driver():
    text = (ROOT / "docs/porting.md").read_text()
    listed = set(re.findall(r"`([\w.,-]+)`", text))
    assert known() <= listed
    assert {name for name in listed if "," in name} <= known()


def test_links_between_documents_lead_somewhere():
    for f in git_files("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / f).read_text()):
            assert (ROOT / f).parent.joinpath(link).exists(), f"{f}: {link}"
