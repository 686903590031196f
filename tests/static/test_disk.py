# SPDX-License-Identifier: Apache-2.0
"""tools/keys.py, tools/fit, tools/update, tools/disk.py, tools/config, tools/flash: what they write,
and what they refuse."""
import contextlib
import hashlib
import importlib.machinery
import importlib.util
import os
import re
import stat
import subprocess
import sys

import pytest
from build import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import disk  # noqa: E402


def load(name):
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def tool(name, *arguments, given=None, **env):
    return subprocess.run([ROOT / "tools" / name, *map(str, arguments)], input=given, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={k: v for k, v in os.environ.items() if k != "RELEASE"} | env)


# --- Keys and the signed image ----------------------------------------------------------------------

@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys") / "development"
    r = tool("keys.py", "new", folder)
    assert r.returncode == 0 and "development only" in r.stdout, "never silently"
    return folder


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "Image"
    path.write_bytes(bytes(range(256)) * 16)
    return path


def sign(image, keys, version="1.2.3", *more, **env):
    return tool("fit", image, image.with_suffix(".itb"), "--product", "test", "--version", version,
                "--keys", keys, *more, **env)


def update(image, keys, *more, **env):
    """Sign and make an update file; its path."""
    r = sign(image, keys, "1.2.3", *more, **env)
    out = image.with_suffix(".pith")
    if r.returncode == 0:
        r = tool("update", image.with_suffix(".itb"), out, "--keys", keys, *more, **env)
    assert r.returncode == 0, r.stdout
    return out


def released(keys, folder):
    """The same keys without the mark, as a stand-in for release keys."""
    folder.mkdir()
    for f in keys.iterdir():
        (folder / f.name).write_text(f.read_text().split("\n", 1)[1])
    return folder


def test_private_keys_are_for_their_owner_only(keys):
    for name in ("current.pem", "spare.pem"):
        assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600


def test_keys_that_are_there_stay(keys):
    before = {f: f.read_bytes() for f in keys.iterdir()}
    r = tool("keys.py", "new", keys)
    assert r.returncode and "has keys already" in r.stdout
    assert before == {f: f.read_bytes() for f in keys.iterdir()}


def test_the_default_folder_is_not_in_the_history():
    assert subprocess.run(["git", "check-ignore", "-q", "keys/current.pem"], cwd=ROOT).returncode == 0


def test_either_key_is_enough_for_u_boot(keys, tmp_path):
    tool("keys.py", "blob", keys, tmp_path / "keys.dtb")
    text = subprocess.check_output(["dtc", "-q", "-I", "dtb", tmp_path / "keys.dtb"], text=True)
    assert 'required-mode = "any"' in text and text.count('required = "conf"') == 2


def test_development_keys_are_loud_and_no_release(keys, image):
    assert "WARNING: development keys" in sign(image, keys).stdout
    r = sign(image, keys, RELEASE="1")
    assert r.returncode and "a release is not made with development keys" in r.stdout


def test_release_keys_make_a_release(keys, image, tmp_path):
    r = sign(image, released(keys, tmp_path / "release"), RELEASE="1")
    assert r.returncode == 0 and r.stdout == ""


def test_one_development_key_among_release_keys_is_found(keys, image, tmp_path):
    folder = released(keys, tmp_path / "release")
    (folder / "spare.pub").write_text((keys / "spare.pub").read_text())
    assert sign(image, folder, RELEASE="1").returncode


def test_a_key_that_no_device_has_is_refused(keys, image, tmp_path):
    tool("keys.py", "new", tmp_path / "others")
    r = sign(image, keys, "1.2.3", "--sign", tmp_path / "others/current.pem")
    assert r.returncode and "devices would refuse the image" in r.stdout
    assert not image.with_suffix(".itb").exists()


def test_the_same_image_is_signed_to_the_same_bytes(keys, image):
    out = image.with_suffix(".itb")
    for _ in range(2):
        assert sign(image, keys).returncode == 0
        first, out = out.read_bytes(), image.with_suffix(".itb")
    assert first == out.read_bytes()


