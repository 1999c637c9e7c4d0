"""What a file holds, packed or not, as far as anybody looks through it."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib

__all__ = ["contents"]

BYTES = 20_000_000  # of a packed file, unpacked
TOTAL_BYTES = 200_000_000  # of all that one file holds
MEMBERS = 1000  # of an archive
DEEPEST = 2  # archives in archives
PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
DAMAGE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
          NotImplementedError, RuntimeError)  # fmt: skip


def contents(file):
    """Go through a file and what is packed in it.

    Args:
        file (`BinaryIO`): Seekable.

    Yields:
        `(str, BinaryIO)`: an empty name and the file itself, then name and content of each member of an archive, two
        deep. What is damaged, encrypted or larger than anybody's notes ends there.

    Example:

    ```python
    >>> import gzip, io
    >>> from emodistill.hub.archives import contents

    >>> [part.read() for _, part in contents(io.BytesIO(gzip.compress(b"joy")))][1]
    b'joy'

    ```
    """
    left = TOTAL_BYTES
    waiting = [("", file, 0)]
    while waiting:
        name, one, depth = waiting.pop()
        one.seek(0)
        yield name, one
        one.seek(0)
        if depth == DEEPEST:
            continue
        try:
            for inner, content in _members(one):
                left -= len(content)
                if left < 0:
                    return
                waiting.append((inner, io.BytesIO(content), depth + 1))
        except DAMAGE:
            continue  # damaged, encrypted, or something else after all


def _members(file):
    head = file.read(512)
    file.seek(0)
    for magic, unpack in PACKED:
        if head.startswith(magic):
            with unpack(file) as inside:
                yield "", inside.read(BYTES)
            return
    if head[:1] == b"\x78" and head[1:2] not in (b"", b"\n") and int.from_bytes(head[:2], "big") % 31 == 0:
        yield "", zlib.decompressobj().decompress(file.read(), BYTES)
    elif zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist()[:MEMBERS]:
                with archive.open(member) as inside:
                    yield member.filename, inside.read(BYTES)
    elif head[257:262] == b"ustar":
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            for number, member in enumerate(archive):
                if number == MEMBERS:
                    break
                inside = archive.extractfile(member) if member.isfile() else None
                yield member.name, inside.read(BYTES) if inside else b""
