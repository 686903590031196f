#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The keys that images are signed with: an RSA key in use, and a spare that is kept offline.

    tools/keys.py new FOLDER            make development keys, unless there are keys
    tools/keys.py blob FOLDER OUT       the public keys as the device tree blob that U-Boot verifies with
    tools/keys.py source FOLDER OUT     the same as the C source that Pith verifies updates with
    tools/keys.py check FOLDER          say, if so, that they are development keys

A folder of keys has current.pub and spare.pub, public keys in PEM; both are built into every
device, which takes what either of them signed. With current.pem, the private key, images are
signed; where that is in a token, it is not in the folder and named by its PKCS#11 URI instead. For
development, spare.pem is there, too. Development keys say so in a line of text above the PEM data;
RELEASE=1 in the environment refuses them.
"""
import hashlib
import os
import pathlib
import re
import subprocess
import sys

from disk import Failure

MARK = "Pith development key: anybody with this computer's files has it.\n"
NAMES = ("current", "spare")
BITS = (2048, 3072, 4096)


def openssl_bytes(*arguments, given=None):
    try:
        r = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True)
    except FileNotFoundError:
        raise Failure("openssl is not installed; tools/setup installs what is missing")
    if r.returncode:
        raise Failure(f"openssl {arguments[0]}: {r.stderr.decode().strip()}")
    return r.stdout


def openssl(*arguments, given=None):
    return openssl_bytes(*arguments, given=given and given.encode()).decode()


def new(folder):
    """Make both key pairs. Existing ones are never touched: devices trust them."""
    present = [f.name for f in folder.glob("*.p*")]
    if present:
        raise Failure(f"{folder} has keys already: {' '.join(sorted(present))}. Devices that were "
                      f"flashed with them take images signed with no others. To start over, "
                      f"remove the folder yourself.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        private = openssl("genrsa", "-traditional", BITS[0])
        path = folder / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_text(MARK + private)
        (folder / f"{name}.pub").write_text(MARK + openssl("rsa", "-pubout", given=private))
    print(f"""
  New keys in {folder}/, for development only: current (signs images) and spare.
  A device that is flashed now takes updates signed with one of these two for ever, so keep the
  folder if you want to update it. For devices that leave your desk, make keys that stay off
  this computer: docs/release.md.
""", file=sys.stderr)


def read_public(folder, name):
    path = folder / f"{name}.pub"
    try:
        return path.read_text()
    except OSError:
        raise Failure(f"{path} does not exist: `make keys` makes development keys, KEYS=folder "
                      f"names others")


def check(folder, warn=True):
    """Warn of development keys; with RELEASE=1 refuse them."""
    marked = [n for n in NAMES if MARK in read_public(folder, n)]
    if not marked:
        return
    if os.environ.get("RELEASE") == "1":
        raise Failure(f"a release is not made with development keys ({folder}: "
                      f"{', '.join(marked)}). Name the folder of your release keys: KEYS=folder")
    if warn:
        print(f"  WARNING: development keys ({folder}/). Not for devices that leave your desk.",
              file=sys.stderr)


def numbers(public):
    """The modulus and the exponent of a public key."""
    modulus = int(openssl("rsa", "-pubin", "-noout", "-modulus", given=public).split("=")[1], 16)
    text = openssl("rsa", "-pubin", "-noout", "-text", given=public)
    return modulus, int(re.search(r"Exponent: (\d+)", text)[1])


def key_id(public):
    """What an update names the key by that signed it."""
    der = openssl_bytes("pkey", "-pubin", "-outform", "DER", given=public.encode())
    return hashlib.sha256(der).digest()[:8]


# --- Signing ------------------------------------------------------------------------------------

def in_token(key):
    return key.startswith("pkcs11:")


def public_half(key):
    if not in_token(key):
        return openssl("pkey", "-in", key, "-pubout")
    return openssl("pkey", "-engine", "pkcs11", "-inform", "engine", "-pubin", "-in", key, "-pubout")


def which_key(folder, key):
    """Which of the two keys of a folder `key` is, and its length in bits."""
    public = numbers(public_half(key))
    for name in NAMES:
        if numbers(read_public(folder, name)) == public:
            return name, public[0].bit_length()
    raise Failure(f"{key} is neither of the keys in {folder}: devices would refuse the image")


def sign(key, data):
    """RSA PKCS#1 v1.5 with SHA-256. A token's PIN is where mkimage has it, too."""
    token = ["-engine", "pkcs11", "-keyform", "engine", "-passin", "env:MKIMAGE_SIGN_PIN"]
    return openssl_bytes("dgst", "-sha256", *(token if in_token(key) else []), "-sign", key,
                         given=data)


