# SPDX-License-Identifier: Apache-2.0
"""Device trees of the test's own, as they are."""
import struct

from qemu import Qemu


def boot_with_tree(image, tree, tmp_path):
    """QEMU edits every tree that it is given: start at a stub that passes our own instead."""
    image_pa, tree_pa = 0x42000000, 0x46000000
    stub = tmp_path / "stub"
    stub.write_bytes(struct.pack("<4I2Q", 0x58000080,  # ldr x0, tree_pa
                                 0x580000a1,           # ldr x1, image_pa
                                 0xd61f0020, 0xd503201f,  # br x1; nop
                                 tree_pa, image_pa))
    return Qemu(image=stub, devices=[
        "-device", f"loader,file={image},addr={image_pa},force-raw=on",
        "-device", f"loader,file={tree},addr={tree_pa},force-raw=on"])
