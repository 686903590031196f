# SPDX-License-Identifier: Apache-2.0
"""No damaged update is taken: every bit of it but for the image's, a bit of each of the image's sectors,
every truncation, random damage; a real update of the tools through the verifier that is in the image."""
import subprocess

from build import ROOT, build, make
from card import update

PROGRAM = ROOT / "build/host/bad_images"
KEYS = ROOT / "build/host/updates/keys"


def test_no_damaged_update_is_taken(tmp_path):
    make(PROGRAM.relative_to(ROOT), check=True)
    update(build("hello") / "Image", tmp_path / "hello.pith", "1.0.0", keys=KEYS, product="hello")
    r = subprocess.run([PROGRAM, tmp_path / "hello.pith", "50000"], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(r.stdout)
    assert r.returncode == 0, r.stdout
    assert r.stdout.splitlines()[-1] == "50000 damaged updates, 0 taken"