# --- Public keys as U-Boot and Pith take them -----------------------------------------------------

def cells(value, count):
    """A number as so many 32-bit cells of a device tree."""
    return " ".join(f"{value >> 32 * i & 0xffffffff:#x}" for i in reversed(range(count)))


def key_node(name, modulus, exponent):
    """A key as U-Boot's lib/rsa/rsa-verify.c reads it: with what Montgomery's method needs."""
    bits = modulus.bit_length()
    if bits not in BITS:
        raise Failure(f"the key {name} has {bits} bits; U-Boot takes {', '.join(map(str, BITS))}")
    return f"""
		key-{name} {{
			required = "conf";
			algo = "sha256,rsa{bits}";
			key-name-hint = "{name}";
			rsa,num-bits = <{bits}>;
			rsa,n0-inverse = <{-pow(modulus, -1, 1 << 32) % (1 << 32):#x}>;
			rsa,exponent = <{cells(exponent, 2)}>;
			rsa,modulus = <{cells(modulus, bits // 32)}>;
			rsa,r-squared = <{cells(pow(2, 2 * bits, modulus), bits // 32)}>;
		}};"""


def blob(folder, out):
    """Both keys, either of which will do: the default, "all", would demand two signatures."""
    nodes = [key_node(n, *numbers(read_public(folder, n))) for n in NAMES]
    source = f"""/dts-v1/;
/ {{
	signature {{
		required-mode = "any";{"".join(nodes)}
	}};
}};
"""
    r = subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb"], input=source.encode(),
                       capture_output=True)
    if r.returncode:
        raise Failure(f"dtc: {r.stderr.decode().strip()}")
    write_if_other(out, r.stdout)


def write_if_other(out, data):
    """What is made of an unchanged file is up to date."""
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists() or out.read_bytes() != data:
        out.write_bytes(data)


def initialiser(data):
    rows = (data[i:i + 16] for i in range(0, len(data), 16))
    return "\n".join("\t" + " ".join(f"{b:#04x}," for b in row) for row in rows)


def modulus_and_entry(name, public):
    """C of a key: its modulus, and its place in the table."""
    modulus, exponent = numbers(public)
    if modulus.bit_length() not in BITS or exponent >> 32:
        raise Failure(f"the key {name} has {modulus.bit_length()} bits and the exponent {exponent}; "
                      f"devices take {', '.join(map(str, BITS))} bits, exponents below 2^32")
    count = modulus.bit_length() // 8
    table = f"static const uint8_t {name}[] = {{\n{initialiser(modulus.to_bytes(count, 'big'))}\n}};\n"
    identity = ", ".join(f"{b:#04x}" for b in key_id(public))
    return table, f"\t{{{{{identity}}}, {exponent}, sizeof({name}), {name}}},\n"


def source(folder, out):
    moduli, entries = zip(*(modulus_and_entry(n, read_public(folder, n)) for n in NAMES))
    text = ("/* The public keys of updates, as tools/keys.py found them. */\n"
            "#include <pith/update.h>\n\n" + "\n".join(moduli) +
            "\nconst struct update_key update_keys[UPDATE_KEYS] = {\n" + "".join(entries) + "};\n")
    write_if_other(out, text.encode())


def main():
    commands = {"new": (new, 1), "check": (check, 1), "blob": (blob, 2), "source": (source, 2)}
    command, count = commands.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, 0))
    if not command or len(sys.argv) != 2 + count:
        sys.exit(__doc__)
    command(pathlib.Path(sys.argv[2]), *sys.argv[3:])


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"tools/keys.py: {failure}")
