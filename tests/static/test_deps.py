# SPDX-License-Identifier: Apache-2.0
"""tools/deps: nothing is unpacked that the lock does not pin, and every refusal says what to do."""
import hashlib
import os
import re
import shutil
import subprocess
import tarfile

import pytest
from build import ROOT


@pytest.fixture
def tree(tmp_path):
    """A repository with nothing but tools/deps and a lock of one small library."""
    (tmp_path / "repo/tools").mkdir(parents=True)
    (tmp_path / "folder").mkdir()
    shutil.copy(ROOT / "tools/deps", tmp_path / "repo/tools/deps")
    source = tmp_path / "small-1.0"
    (source / "src").mkdir(parents=True)
    (source / "src/small.c").write_text("int small;\n")
    tarball = tmp_path / "folder/small_1.0.orig.tar.gz"
    with tarfile.open(tarball, "w:gz") as t:
        t.add(source, "small-1.0")
    lock(tmp_path, hashlib.sha256(tarball.read_bytes()).hexdigest())
    return tmp_path


def lock(tree, sha256):
    (tree / "repo/tools/deps.lock").write_text(
        f"small_version := 1.0\nsmall_source := small\nsmall_tarball := small_1.0.orig.tar.gz\n"
        f"small_sha256 := {sha256}\nsmall_patch := small.patch\n")


def deps(tree, *names, **env):
    return subprocess.run([tree / "repo/tools/deps", *names], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=os.environ | env)


def unpacked(tree):
    return tree / "repo/build/deps/small-1.0"


def test_a_pinned_tarball_from_a_folder_is_unpacked(tree):
    r = deps(tree, "small", PITH_DEPS=str(tree / "folder"))
    assert r.returncode == 0, r.stdout
    assert (unpacked(tree) / "src/small.c").read_text() == "int small;\n"


def test_our_patch_is_applied_and_followed(tree):
    deps(tree, "small", PITH_DEPS=str(tree / "folder"))
    (tree / "repo/small.patch").write_text(
        "--- a/src/small.c\n+++ b/src/small.c\n@@ -1 +1 @@\n-int small;\n+int patched;\n")
    r = deps(tree, "small", PITH_DEPS=str(tree / "folder"))
    assert r.returncode == 0, r.stdout
    assert (unpacked(tree) / "src/small.c").read_text() == "int patched;\n"


def test_a_patch_that_does_not_fit_is_refused(tree):
    (tree / "repo/small.patch").write_text(
        "--- a/src/small.c\n+++ b/src/small.c\n@@ -1 +1 @@\n-int other;\n+int patched;\n")
    r = deps(tree, "small", PITH_DEPS=str(tree / "folder"))
    assert r.returncode and "patch failed" in r.stdout and not unpacked(tree).exists()


def test_a_wrong_hash_is_refused(tree):
    lock(tree, "0" * 64)
    r = deps(tree, "small", PITH_DEPS=str(tree / "folder"))
    assert r.returncode and "is not the file that tools/deps.lock pins" in r.stdout
    assert "0" * 64 in r.stdout and not unpacked(tree).exists()


def test_a_missing_tarball_says_which_and_where(tree):
    (tree / "folder/small_1.0.orig.tar.gz").unlink()
    r = deps(tree, "small", PITH_DEPS=str(tree / "folder"))
    assert r.returncode and "small_1.0.orig.tar.gz" in r.stdout and "PITH_DEPS=" in r.stdout
    assert re.search(r"sha256 [0-9a-f]{64}", r.stdout)


def test_no_network_says_what_to_do(tree):
    """apt is sent to a proxy where nobody listens: no byte leaves this machine."""
    nobody = "http://127.0.0.1:9/"
    config = tree / "apt.conf"
    config.write_text(f'Acquire::http::Proxy "{nobody}"; Acquire::https::Proxy "{nobody}";'
                      'Acquire::Retries "0";\n')
    r = deps(tree, "small", PITH_DEPS="", APT_CONFIG=str(config), http_proxy=nobody,
             https_proxy=nobody)
    assert r.returncode and "cannot fetch small_1.0.orig.tar.gz" in r.stdout
    assert "connect this machine to the Debian archive" in r.stdout and "PITH_DEPS=" in r.stdout


def test_an_unknown_name_is_refused(tree):
    r = deps(tree, "large")
    assert r.returncode and "usage" in r.stdout


def test_the_systems_apt_is_left_alone(tree):
    """The private configuration lies under build/, and its sources were derived, not invented."""
    before = sorted(os.listdir("/var/lib/apt/lists"))
    deps(tree, "small", PITH_DEPS="", http_proxy="http://127.0.0.1:9/",
         https_proxy="http://127.0.0.1:9/")
    assert sorted(os.listdir("/var/lib/apt/lists")) == before
    assert (tree / "repo/build/deps/apt/deb-src/sources/pith.sources").exists()
    assert "://" not in (ROOT / "tools/deps").read_text()


def test_qemu_10_from_a_folder_that_has_none_says_what_to_do(tree):
    r = deps(tree, "qemu10", PITH_DEPS=str(tree / "folder"))
    assert r.returncode and "cannot fetch QEMU 10" in r.stdout and "PITH_DEPS=" in r.stdout
    assert not (tree / "repo/build/deps/qemu10").exists()
