#!/usr/bin/env python3
"""Independent implementation of docs/ENVELOPE.md, format version 1, written from that page with `cryptography`.

    envelope.py seal --key HEX --purpose conversation --branch-version 1 --table T --record R --subject S NAME=TEXT ...
    envelope.py open FILE             a record as `seal` prints it; prints its plaintexts
    envelope.py check-vectors FILE    every vector must be reproduced byte for byte, every refused one refused
    envelope.py write-vectors FILE    fresh random vectors; with --seed TEXT always the same ones

Keys are read from arguments and files: this is a tool for tests, not for production keys.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

FORMAT = "portcullis-envelope-vectors/1"
PURPOSES = {"conversation": 1, "media": 2}
KINDS = {"phone": 1, "user": 2, "conversation": 3}
HEADER_LEN, PREFIX_LEN, NONCE_LEN, TAG_LEN = 73, 41, 12, 16
MAX_FIELD, MAX_NAME, MAX_FIELD_NAME = 4 * 1024 * 1024, 1024, 255


class Refused(Exception):
    """Why an envelope does not open: one of the words of docs/ENVELOPE.md."""


def lp(text, most=MAX_NAME):
    raw = text.encode()
    if not 1 <= len(raw) <= most:
        raise Refused("name")
    return len(raw).to_bytes(2, "big") + raw


def prefix(purpose, branch_version, salt):
    return b"PE\x01\x01" + bytes([PURPOSES[purpose]]) + branch_version.to_bytes(4, "big") + salt


def derive(subject_key, head, table, record, subject):
    context = head + lp(table) + lp(record) + lp(subject)
    okm = HKDFExpand(algorithm=SHA256(), length=64, info=context).derive(subject_key)
    return okm[:32], okm[32:], context


def seal_record(r, salt, nonces):
    """`r` has subject_key, purpose, branch_version, table, record, subject and fields (name -> bytes)."""
    head = prefix(r["purpose"], r["branch_version"], salt)
    key, commitment, context = derive(r["subject_key"], head, r["table"], r["record"], r["subject"])
    blobs = {}
    for (name, plaintext), nonce in zip(r["fields"], nonces, strict=True):
        if len(plaintext) > MAX_FIELD:
            raise Refused("too-large")
        aad = context + lp(name, MAX_FIELD_NAME)
        blobs[name] = b"\x01" + nonce + AESGCM(key).encrypt(nonce, plaintext, aad)
    return head + commitment, blobs


def open_record(r, header):
    """Checks the commitment; gives a function that opens one field."""
    if len(header) < 4 or header[:2] != b"PE":
        raise Refused("malformed")
    if header[2:4] != b"\x01\x01":
        raise Refused("unsupported")
    version = int.from_bytes(header[5:9], "big")
    if len(header) != HEADER_LEN or header[4] not in PURPOSES.values() or version == 0:
        raise Refused("malformed")
    key, commitment, context = derive(r["subject_key"], header[:PREFIX_LEN], r["table"], r["record"], r["subject"])
    if header[4] != PURPOSES[r["purpose"]] or not hmac.compare_digest(commitment, header[PREFIX_LEN:]):
        raise Refused("not-this-record")

    def open_field(name, blob):
        if not blob:
            raise Refused("malformed")
        if blob[0] != 1:
            raise Refused("unsupported")
        if not 1 + NONCE_LEN + TAG_LEN <= len(blob) <= 1 + NONCE_LEN + TAG_LEN + MAX_FIELD:
            raise Refused("malformed")
        nonce, sealed = blob[1 : 1 + NONCE_LEN], blob[1 + NONCE_LEN :]
        try:
            return AESGCM(key).decrypt(nonce, sealed, context + lp(name, MAX_FIELD_NAME))
        except InvalidTag:
            raise Refused("not-this-field") from None

    return open_field


def wrap_aad(w):
    purpose = bytes([PURPOSES[w["purpose"]]])
    return b"PS\x01\x01" + purpose + w["branch_version"].to_bytes(4, "big") + lp(w["table"]) + lp(w["subject"])


def wrap_key(w):
    branch, nonce, key = (bytes.fromhex(w[name]) for name in ("branch_key", "nonce", "key"))
    return b"PS\x01\x01" + nonce + AESGCM(branch).encrypt(nonce, key, wrap_aad(w))


def pseudonym(key, kind, value):
    tag = hmac.new(key, b"PI\x01" + bytes([KINDS[kind]]) + value.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(tag[:24]).decode()


def parse(v):
    return {
        "subject_key": bytes.fromhex(v["subject_key"]),
        **{name: v[name] for name in ("purpose", "branch_version", "table", "record", "subject")},
        "fields": [(f["name"], bytes.fromhex(f["plaintext"])) for f in v.get("fields", [])],
    }


def check_vectors(vectors):
    counts = {}
    assert vectors["format"] == FORMAT, "another format"
    for v in vectors["records"]:
        r, header = parse(v), bytes.fromhex(v["header"])
        nonces = [bytes.fromhex(f["nonce"]) for f in v["fields"]]
        made_header, blobs = seal_record(r, bytes.fromhex(v["salt"]), nonces)
        assert made_header == header, f"{v['name']}: header"
        open_field = open_record(r, header)
        for f in v["fields"]:
            assert blobs[f["name"]].hex() == f["blob"], f"{v['name']}: blob of {f['name']}"
            assert open_field(f["name"], bytes.fromhex(f["blob"])).hex() == f["plaintext"], f"{v['name']}: opened"
            counts["fields"] = counts.get("fields", 0) + 1
        counts["records"] = counts.get("records", 0) + 1
    for v in vectors["refused"]:
        try:
            open_record(parse(v), bytes.fromhex(v["header"]))(v["field"], bytes.fromhex(v["blob"]))
        except Refused as refused:
            assert str(refused) == v["error"], f"{v['name']}: refused as {refused}, not {v['error']}"
        else:
            raise AssertionError(f"{v['name']}: opened")
        counts["refused"] = counts.get("refused", 0) + 1
    for w in vectors["wrapped_keys"]:
        assert wrap_key(w).hex() == w["wrapped"], f"{w['name']}: wrapped key"
        counts["wrapped_keys"] = counts.get("wrapped_keys", 0) + 1
    for p in vectors["pseudonyms"]:
        assert pseudonym(bytes.fromhex(p["key"]), p["kind"], p["value"]) == p["pseudonym"], f"{p['kind']} {p['value']}"
        counts["pseudonyms"] = counts.get("pseudonyms", 0) + 1
    return counts


def vector_record(name, draw, purpose, branch_version, table, record, subject, fields):
    key, salt, nonces = draw(32), draw(32), [draw(NONCE_LEN) for _ in fields]
    r = {"subject_key": key, "purpose": purpose, "branch_version": branch_version}
    r |= {"table": table, "record": record, "subject": subject, "fields": fields}
    header, blobs = seal_record(r, salt, nonces)
    shown = [
        {"name": n, "nonce": nonce.hex(), "plaintext": p.hex(), "blob": blobs[n].hex()}
        for (n, p), nonce in zip(fields, nonces, strict=True)
    ]
    return {"name": name, **r, "subject_key": key.hex(), "salt": salt.hex(), "header": header.hex(), "fields": shown}


def flip(text, bit):
    raw = bytearray.fromhex(text)
    raw[bit // 8] ^= 1 << (bit % 8)
    return raw.hex()


def refused_vectors(base, other):
    """`base` has at least two fields; `other` is another record of the same subject key."""
    one, two = base["fields"][:2]
    names = ("subject_key", "purpose", "branch_version", "table", "record", "subject", "header")
    start = {n: base[n] for n in names} | {"field": one["name"], "blob": one["blob"]}
    header, blob = base["header"], one["blob"]
    table = [
        ("another record", {"record": base["record"] + "x"}, "not-this-record"),
        ("another subject", {"subject": base["subject"] + "x"}, "not-this-record"),
        ("another table", {"table": base["table"] + "x"}, "not-this-record"),
        ("another purpose", {"purpose": "media"}, "not-this-record"),
        ("names shifted between table and record",
         {"table": base["table"] + base["record"][0], "record": base["record"][1:]}, "not-this-record"),
        ("another subject key", {"subject_key": flip(base["subject_key"], 0)}, "not-this-record"),
        ("salt changed", {"header": flip(header, 8 * 9)}, "not-this-record"),
        ("branch version changed", {"header": flip(header, 8 * 8 + 1)}, "not-this-record"),
        ("purpose changed in the header", {"header": header[:8] + "02" + header[10:]}, "not-this-record"),
        ("commitment changed", {"header": flip(header, 8 * 72)}, "not-this-record"),
        ("header of another record", {"header": other["header"]}, "not-this-record"),
        ("magic changed", {"header": flip(header, 0)}, "malformed"),
        ("version unknown", {"header": header[:4] + "02" + header[6:]}, "unsupported"),
        ("suite unknown", {"header": header[:6] + "02" + header[8:]}, "unsupported"),
        ("purpose unknown", {"header": header[:8] + "03" + header[10:]}, "malformed"),
        ("branch version 0", {"header": header[:10] + "00000000" + header[18:]}, "malformed"),
        ("header cut", {"header": header[:-2]}, "malformed"),
        ("header with a byte more", {"header": header + "00"}, "malformed"),
        ("header empty", {"header": ""}, "malformed"),
        ("field under another name", {"field": two["name"]}, "not-this-field"),
        ("field of another record", {"blob": other["fields"][0]["blob"]}, "not-this-field"),
        ("nonce changed", {"blob": flip(blob, 8)}, "not-this-field"),
        ("ciphertext changed", {"blob": flip(blob, 8 * 13)}, "not-this-field"),
        ("tag changed", {"blob": flip(blob, 8 * (len(blob) // 2) - 1)}, "not-this-field"),
        ("field cut", {"blob": blob[:-2]}, "not-this-field"),
        ("field with a byte more", {"blob": blob + "00"}, "not-this-field"),
        ("field shorter than nonce and tag", {"blob": blob[: 2 * 28]}, "malformed"),
        ("field empty", {"blob": ""}, "malformed"),
        ("field version unknown", {"blob": "02" + blob[2:]}, "unsupported"),
    ]
    return [{"name": name, **start, **changed, "error": error} for name, changed, error in table]


def write_vectors(draw):
    text = [("text", "Olá, meu CPF é 529.982.247-25".encode()), ("from", b"5511912345678"), ("name", "João".encode())]
    place = ("portcullis-conversations", "C4xr0vLUPJ6Yw9Vt2Zq8mN7b#2026-11-22T03:56:05.123Z#0a1b2c3d", "S4xr0vLUPJ6Yw9Vt2Zq8mN7b")
    base = vector_record("text message", draw, "conversation", 1, *place, text)
    records = [
        base,
        vector_record("media message, later branch key", draw, "media", 7, *place, [("caption", b"see attached"), ("sha256", draw(32))]),
        vector_record("largest branch version, shortest names", draw, "conversation", 2**32 - 1, "t", "r", "s", [("f", b"x")]),
        vector_record("empty plaintext", draw, "conversation", 1, *place, [("text", b"")]),
        vector_record("no fields", draw, "conversation", 1, *place, []),
        vector_record("longest names", draw, "media", 2, "t" * 1024, "é" * 512, "s" * 1024, [("f" * 255, b"x"), ("g" * 255, b"y")]),
        vector_record("every byte, longer than many blocks", draw, "conversation", 3, *place, [("raw", bytes(range(256)) * 5 + b"odd")]),
        vector_record("eight fields", draw, "conversation", 4, *place, [(f"field-{n}", draw(n)) for n in range(8)]),
        vector_record("names that look alike", draw, "conversation", 5, "a", "bc", "d", [("e", b"1"), ("\x00e", b"2"), ("e\x00", b"3")]),
    ]
    moved = dict(parse(base), record=place[1] + "-other")
    header, blobs = seal_record(moved, draw(32), [draw(NONCE_LEN) for _ in text])
    other = {"header": header.hex(), "fields": [{"blob": blobs["text"].hex()}]}
    wrapped = []
    for name, purpose, version in (("first", "conversation", 1), ("media, rotated", "media", 65_537)):
        w = {"name": name, "branch_key": draw(32).hex(), "table": "portcullis-subject-keys", "subject": place[2]}
        w |= {"purpose": purpose, "branch_version": version, "nonce": draw(NONCE_LEN).hex(), "key": draw(32).hex()}
        wrapped.append({**w, "wrapped": wrap_key(w).hex()})
    key = draw(32)
    ids = [("phone", "5511912345678"), ("user", "5511912345678"), ("conversation", "5511912345678"), ("user", "BR.açaí")]
    pseudonyms = [{"kind": k, "key": key.hex(), "value": v, "pseudonym": pseudonym(key, k, v)} for k, v in ids]
    return {
        "format": FORMAT,
        "records": records,
        "refused": refused_vectors(base, other),
        "wrapped_keys": wrapped,
        "pseudonyms": pseudonyms,
    }


def seeded(seed):
    stream = hashlib.shake_256(seed.encode()).digest(1 << 16)
    place = 0

    def draw(length):
        nonlocal place
        place += length
        assert place <= len(stream)
        return stream[place - length : place]

    return draw


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    seal = commands.add_parser("seal")
    for name in ("key", "purpose", "table", "record", "subject"):
        seal.add_argument(f"--{name}", required=True)
    seal.add_argument("--branch-version", type=int, required=True)
    seal.add_argument("fields", nargs="*", metavar="NAME=TEXT")
    for name in ("open", "check-vectors", "write-vectors"):
        commands.add_parser(name).add_argument("file")
    commands.choices["write-vectors"].add_argument("--seed")
    args = parser.parse_args()

    if args.command == "seal":
        fields = [(n, t.encode()) for n, _, t in (f.partition("=") for f in args.fields)]
        place = (args.purpose, args.branch_version, args.table, args.record, args.subject)
        fixed = iter([bytes.fromhex(args.key)])
        record = vector_record("sealed", lambda n: next(fixed, None) or os.urandom(n), *place, fields)
        for field in record["fields"]:
            del field["plaintext"], field["nonce"]
        json.dump(record, sys.stdout, indent=1)
        print()
    elif args.command == "open":
        with open(args.file, encoding="utf-8") as file:
            record = json.load(file)
        open_field = open_record(parse({**record, "fields": []}), bytes.fromhex(record["header"]))
        opened = {f["name"]: open_field(f["name"], bytes.fromhex(f["blob"])) for f in record["fields"]}
        print(json.dumps({name: raw.decode(errors="replace") for name, raw in opened.items()}, ensure_ascii=False))
    elif args.command == "check-vectors":
        with open(args.file, encoding="utf-8") as file:
            print(json.dumps(check_vectors(json.load(file))))
    else:
        vectors = write_vectors(seeded(args.seed) if args.seed else os.urandom)
        with open(args.file, "w", encoding="utf-8") as file:
            json.dump(vectors, file, indent=1, ensure_ascii=False)
            file.write("\n")


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, Refused) as problem:
        sys.exit(f"envelope.py: {problem}")
