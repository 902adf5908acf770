"""Zip archives whose members are checked before they are believed: sizes, names, checksums."""

import struct
import zipfile
import zlib
from pathlib import Path

from jaxviz.checkpoints.formats.checks import MAX_NAME, part, reading, refusal, shown

MAX_RATIO = 1032
"""Deflate cannot make a file smaller than by this; more is a forged size."""
LOCAL_HEADER, END = 30, 22
"""Bytes."""
MANY = 0xFFFF
"""Stands for a number of members that has more digits."""
ENCRYPTED = 1


def members(path: Path) -> dict[str, zipfile.ZipInfo]:
    """Returns the members of an archive by name, none of which claims more than the archive can hold."""
    with reading(path, "a zip archive"), zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    size = path.stat().st_size
    end = part(path, size - END, END)
    # zipfile does not count: a comment whose length is damaged hides the members after it.
    if end[:4] != b"PK\x05\x06" or int.from_bytes(end[10:12], "little") not in (len(infos), MANY):
        raise refusal(path, f"the archive to end with a list of {len(infos)}", "another end")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename
        # orig_filename still has what zipfile cuts off or replaces.
        if name != info.orig_filename or not name.isprintable() or not 0 < len(name) <= MAX_NAME:
            raise refusal(path, "plain names in the archive", shown(repr(info.orig_filename)))
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise refusal(path, "plain names in the archive", shown(name))
        if name in found:
            raise refusal(path, "each name once in the archive", f"{shown(name)} twice")
        if info.flag_bits & ENCRYPTED:
            raise refusal(path, "a readable archive", f"{shown(name)} encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refusal(path, "stored or deflated members", f"{shown(name)} of kind {info.compress_type}")
        ratio = 1 if info.compress_type == zipfile.ZIP_STORED else MAX_RATIO
        if info.header_offset + info.compress_size > size or info.file_size > ratio * info.compress_size:
            expected = f"at most {ratio} times {info.compress_size} bytes in {shown(name)}"
            raise refusal(path, expected, f"{info.file_size} in an archive of {size}")
        found[name] = info
    return found


def _inflated(path: Path, info: zipfile.ZipInfo, given: int, limit: int) -> bytes:
    """Returns at most `limit` bytes of a member, made of the first `given` bytes that the archive has of it."""
    header = part(path, info.header_offset, LOCAL_HEADER)
    name_length, extra_length = struct.unpack("<HH", header[26:])
    start = info.header_offset + LOCAL_HEADER
    encoded = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
    if header[:4] != b"PK\x03\x04" or part(path, start, name_length) != encoded:
        raise refusal(path, f"{shown(info.filename)} where the archive's list has it", "something else")
    data = part(path, start + name_length + extra_length, min(given, info.compress_size))
    if info.compress_type == zipfile.ZIP_STORED:
        return data[:limit]
    # A limit of zero would mean none.
    return zlib.decompressobj(-15).decompress(data, max(limit, 1))


def beginning(path: Path, info: zipfile.ZipInfo, limit: int) -> bytes:
    """Returns the first bytes of a member, whose checksum nobody has compared."""
    with reading(path, f"the beginning of {shown(info.filename)}"):
        # Deflated data start with the code that they are in, a few hundred bytes.
        return _inflated(path, info, limit + 1024, limit)


def content(path: Path, info: zipfile.ZipInfo) -> bytes:
    """Returns a member; raises WeightsError if its size or its checksum is not the archive's."""
    with reading(path, f"the contents of {shown(info.filename)}"):
        data = _inflated(path, info, info.compress_size, info.file_size)
    if len(data) != info.file_size:
        raise refusal(path, f"{info.file_size} bytes in {shown(info.filename)}", f"{len(data)}")
    if zlib.crc32(data) != info.CRC:
        raise refusal(path, f"the checksum of {shown(info.filename)}", "another; the file is damaged")
    return data