@pytest.mark.parametrize("version, cell", [("0.0.1", 1), ("1.2.3", 0x402003), ("1.2.3-4-gabcdef0",
                                           0x402007), ("1023.1023.4095", 0xffffffff)])
def test_versions(version, cell):
    assert disk.version_cell(version) == cell


@pytest.mark.parametrize("version", ["", "1", "1.2", "1.2.x", "0.0.0", "1024.0.0", "1.2.4096", "v1.2.3"])
def test_what_is_no_version_is_refused(version):
    with pytest.raises(disk.Failure):
        disk.version_cell(version)


def test_a_token_signs(keys, image, tmp_path):
    """PKCS#11, as a hardware token has it: the private key is nowhere else."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    module = next((p for p in ("/usr/lib/softhsm/libsofthsm2.so",) if os.path.exists(p)), None)
    if not module:
        pytest.skip("softhsm2 is not installed")
    env = {"SOFTHSM2_CONF": str(tmp_path / "softhsm.conf"), "PKCS11_MODULE_PATH": module,
           "MKIMAGE_SIGN_PIN": "1234"}
    folder = released(keys, tmp_path / "release")
    run = lambda *c: subprocess.run([str(w) for w in c], check=True, capture_output=True,
                                    env=os.environ | env)
    run("softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", "1234",
        "--so-pin", "1234")
    run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", folder / "current.pem", "-out",
        tmp_path / "pkcs8.pem")
    run("softhsm2-util", "--import", tmp_path / "pkcs8.pem", "--token", "release", "--label",
        "current", "--id", "01", "--pin", "1234")
    run("openssl", "rsa", "-in", folder / "current.pem", "-pubout", "-outform", "DER", "-out",
        tmp_path / "public.der")
    by_file = update(image, folder).read_bytes()
    (folder / "current.pem").unlink()
    by_token = update(image, folder, "--sign", "pkcs11:token=release;object=current", **env)
    assert by_token.read_bytes() == by_file


# --- The update file: what OpenSSL, which did not make it, says of it ---------------------------------

@pytest.mark.parametrize("name", ["current", "spare"])
def test_an_update_is_what_its_header_describes(keys, image, tmp_path, name):
    data = update(image, keys, "--sign", keys / f"{name}.pem").read_bytes()
    fit = image.with_suffix(".itb").read_bytes()
    padded = len(fit) + -len(fit) % 512
    assert len(data) == padded + 1024
    assert data[:len(fit)] == fit and not any(data[len(fit):padded])
    trailer = data[padded:]
    der = subprocess.check_output(["openssl", "rsa", "-pubin", "-in", keys / f"{name}.pub",
                                   "-outform", "DER"], stderr=subprocess.DEVNULL)
    assert trailer[:64] == (b"PITHUPD1" + b"test".ljust(32, b"\0") +
                            (0x402003).to_bytes(4, "little") + len(fit).to_bytes(4, "little") +
                            hashlib.sha256(der).digest()[:8] + (256).to_bytes(4, "little") + bytes(4))
    (tmp_path / "signature").write_bytes(trailer[64:64 + 256])
    assert not any(trailer[64 + 256:])
    r = subprocess.run(["openssl", "dgst", "-sha256", "-verify", keys / f"{name}.pub", "-signature",
                        tmp_path / "signature"], input=data[:padded + 64], capture_output=True)
    assert r.stdout == b"Verified OK\n"
    assert disk.unpack_trailer(data) == ("test", 0x402003, len(fit))


def test_the_same_update_is_the_same_bytes(keys, image):
    assert update(image, keys).read_bytes() == update(image, keys).read_bytes()


def test_longer_keys_sign_updates(image, tmp_path):
    folder = tmp_path / "long"
    folder.mkdir()
    for name, bits in (("current", 3072), ("spare", 4096)):
        for command in (["genrsa", "-out", folder / f"{name}.pem", str(bits)],
                        ["rsa", "-in", folder / f"{name}.pem", "-pubout", "-out",
                         folder / f"{name}.pub"]):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
    for name, count in (("current", 384), ("spare", 512)):
        trailer = update(image, folder, "--sign", folder / f"{name}.pem").read_bytes()[-1024:]
        assert trailer[56:60] == count.to_bytes(4, "little") and not any(trailer[64 + count:])


def test_no_update_with_a_key_that_no_device_has(keys, image, tmp_path):
    sign(image, keys)
    tool("keys.py", "new", tmp_path / "others")
    r = tool("update", image.with_suffix(".itb"), tmp_path / "out", "--keys", keys, "--sign",
             tmp_path / "others/current.pem")
    assert r.returncode and "devices would refuse" in r.stdout and not (tmp_path / "out").exists()


def test_no_update_of_what_is_no_signed_image(keys, image, tmp_path):
    r = tool("update", image, tmp_path / "out", "--keys", keys)
    assert r.returncode and "is not an image of tools/fit" in r.stdout
    assert not (tmp_path / "out").exists()


def test_no_released_update_with_development_keys(keys, image, tmp_path):
    sign(image, keys)
    r = tool("update", image.with_suffix(".itb"), tmp_path / "out", "--keys", keys, RELEASE="1")
    assert r.returncode and "a release is not made with development keys" in r.stdout


@pytest.mark.parametrize("bits, exponent", [(1024, 65537), (2048, (1 << 32) + 1)])
def test_keys_that_no_device_takes_are_refused(tmp_path, bits, exponent):
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ("current", "spare"):
        private = subprocess.check_output(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt",
                                           f"rsa_keygen_bits:{bits}", "-pkeyopt",
                                           f"rsa_keygen_pubexp:{exponent}"],
                                          stderr=subprocess.DEVNULL)
        (folder / f"{name}.pub").write_bytes(subprocess.check_output(
            ["openssl", "pkey", "-pubout"], input=private))
    r = tool("keys.py", "source", folder, tmp_path / "keys.c")
    assert r.returncode and "devices take" in r.stdout and not (tmp_path / "keys.c").exists()


# --- The disk ---------------------------------------------------------------------------------------

@pytest.fixture
def card(keys, image, tmp_path):
    update(image, keys)
    return make_card(tmp_path / "card.img", image)


def make_card(path, image, *more):
    r = tool("sdcard", path, "--update", image.with_suffix(".pith"), *more,
             "--boot", "README=" + str(ROOT / "README.md"), ROOT / "boards/rpi/config.txt")
    assert r.returncode == 0, r.stdout
    return path


def test_the_card_is_sound(card, image, tmp_path):
    r = subprocess.run(["/usr/sbin/sfdisk", "--verify", card], text=True, capture_output=True)
    assert r.returncode == 0 and "No errors detected" in r.stdout
    fat = tmp_path / "fat"
    with open(card, "rb") as f:
        f.seek(disk.BOOT)
        fat.write_bytes(f.read(disk.PARTITIONS[0][2]))
        f.seek(disk.SLOT_A)
        whole = image.with_suffix(".pith").read_bytes()
        assert f.read(len(whole)) == whole
        f.seek(disk.SLOT_B)
        assert f.read(len(whole)) == whole
    assert subprocess.run(["/usr/sbin/fsck.fat", "-n", fat], capture_output=True).returncode == 0
    text = subprocess.check_output(["mtype", "-i", fat, "::config.txt"], text=True)
    assert "kernel=u-boot.bin" in text


def test_two_cards_are_the_same_bytes(card, image, tmp_path):
    again = make_card(tmp_path / "again.img", image)
    assert subprocess.run(["cmp", card, again]).returncode == 0


def test_both_copies_of_the_state_are_valid(card):
    with open(card, "rb") as f:
        for at in disk.STATE:
            f.seek(at)
            assert disk.unpack_state(f.read(disk.SECTOR)) == disk.first_state(0x402003)


def test_u_boot_reads_and_writes_what_the_state_has():
    """What one of its lists lacks would be lost at the next write."""
    script = (ROOT / "boards/boot.env").read_text()
    lists = re.findall(r"env (?:import|export) -c (?:-s 200 )?\$\{\w+\}(?: 200)? ([a-z ]+?)(?:;| &&)",
                       script)
    assert lists.count("seq") == 2
    rest = [names.split() for names in lists if names != "seq"]
    assert rest == [list(disk.STATE_NAMES)] * 3, "imported from either copy, exported"
    assert list(disk.STATE_NAMES) == sorted(disk.STATE_NAMES), "as env export sorts them"


def test_the_image_reads_and_writes_what_the_state_has():
    source = (ROOT / "kernel/state.c").read_text()
    written = re.findall(r"(\w+)=%[xs]\\n", source)
    read = re.findall(r'strcmp\(name, "(\w+)"\)', source) + re.findall(r'\{"(\w+)", +&s->', source)
    assert written == list(disk.STATE_NAMES) == sorted(read)


# --- Configuration ----------------------------------------------------------------------------------

def test_a_configuration_is_written_and_read(card):
    assert tool("config", "show", card).returncode, "a new card has none"
    assert tool("config", "set", card, "hostname=kitchen", "ip=dhcp").returncode == 0
    assert tool("config", "show", card).stdout == "hostname=kitchen\nip=dhcp\n"
    assert tool("config", "set", card, "hostname=hall", "ip=").returncode == 0
    assert tool("config", "show", card).stdout == "hostname=hall\n"


def test_a_configuration_comes_with_the_card(card, image, tmp_path):
    (tmp_path / "c").write_text("# a comment\nhostname=hall\n\nupdate=http://server/c.json\n")
    other = make_card(tmp_path / "other.img", image, "--config", tmp_path / "c")
    assert tool("config", "show", other).stdout == "hostname=hall\nupdate=http://server/c.json\n"
    assert tool("config", "load", card, tmp_path / "c").returncode == 0
    assert tool("config", "show", card).stdout == tool("config", "show", other).stdout


def test_a_token_that_can_be_guessed_is_refused(card):
    r = tool("config", "set", card, "token=sesame")
    assert r.returncode and "a token has at least 16 characters" in r.stdout
    assert tool("config", "set", card, "token=sixteen or more!").returncode == 0


def test_a_random_token_is_shown_once(card):
    r = tool("config", "set", card, "token=random")
    token = tool("config", "show", card).stdout.strip().removeprefix("token=")
    assert len(token) == 32 and token in r.stdout
    assert token not in tool("config", "set", card, "hostname=hall").stdout


@pytest.mark.parametrize("copy", [0, 1])
def test_either_copy_of_the_configuration_may_be_lost(card, copy):
    tool("config", "set", card, "hostname=hall")
    with open(card, "r+b") as f:
        f.seek(disk.CONFIG[copy] + 100)
        f.write(b"x")
    assert tool("config", "show", card).stdout == "hostname=hall\n"


def test_an_interrupted_write_leaves_the_older_configuration(card):
    tool("config", "set", card, "hostname=hall")
    before = [open(card, "rb").read()[at:at + disk.CONFIG_BYTES] for at in disk.CONFIG]
    tool("config", "set", card, "hostname=attic")
    after = [open(card, "rb").read()[at:at + disk.CONFIG_BYTES] for at in disk.CONFIG]
    changed = [i for i in (0, 1) if before[i] != after[i]]
    assert len(changed) == 1, "one copy at a time"
    with open(card, "r+b") as f:
        f.seek(disk.CONFIG[changed[0]] + 512)
        f.write(b"torn")
    assert tool("config", "show", card).stdout == "hostname=hall\n"


@pytest.mark.parametrize("line", ["no equals sign", "=value", "two words=1", "key=caf\u00e9", "9=1"])
def test_lines_that_are_no_configuration_are_refused(card, tmp_path, line):
    (tmp_path / "c").write_text("hostname=hall\n" + line + "\n")
    r = tool("config", "load", card, tmp_path / "c")
    assert r.returncode and "line 2" in r.stdout


def test_a_disk_of_somebody_else_is_left_alone(tmp_path):
    other = tmp_path / "other.img"
    other.write_bytes(bytes(disk.DISK_BYTES >> 8))
    r = tool("config", "set", other, "hostname=hall")
    assert r.returncode and "not a Pith disk" in r.stdout
    assert not any(other.read_bytes())


# --- tools/flash ------------------------------------------------------------------------------------

flash = load("flash")


class Fake(flash.Machine):
    """A machine with disks that are folders and files: disk("sda", 2) has sda1 and sda2."""

    def __init__(self, root):
        super().__init__(root)
        self.mounts, self.count = [], 0
        (root / "proc/self").mkdir(parents=True)
        (root / "sys/class/block").mkdir(parents=True)
        (root / "dev").mkdir()
        (root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
        self.mount("0:30", "proc", "/proc")

    def add(self, name, path, **files):
        self.count += 1
        folder = self.root / "sys/devices" / path
        folder.mkdir(parents=True)
        for key, value in ({"dev": f"8:{self.count}"} | files).items():
            (folder / key).write_text(value + "\n")
        (self.block / name).symlink_to(folder)

    def disk(self, name, partitions, sectors=1 << 20):
        self.add(name, name, size=str(sectors))
        (self.root / "sys/devices" / name / "device").mkdir()
        (self.root / "sys/devices" / name / "device/model").write_text("Card  \n")
        for i in range(1, partitions + 1):
            part = f"{name}{'p' if name[-1].isdigit() else ''}{i}"
            self.add(part, f"{name}/{part}", partition=str(i))

    def volume(self, name, *on):
        self.add(name, name)
        for part in on:
            (self.root / "sys/devices" / name / "slaves").mkdir(exist_ok=True)
            (self.root / "sys/devices" / name / "slaves" / part).symlink_to(self.block / part)
            holders = self.block.joinpath(part).resolve() / "holders"
            holders.mkdir(exist_ok=True)
            (holders / name).mkdir()

    def mount(self, number, source, point):
        self.mounts.append(f"1 2 {number} / {point} rw shared:1 - type {source} rw")
        (self.root / "proc/self/mountinfo").write_text("\n".join(self.mounts) + "\n")

    def refuses(self, device):
        with pytest.raises(disk.Failure) as refusal:
            self.check(device)
        return str(refusal.value)


@pytest.fixture
def machine(tmp_path):
    m = Fake(tmp_path / "root")
    m.disk("sda", 2)
    m.disk("mmcblk0", 4)
    m.mount(m.number("sda2"), "/dev/sda2", "/")
    return m


def test_a_card_in_a_reader_may_be_written(machine):
    assert machine.check("/dev/mmcblk0") == "mmcblk0"
    assert machine.describe("mmcblk0") == "Card"


def test_the_disk_of_the_system_is_refused(machine):
    assert "it holds /" in machine.refuses("/dev/sda")


def test_the_disks_below_a_volume_are_refused(tmp_path):
    m = Fake(tmp_path / "root")
    m.disk("sda", 2)
    m.disk("sdb", 1)
    m.volume("dm-0", "sda2", "sdb1")
    m.volume("dm-1", "dm-0")
    m.mount(m.number("dm-1"), "/dev/mapper/root", "/")
    assert "it holds /" in m.refuses("/dev/sda") and "it holds /" in m.refuses("/dev/sdb")


def test_a_root_whose_number_is_no_device(tmp_path):
    """btrfs: the file system has a number of its own, and names its device."""
    m = Fake(tmp_path / "root")
    m.disk("nvme0n1", 3)
    m.mount("0:25", "/dev/nvme0n1p3", "/")
    assert "it holds /" in m.refuses("/dev/nvme0n1")


def test_what_is_mounted_is_refused(machine):
    machine.mount(machine.number("mmcblk0p1"), "/dev/mmcblk0p1", "/media/card")
    assert "mmcblk0p1 is mounted on /media/card" in machine.refuses("/dev/mmcblk0")


def test_swap_is_refused(machine):
    (machine.root / "proc/swaps").write_text("Filename\n/dev/mmcblk0p3 partition 1 0 -2\n")
    assert "mmcblk0p3 is swap" in machine.refuses("/dev/mmcblk0")


def test_a_part_of_a_volume_is_refused(machine):
    machine.volume("md0", "mmcblk0p2")
    assert "mmcblk0p2 is part of md0" in machine.refuses("/dev/mmcblk0")


def test_a_partition_is_refused(machine):
    assert "the whole disk is /dev/mmcblk0" in machine.refuses("/dev/mmcblk0p1")


def test_what_is_no_disk_is_refused(machine):
    assert "is not a disk" in machine.refuses("/dev/null")


def test_this_machines_disk_is_refused_whatever_is_answered():
    m = flash.Machine()
    for name in m.system_disks():
        r = tool("flash", ROOT / "README.md", f"/dev/{name}", "--yes")
        assert r.returncode and "it holds /" in r.stdout


@pytest.fixture
def target(machine, tmp_path):
    """A card as a file, for the fake machine's mmcblk0."""
    path = machine.root / "dev/mmcblk0"
    path.write_bytes(bytes(disk.DISK_BYTES))
    return path


