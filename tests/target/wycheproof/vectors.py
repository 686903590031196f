#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Wycheproof's RSA PKCS#1 v1.5 signatures with SHA-256, of as many bits as updates may have, as C.

    vectors.py FOLDER OUT
"""
import json
import pathlib
import sys

BITS = (2048, 3072, 4096)


def tests(folder, bits):
    """(group, test) of the file for so many bits."""
    path, = pathlib.Path(folder).rglob(f"rsa_signature_{bits}_sha256_test.json")
    for group in json.loads(path.read_text())["testGroups"]:
        assert group["sha"] == "SHA-256" and group["type"] == "RsassaPkcs1Verify"
        for test in group["tests"]:
            yield group, test


def string(data):
    return '"' + "".join(f"\\x{b:02x}" for b in data) + '"'


def key(group):
    modulus = bytes.fromhex(group["publicKey"]["modulus"]).lstrip(b"\0")
    return (f"{{.exponent = 0x{group['publicKey']['publicExponent']}, .modulus_bytes = {len(modulus)}, "
            f".modulus = (const uint8_t *){string(modulus)}}}")


def vector(bits, group_index, test):
    message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
    return (f"{{{bits}, {test['tcId']}, {json.dumps(test['comment'])}, {test['result'].upper()}, "
            f"&keys[{group_index}], {string(message)}, {len(message)}, {string(signature)}, "
            f"{len(signature)}}}")


def main(folder, out):
    keys, vectors = [], []
    for bits in BITS:
        for group, test in tests(folder, bits):
            if key(group) not in keys:
                keys.append(key(group))
            vectors.append(vector(bits, keys.index(key(group)), test))
    pathlib.Path(out).write_text(
        "static const struct update_key keys[] = {\n" + ",\n".join(keys) + "\n};\n"
        "static const struct vector vectors[] = {\n" + ",\n".join(vectors) + "\n};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
