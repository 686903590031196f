# SPDX-License-Identifier: Apache-2.0
"""What the build promises: apps ship only what they use, outputs are reproducible, errors help."""
import hashlib
import os
import re
import shutil
import subprocess
import urllib.request

import pytest
from build import ROOT, VERSION, build, git_files, make
from qemu import Qemu

HELLO = (ROOT / "apps/hello/main.c").read_text()


def built(folder):
    """Where an app outside the repository is built."""
    return ROOT / "build" / folder.name


@pytest.fixture
def app(tmp_path):
    """Make an app outside the repository: app("name", "FEATURES := net", {"page.html": "..."}).
    It is called name-<pid>, so that two runs of the tests do not meet in build/."""
    made = []

    def new(name, app_mk, files=None):
        folder = tmp_path / f"{name}-{os.getpid()}"
        folder.mkdir()
        (folder / "app.mk").write_text(app_mk + "\n")
        for path, text in ({"main.c": HELLO} | (files or {})).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        made.append(built(folder))
        return folder
    yield new
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


# --- You ship only what you use --------------------------------------------------------------

def linked_files(folder):
    """The files that brought at least a byte, by name without suffix."""
    out = subprocess.check_output([ROOT / "tools/size", folder.relative_to(ROOT)], text=True, cwd=ROOT)
    table = re.search(r"(?m)^file .*\n((?:.+\n)+)", out)[1]
    return {line.split()[0] for line in table.splitlines()}


def symbols(folder):
    out = subprocess.check_output(["aarch64-linux-gnu-nm", folder / "image.elf"], text=True)
    names = {line.split()[-1] for line in out.splitlines()}
    return {n for n in names if not re.fullmatch(r"__\w+_(start|end)", n)}    # the linker script's


OF_A_FEATURE = re.compile(
    r"(^net/|lwip|http|virtio|virtqueue|sdhci|sdhost|/sd$|kernel/(netdev|block)$)")
SYMBOL_OF_A_FEATURE = re.compile(
    r"(virtio|virtqueue|netdev|netif|pbuf|lwip|dhcp|http|socket|^tcp_|^udp_|^block_|^dns_)")


def feature_code(folder):
    """Whatever of network, block and virtio is in an image."""
    return ({f for f in linked_files(folder) if OF_A_FEATURE.search(f)}
            | {s for s in symbols(folder) if SYMBOL_OF_A_FEATURE.search(s)})


def test_hello_contains_no_network_block_or_virtio_code():
    hello = build("hello")
    assert "kernel/main" in linked_files(hello)
    assert "main" in symbols(hello)
    assert not feature_code(hello)


@pytest.mark.parametrize("feature", ["net", "block", "rng"])
def test_the_same_check_fails_with_a_feature_added(app, feature):
    """The control of the test above."""
    found = feature_code(build(str(app(f"hello-{feature}", f"FEATURES := {feature}"))))
    assert any("/" in f and "virtio" in f for f in found)
    assert any("virtio" in s for s in found if "/" not in s)


def test_locks_of_libc_are_ours():
    """Debian's picolibc has lock functions that do nothing: malloc would race silently."""
    for name in ("hello", "web"):
        files = linked_files(build(name))
        assert any("picolibc/" in f for f in files)
        assert "picolibc/misc_lock" not in files


# --- Only headers that we mean ---------------------------------------------------------------

def foreign(depfile_text, app_dir):
    """The files of a dependency file that are neither ours, GCC's, picolibc's nor a pinned library's."""
    gcc = subprocess.check_output(["aarch64-linux-gnu-gcc", "-print-file-name=include"],
                                  text=True).strip()
    allowed = (str(ROOT) + "/", str(app_dir) + "/", gcc + "/",
               "/usr/lib/picolibc/aarch64-linux-gnu/include/")
    files = re.sub(r"\\\n", " ", depfile_text).replace(":", " ").split()
    return [f for f in files if not os.path.normpath(ROOT / f).startswith(allowed)]


