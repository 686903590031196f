# SPDX-License-Identifier: Apache-2.0
"""The function that verifies updates, on the target, against vectors that nobody here wrote."""
import collections
import importlib.util
import re

from build import ROOT
from checks import check_output
from qemu import Qemu


def test_no_wrong_verdict_on_wycheproofs_signatures():
    spec = importlib.util.spec_from_file_location("vectors",
                                                  ROOT / "tests/target/wycheproof/vectors.py")
    vectors = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vectors)
    with Qemu("tests/target/wycheproof") as machine:
        check_output(machine, at_least=3)
    lock = (ROOT / "tools/deps.lock").read_text()
    folder = ROOT / f"build/deps/wycheproof-{re.search(r'wycheproof_version := (.*)', lock)[1]}"
    for bits in vectors.BITS:
        n = collections.Counter(test["result"] for _, test in vectors.tests(folder, bits))
        assert n.total() >= 258
        assert (f"RSA-{bits}: {n['valid']} valid, {n['invalid']} invalid, "
                f"{n['acceptable']} acceptable, 0 wrong verdicts") in machine.output.splitlines()
