"""Reads a WARC 1.1 file, plain and compressed, as ISO 28500:2017 writes it; nothing of Fulmar's is used.

warc.py FILE.warc FILE.warc.gz PIECES"""
import base64
import gzip
import hashlib
import re
import sys
import zlib


def records(data):
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("utf-8").split("\r\n")
        assert lines[0] == "WARC/1.1", lines[0]
        fields = dict(line.split(": ", 1) for line in lines[1:])
        assert len(fields) == len(lines) - 1, "a field twice"
        size = int(fields["Content-Length"])
        block, end, data = data[:size], data[size:size + 4], data[size + 4:]
        assert len(block) == size and end == b"\r\n\r\n", "cut"
        yield fields, block


def check(data, pieces):
    ids, kinds, info, about = set(), [], None, None
    for fields, block in records(data):
        name = fields["WARC-Record-ID"]
        assert re.fullmatch(
            r"<urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}>", name)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", fields["WARC-Date"])
        assert name not in ids
        ids.add(name)
        kinds.append(fields["WARC-Type"])
        if fields["WARC-Type"] == "warcinfo":
            assert len(ids) == 1 and b"format: WARC File Format 1.1" in block
            info = name
            continue
        assert fields["WARC-Warcinfo-ID"] == info
        if fields["WARC-Type"] == "resource":
            digest = "sha256:" + base64.b32encode(hashlib.sha256(block).digest()).decode()
            assert fields["WARC-Payload-Digest"] == digest == fields["WARC-Block-Digest"]
            assert fields["WARC-Target-URI"].startswith("http://")
            assert fields["Content-Type"].startswith("application/json")
            about = name
        else:
            assert fields["WARC-Concurrent-To"] == about and b"http-status: 200" in block
    assert kinds == ["warcinfo"] + ["resource", "metadata"] * pieces, kinds
    return len(kinds)


def main():
    plain, packed, pieces = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read(), int(sys.argv[3])
    assert check(plain, pieces) == check(gzip.decompress(packed), pieces)
    members, rest = 0, packed
    while rest:
        one = zlib.decompressobj(31)
        assert one.decompress(rest).startswith(b"WARC/1.1\r\n")
        rest, members = one.unused_data, members + 1
    assert members == 1 + 2 * pieces, "a member for each record"


main()