@pytest.mark.parametrize("name", ["hello", "web"])
def test_no_dependency_file_names_a_foreign_path(name):
    depfiles = list((build(name) / "obj").rglob("*.d"))
    assert len(depfiles) > 20
    assert not {f for d in depfiles for f in foreign(d.read_text(), ROOT)}


def test_a_foreign_path_would_be_seen():
    text = "build/x.o: kernel/main.c \\\n /usr/aarch64-linux-gnu/include/stdio.h kernel/include/pith/log.h\n"
    assert foreign(text, ROOT) == ["/usr/aarch64-linux-gnu/include/stdio.h"]


def test_an_app_without_ipv6_has_none_of_it_and_serves_ipv4(app):
    folder = app("four", "FEATURES := net http\nOMIT := ipv6", {"main.c": """
#include <pith/http.h>
#include <stdio.h>

static int hello(struct http_request *rq)
{
	http_printf(rq, "Hello\\n");
	return http_reply(rq, 200, "text/plain");
}

int main(void)
{
	static const struct http_route routes[] = {{.path = "/", .respond = hello}, {}};
	struct http_server *server = http_open(&(struct http_config){.port = 80, .routes = routes});

	printf("serving\\n");
	while (server && http_step(server, -1) == 0)
		;
	return 1;
}
""".replace("\\\\n", "\\n")})
    with Qemu(image=build(folder) / "Image", net=True) as machine:
        machine.expect("^serving$")
        with urllib.request.urlopen(f"http://127.0.0.1:{machine.port()}/", timeout=60) as answer:
            assert answer.read() == b"Hello\n"
        assert "fe80" not in machine.output
    assert not [f for f in linked_files(built(folder)) if re.search("nd6|mld6|ip6_frag", f)]


def test_an_unknown_omission_is_an_error(app):
    assert "unknown in OMIT: ipv5" in make(f"APP={app('five', 'OMIT := ipv5')}").stdout


PRINTS = {    # without a double anywhere; one that only reads a double from memory and passes it on
    "%d %lld %zu %jd %hhx %p": ("-1, 1LL << 40, sizeof(int), (intmax_t)-5, 0x1ff, (void *)0x10",
                                "-1 1099511627776 4 -5 ff 0x10", "__i_vfprintf"),
    "%.2f %g": ("measured[0], measured[1]", "3.25 1e+20", "__d_vfprintf"),
}


@pytest.mark.parametrize("fmt", PRINTS)
def test_only_programs_with_doubles_have_a_printf_with_doubles(app, fmt):
    values, printed, printf = PRINTS[fmt]
    folder = app("prints", "", {"main.c": "#include <stdint.h>\n#include <stdio.h>\n\n"
                                "double measured[] = {3.25, 1e20};\n\nint main(void)\n{\n"
                                f'\tprintf("{fmt}\\n", {values});\n\treturn 0;\n}}\n'})
    with Qemu(image=build(folder) / "Image") as machine:
        machine.expect(f"^{re.escape(printed)}$")
    assert symbols(built(folder)) & {"__i_vfprintf", "__d_vfprintf"} == {printf}


# --- The link --------------------------------------------------------------------------------

def test_errata_of_the_cortex_a53_are_worked_around():
    """835769 by the compiler and the linker, 843419 by the linker: read from the commands."""
    commands = make("--always-make", "--dry-run", "V=1", "APP=hello", "build/hello/image.elf").stdout
    compiles = [l for l in commands.splitlines() if " -c " in l and l.strip().endswith(".c")]
    assert len(compiles) > 10 and all("-mfix-cortex-a53-835769" in l for l in compiles)
    link = next(l for l in commands.replace("\\\n", " ").splitlines() if "image.map" in l)
    assert "--fix-cortex-a53-843419=" in link and "-mfix-cortex-a53-835769" in link


