# SPDX-License-Identifier: Apache-2.0
"""What every pytest part shares: the modules in tests/lib."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
