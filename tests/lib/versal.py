# SPDX-License-Identifier: Apache-2.0
"""QEMU's Xilinx Versal: another SoC, with an Arasan SD controller that has ADMA2."""
from qemu import Qemu


class Versal(Qemu):
    """It brings its own tree."""

    def __init__(self, app=None, *, image=None, append="", devices=(), qmp=False):
        self._prepare()
        self.command = ["qemu-system-aarch64", "-M", "xlnx-versal-virt", "-m", "256M",
                        *self._kernel(app, image, append), "-display", "none", "-monitor", "none",
                        "-serial", "stdio", "-no-user-config", *devices, *self._qmp_options(qmp)]