LARGE = {
    "files": ("FILES := large.bin", """
        FILE *file = fopen("/large.bin", "r");
        fseek(file, -2, SEEK_END);
        int end = fgetc(file);"""),
    "arrays": ("", """
        static volatile char array[3 << 20];
        array[sizeof(array) - 1] = (char)strtol("101", NULL, 10);
        int end = array[sizeof(array) - 1];"""),
}


@pytest.mark.parametrize("what", LARGE)
def test_an_image_of_more_than_a_mebibyte_is_compiled_for_its_distances(app, what):
    app_mk, code = LARGE[what]
    source = f'#include <stdio.h>\n#include <stdlib.h>\nint main(void)\n{{{code}\nprintf("end: %c\\n", end);\n}}\n'
    folder = app("large", app_mk, {"main.c": source, "large.bin": "x" * (2 << 20) + "e\n"})
    assert "larger than 1 MiB" in make(f"APP={folder}", check=True).stdout
    with Qemu(image=built(folder) / "Image") as machine:
        machine.expect("^end: e$")


@pytest.mark.parametrize("name", ["hello", "web"])
def test_only_relative_relocations_are_left(name):
    """head.S applies R_AARCH64_RELATIVE and nothing else."""
    out = subprocess.check_output(["aarch64-linux-gnu-readelf", "-rW", build(name) / "image.elf"],
                                  text=True)
    kinds = set(re.findall(r"R_AARCH64_\w+", out))
    assert kinds == {"R_AARCH64_RELATIVE"}


# --- Reproducible ----------------------------------------------------------------------------

def test_two_builds_in_two_folders_are_the_same_bytes(tmp_path):
    deps = os.environ.get("PITH_DEPS") or ROOT / "build/deps/tarballs"
    build("web")    # fetches what is missing, makes keys
    folders = tmp_path / "a", tmp_path / "another/deeper"
    for name in git_files():
        (folders[0] / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folders[0] / name)
    shutil.copytree(folders[0], folders[1])
    for folder in folders:
        make("APP=web", f"KEYS={ROOT / 'keys'}", cwd=folder, env={"PITH_DEPS": str(deps)}, check=True)
    a, b = (hashlib.sha256((f / "build/web/Image").read_bytes()).hexdigest() for f in folders)
    assert a == b


# --- Apps anywhere, and errors that help -----------------------------------------------------

def test_app_outside_the_repository_builds_into_build(app):
    folder = app("outside", "FEATURES :=\nCFLAGS := -DANSWER=42\n",
                 {"main.c": "int main(void)\n{\n\treturn ANSWER;\n}\n"})
    make(f"APP={folder}", check=True)
    for name in ("Image", "image.elf", "image.map"):
        assert (built(folder) / name).stat().st_size


def test_version_is_the_apps_without_blanks(app):
    """Of `VERSION := 1.2.0  # comment` make keeps the blanks before the comment."""
    folder = app("versioned", "VERSION := 1.2.0    # the next one")
    make(f"APP={folder}", f"build/{folder.name}/obj/version.c", check=True)
    assert '"1.2.0"' in (built(folder) / "obj/version.c").read_text()


def test_an_app_finds_lwips_raw_api(app):
    """With the feature `net` (pith/net.h); without, there is no such header."""
    source = {"main.c": "#include <lwip/tcp.h>\n#include <pith/net.h>\n\nint main(void)\n{\n"
                        "\tnet_lock();\n\ttcp_abort(tcp_new());\n\tnet_unlock();\n\treturn 0;\n}\n"}
    with_net, without = app("raw", "FEATURES := net", source), app("unraw", "", source)
    make(f"APP={with_net}", f"build/{with_net.name}/obj/app/main.o", check=True)
    assert "lwip/tcp.h" in make(f"APP={without}", f"build/{without.name}/obj/app/main.o").stdout