def test_flash_asks_and_takes_no_for_an_answer(machine, target, card, monkeypatch, capsys):
    for answer in ("", "y\n", "no\n"):
        monkeypatch.setattr("sys.stdin", __import__("io").StringIO(answer))
        with pytest.raises(disk.Failure, match="nothing was written"):
            flash.flash(card, target, machine=machine)
    said = capsys.readouterr().out
    assert "Card" in said and "MB" in said
    assert not any(target.read_bytes()[:disk.SECTOR])


def test_flash_writes_the_card_and_keeps_its_configuration(machine, target, card):
    flash.flash(card, target, yes=True, machine=machine)
    assert subprocess.run(["cmp", card, target]).returncode == 0
    tool("config", "set", target, "hostname=hall")
    flash.flash(card, target, yes=True, machine=machine)
    assert tool("config", "show", target).stdout == "hostname=hall\n"


def test_flash_brings_a_configuration(machine, target, card, tmp_path):
    (tmp_path / "c").write_text("hostname=attic\n")
    flash.flash(card, target, config=tmp_path / "c", yes=True, machine=machine)
    assert tool("config", "show", target).stdout == "hostname=attic\n"


def test_flash_finds_a_card_that_forgets(machine, target, card, monkeypatch):
    def forget(file):
        file.seek(disk.SLOT_A + 4096)
        file.write(b"\xff")
        file.flush()
    monkeypatch.setattr(flash, "sync", forget)
    with pytest.raises(disk.Failure, match="read back differs"):
        flash.flash(card, target, yes=True, machine=machine)


