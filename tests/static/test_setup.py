# SPDX-License-Identifier: Apache-2.0
"""tools/setup: installs what is missing on Debian, or says in a sentence what to install."""
import os
import re
import subprocess

import pytest
from build import ROOT, make


@pytest.fixture
def machine(tmp_path):
    """A PATH on which only the commands given exist: machine({"id": "echo 0"}) runs setup there."""
    def run(commands, what="run"):
        for name, script in commands.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        return subprocess.run(["/bin/sh", ROOT / "tools/setup", what], text=True,
                              env=os.environ | {"PATH": str(tmp_path)}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    return run


NOTHING_INSTALLED = {"dpkg-query": "exit 1", "apt-get": 'echo "apt-get $*"',
                     "env": 'shift; exec "$@"'}


def test_nothing_is_done_when_nothing_is_missing(machine):
    everything = {"dpkg-query": 'shift 3; for p in "$@"; do printf "%s:installed " "$p"; done',
                  "apt-get": "echo apt-get was called; exit 1"}
    r = machine(everything, "test")
    assert r.returncode == 0 and r.stdout == ""


def test_what_is_missing_is_installed_by_root(machine):
    r = machine(NOTHING_INSTALLED | {"id": "echo 0"})
    assert r.returncode == 0
    assert "apt-get install" in r.stdout and "gcc-aarch64-linux-gnu" in r.stdout


def test_sudo_is_used_where_it_is_needed(machine):
    r = machine(NOTHING_INSTALLED | {"id": "echo 1000", "sudo": 'echo "sudo $*"; "$@"'})
    assert r.returncode == 0 and "sudo env DEBIAN_FRONTEND=noninteractive apt-get install" in r.stdout


def test_a_user_without_root_is_told_what_to_type(machine):
    r = machine(NOTHING_INSTALLED | {"id": "echo 1000"})
    assert r.returncode and "As root, run:" in r.stdout
    assert ("apt-get update && apt-get install --no-install-recommends gcc-aarch64-linux-gnu"
            in r.stdout)


def test_apt_failing_is_said(machine):
    r = machine({"dpkg-query": "exit 1", "apt-get": "exit 100", "id": "echo 0"})
    assert r.returncode and "could not install" in r.stdout and "Debian archive" in r.stdout


def test_another_system_is_told_what_to_install(machine):
    r = machine({})
    assert r.returncode and "not a Debian system" in r.stdout and "picolibc" in r.stdout


def test_what_set_up_installs_is_not_used_before():
    """On a fresh machine there is no Python, compiler or openssl yet when `make run` begins."""
    lines = make("--always-make", "--dry-run", "run").stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if "tools/setup run" in line)
    users = [i for i, line in enumerate(lines)
             if re.search(r"tools/(bundle|keys\.py|deps|image)\b|aarch64-linux-gnu-gcc", line)]
    assert users and first < min(users), lines[min(users)]
