# SPDX-License-Identifier: Apache-2.0
"""Memory for devices; and DMA_DEBUG=1, which makes mistakes with it fail in QEMU, which has no
caches."""
import pytest
from build import build
from checks import check_output
from pi import BOARDS, Pi
from qemu import Qemu

builds = pytest.mark.parametrize("variables", [(), ("DMA_DEBUG=1",)], ids=["plain", "debug"])


def image(app, variables):
    return build(app, *variables) / "Image"


@builds
@pytest.mark.parametrize("memory", ["8M", "64M", "5G"])
def test_buffers_go_and_come_back(variables, memory):
    with Qemu(image=image("tests/target/dma", variables), memory=memory) as m:
        check_output(m, at_least=5)


@builds
def test_a_forgotten_unmap(variables):
    with Qemu(image=image("tests/target/dma", variables), append="forget") as m:
        m.expect("read db" if variables else "read 22")


@builds
def test_a_write_into_what_the_device_reads(variables):
    with Qemu(image=image("tests/target/dma", variables), append="panic=halt write") as m:
        m.expect(r"dma_debug\.c.*assertion failed" if variables else "nobody noticed")


@pytest.mark.parametrize("board", BOARDS)
def test_firmware_calls_with_the_debug_build(board):
    with Pi(board, image=image("tests/target/pi", ("DMA_DEBUG=1",)), append="firmware") as m:
        check_output(m)
