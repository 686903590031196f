# SPDX-License-Identifier: Apache-2.0
"""What the sources promise without being run: form, licence, and who may include what."""
import pathlib
import re
import subprocess

import pytest
from build import ROOT, git_files

C_FILES = git_files("*.c", "*.h")


def test_sources_are_formatted_by_clang_format():
    r = subprocess.run(["clang-format", "--dry-run", "-Werror", *C_FILES], cwd=ROOT, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0, "run `make format`:\n" + r.stdout[:4000]


def test_sources_are_clean_for_cppcheck():
    r = subprocess.run(["tools/lint"], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    assert r.returncode == 0, r.stdout


def test_every_source_names_its_licence():
    sources = C_FILES + git_files("*.S", "*.lds", "*.mk", "*.py", "Makefile", "tools/*", ".ci/*")
    texts = {"tools/help.txt"}
    without = [f for f in sources if f not in texts
               and "SPDX-License-Identifier:" not in "".join((ROOT / f).open().readlines()[:3])]
    assert not without


# --- The include rule: dependencies form a star around kernel/include ------------------------

# Where an #include may lead from each folder; a folder's own private headers are always allowed.
EVERYBODY = {"kernel/include"}
MAY_INCLUDE = {
    "kernel": EVERYBODY | {"arch-aarch64/include"},
    "arch-aarch64": EVERYBODY | {"arch-aarch64/include"},
    "drivers": EVERYBODY,
    "net": EVERYBODY | {"net/include"},
    "apps": EVERYBODY,
    "tools/template": EVERYBODY,
}
HEADER_FOLDERS = ("kernel/include", "kernel/include/posix", "arch-aarch64/include", "net/include")


def include_target(source, name):
    """The file of ours that an #include of name in source means, or None: a library's header."""
    for folder in (str(pathlib.PurePath(source).parent), *HEADER_FOLDERS):
        path = pathlib.Path(ROOT / folder / name).resolve()
        if path.is_file() and ROOT in path.parents:
            return str(path.relative_to(ROOT))
    return None


def include_allowed(source, target):
    folder = next((f for f in MAY_INCLUDE if source.startswith(f + "/")), None)
    if folder is None or target is None:
        return True
    if str(pathlib.PurePath(target).parent) == str(pathlib.PurePath(source).parent):
        return True
    return any(target.startswith(f + "/") for f in MAY_INCLUDE[folder])


def includes(source):
    return re.findall(r'(?m)^\s*#\s*include(?:_next)?\s*[<"]([^>"]+)[>"]', (ROOT / source).read_text())


def test_includes_follow_the_rule():
    wrong = [f"{source} includes {name}" for source in git_files("*.c", "*.h", "*.S")
             for name in includes(source)
             if not include_allowed(source, include_target(source, name))]
    assert not wrong


@pytest.mark.parametrize("source, target, allowed", [
    ("kernel/main.c", "arch-aarch64/include/arch/boot.h", True),
    ("drivers/pl011.c", "arch-aarch64/include/arch/boot.h", False),
    ("net/ip.c", "drivers/virtqueue.h", False),
    ("kernel/main.c", "drivers/virtqueue.h", False),
    ("drivers/virtio_net.c", "drivers/virtqueue.h", True),
    ("apps/hello/main.c", "kernel/line.h", False),
    ("apps/hello/main.c", "kernel/include/pith/gpio.h", True),
    ("drivers/pl011.c", "kernel/line.h", False),
])
def test_include_rule_tells_right_from_wrong(source, target, allowed):
    assert include_allowed(source, target) == allowed


# --- The log's printf knows less than printf (kernel/format.c) --------------------------------

LOGGED = re.compile(r'\b(?:klog|panic)\(((?:\s*"(?:[^"\\]|\\.)*")+)')
CONVERSION = re.compile(r"%(?:%|[0#]?\d*(?:\.\d+(?=s))?(?:(?:ll|l)(?=[dux])|z(?=u))?[scduxp])")


def unknown_conversions(source):
    """What the formats of the log's lines in this source have that format.c does not know."""
    texts = ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', m[1])) for m in LOGGED.finditer(source)]
    return [text for text in texts if "%" in CONVERSION.sub("", text)]


def test_the_log_knows_what_is_asked_of_it():
    wrong = [(f, text) for f in C_FILES if not f.startswith("tests/host/")    # its klog() is printf
             for text in unknown_conversions((ROOT / f).read_text())]
    assert not wrong


@pytest.mark.parametrize("text, known", [
    (r"%s: %d of %u, 100 %%, %c, %p", True), (r"%016lx %#llx %08x %zu %.12s", True),
    (r"%f", False), (r"%i", False), (r"%-2u", False), (r"%.*s", False), (r"%5.3d", False),
    (r"%hx", False), (r"%zd", False)])
def test_unknown_conversions_are_found(text, known):
    for call in (f'klog("{text}", 1);', f'panic("one: "\n\t      "{text}");'):
        assert (not unknown_conversions(call)) == known


def test_only_dt_c_knows_the_bytes_of_the_tree():
    """The token and header layout of a device tree blob; a magic number alone is no knowledge. What
    U-Boot boots (a FIT) is such a blob, too."""
    bytes_known = re.compile(r"\bFDT_(BEGIN|END|PROP|NOP)|libfdt|off_dt_strings|off_dt_struct")
    folders = ("kernel/", "drivers/", "net/", "apps/", "arch-aarch64/")
    knowing = [f for f in git_files("*.c", "*.h", "*.S")
               if f.startswith(folders) and bytes_known.search((ROOT / f).read_text())]
    assert knowing == ["kernel/dt.c", "kernel/fit.c"]


def test_drivers_are_found_by_compatible_only():
    """No #ifdef chooses a machine: features choose files."""
    machines = re.compile(r"(?mi)^\s*#\s*(if|ifdef|ifndef|elif)\b.*(board|rpi|raspi|bcm2|qemu|virt\b|FEAT_)")
    assert not [f for f in git_files("*.c", "*.h", "*.S")
                if not f.startswith("tests/") and machines.search((ROOT / f).read_text())]