def test_image_has_the_linux_arm64_header():
    image = (build("hello") / "Image").read_bytes()
    assert image[56:60] == b"ARM\x64"
    assert int.from_bytes(image[8:16], "little") == 0x200000    # text_offset
    assert int.from_bytes(image[24:32], "little") == 0xa        # little endian, 4 KiB, anywhere
    assert int.from_bytes(image[16:24], "little") >= len(image)    # image_size, bss included


def test_no_padding_to_pages_is_in_the_file():
    """Text, constants and data have pages of their own in memory only (tools/image)."""
    assert bytes(512) not in (build("hello") / "Image").read_bytes()


def test_files_are_bundled_and_followed(app):
    """FILES brings files and whole folders, and a changed or new file rebuilds the image."""
    folder = app("bundles", "FILES := www one.txt",
                 {"www/index.html": "<p>first edition</p>", "www/deep/x.css": "a-style-sheet{}",
                  "one.txt": "the only line", "not-me.txt": "never bundled"})
    make(f"APP={folder}", check=True)
    bundle = built(folder) / "obj/bundle.S"
    listing = bundle.read_text()
    assert re.findall(r'\.asciz "(.*)"', listing) == ["/one.txt", "/www/deep/x.css", "/www/index.html"]
    (folder / "www/index.html").write_text("<p>second edition</p>")
    (folder / "www/new.txt").write_text("newly arrived")
    make(f"APP={folder}", check=True)
    assert "/www/new.txt" in bundle.read_text()


def test_a_changed_patch_is_applied_and_rebuilds():
    build("web")
    assert "tools/deps" not in make("--dry-run", "APP=web").stdout
    todo = make("--dry-run", "APP=web", "--what-if=net/lwip.patch").stdout
    assert "tools/deps lwip" in todo and "src/core/tcp.o" in todo


@pytest.mark.parametrize("app_mk, said", [
    ("FEATURES := net wings", "unknown in FEATURES: wings"),
    ("FILES := nothing.html", "there is no"),
    ("FILES := ../../etc", "is not below"),
])
def test_a_wrong_app_mk_says_what_is_wrong(app, app_mk, said):
    r = make(f"APP={app('wrong', app_mk)}")
    assert r.returncode and said in r.stdout


def test_an_app_that_is_not_there_says_how_to_make_it():
    r = make("APP=nonesuch")
    assert r.returncode and "no app.mk" in r.stdout and "make new APP=nonesuch" in r.stdout


def test_blanks_in_a_path_are_refused(tmp_path):
    r = make(f"APP={tmp_path}/my app", "new")
    assert r.returncode and "no blanks in a path" in r.stdout and not list(tmp_path.iterdir())


def test_building_without_python_says_what_to_do(tmp_path):
    r = subprocess.run([shutil.which("make"), "APP=hello"], cwd=ROOT, env={"PATH": str(tmp_path)},
                       text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode and "python3 is not installed" in r.stdout and "make setup" in r.stdout


def test_make_new_makes_an_app_that_builds(tmp_path):
    folder = tmp_path / f"mine-{os.getpid()}"
    try:
        make("new", f"APP={folder}", check=True)
        make(f"APP={folder}", check=True)
        assert (built(folder) / "Image").exists()
        again = make("new", f"APP={folder}")
        assert again.returncode and "already there" in again.stdout
    finally:
        shutil.rmtree(built(folder), ignore_errors=True)


def test_compile_commands_cover_every_source_of_the_app():
    make("compdb", "APP=hello", check=True)
    text = (ROOT / "compile_commands.json").read_text()
    assert "kernel/main.c" in text and str(ROOT / "apps/hello/main.c") in text


def test_size_accounts_for_every_byte_of_the_image():
    build("hello")
    out = make("size", "APP=hello", f"VERSION={VERSION}", check=True).stdout
    total = re.search(r"(?m)^total +(\d+) +(\d+) +(\d+)$", out)
    image = int(re.search(r"Image file: (\d+) bytes", out)[1])
    assert int(total[1]) + int(total[2]) == image
    assert not re.search(r"(?m)^FILES ", out), "hello bundles no files"