def test_flash_refuses_a_card_that_is_too_small(tmp_path, card):
    m = Fake(tmp_path / "root")
    m.disk("sdc", 0, sectors=1000)
    m.mount("8:99", "/dev/other", "/")
    with pytest.raises(disk.Failure, match="has 512000 bytes"):
        flash.flash(card, "/dev/sdc", yes=True, machine=m)


@contextlib.contextmanager
def loop_device(backing):
    """A file of a disk's size as a device of this machine."""
    backing.write_bytes(bytes(disk.DISK_BYTES))
    r = subprocess.run(["losetup", "--find", "--show", backing], text=True, capture_output=True)
    if r.returncode:
        pytest.skip(f"no loop device: {r.stderr.strip()}")
    try:
        yield r.stdout.strip()
    finally:
        subprocess.run(["losetup", "--detach", r.stdout.strip()], check=True)


def test_flash_writes_a_real_device(card):
    """A loop device: through the kernel, exclusively, read back past its cache."""
    backing = card.with_name("backing")
    with loop_device(backing) as loop:
        r = tool("flash", card, loop, given="yes\n")
        assert r.returncode == 0, r.stdout
        assert tool("config", "set", loop, "hostname=hall").returncode == 0
    assert tool("config", "show", backing).stdout == "hostname=hall\n"


def test_a_real_device_that_is_mounted_is_refused(card, tmp_path):
    (tmp_path / "mounted").mkdir()
    with loop_device(card.with_name("backing")) as loop:
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", loop], check=True)
        r = subprocess.run(["mount", loop, tmp_path / "mounted"], text=True, capture_output=True)
        if r.returncode:
            pytest.skip(f"no mount: {r.stderr.strip()}")
        try:
            r = tool("flash", card, loop, "--yes")
        finally:
            subprocess.run(["umount", loop], check=True)
        assert r.returncode and f"mounted on {tmp_path}/mounted" in r.stdout
        assert subprocess.run(["/usr/sbin/fsck.ext4", "-n", loop], capture_output=True).returncode == 0
