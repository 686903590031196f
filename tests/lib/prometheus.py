# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Prometheus's text format 0.0.4."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(text):
    """{(name, ((label, value), ...)): number}, and {name: type}. AssertionError if it is not right."""
    assert text.endswith("\n"), "the last line must end in a newline"
    samples, types, helped, current = {}, {}, set(), None
    for line in text[:-1].split("\n"):
        if m := re.fullmatch(rf"# HELP ({NAME}) (\S.*)", line):
            assert m[1] not in helped, f"second HELP: {line}"
            helped.add(m[1])
            current = m[1]
        elif m := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge)", line):
            assert m[1] == current and m[1] not in types, f"TYPE out of place: {line}"
            assert m[1].endswith("_total") == (m[2] == "counter"), f"wrong suffix: {line}"
            types[m[1]] = m[2]
        else:
            m = SAMPLE.fullmatch(line)
            assert m, f"not a sample: {line!r}"
            assert m[1] == current and m[1] in types, f"outside its family: {line}"
            labels = tuple((k, re.sub(r"\\.", lambda e: ESCAPES[e[0]], v))
                           for k, v in re.findall(LABEL, m[2] or ""))
            assert len(dict(labels)) == len(labels), f"label twice: {line}"
            assert (m[1], labels) not in samples, f"sample twice: {line}"
            samples[m[1], labels] = float(m[m.lastindex])
    assert helped == set(types), "HELP without TYPE"
    return samples, types
