"""The bodies of answers: short ones in memory, long ones in a file, so that their length is known before they are sent.

iOS discards an answer without a Content-Length. And a server that answers several requests at once must not hold
several calendars of many years in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import IO

from isal import isal_zlib

#: Bodies of fewer bytes than this fit in one packet, and are not compressed.
WORTH_COMPRESSING = 1_400
_IN_MEMORY = 1 << 20
_AT_ONCE = 1 << 18
#: gzip's header and trailer around the deflated data.
_GZIP = 31
#: Level 1 of ISA-L is as small as zlib's 6 on calendars, in a tenth of the time.
_LEVEL = 1


class Spooled:
    """A long body, in a file. It can be sent once."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        try:
            self._file.seek(0)
            while chunk := self._file.read(_AT_ONCE):
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def sliced(answer: bytes) -> Iterable[bytes]:
    """A long body in memory, in pieces: of a single piece, a server would hold a copy for each slow client."""
    if len(answer) <= _IN_MEMORY:
        return [answer]
    return (answer[at : at + _AT_ONCE] for at in range(0, len(answer), _AT_ONCE))


def assemble(chunks: Iterable[bytes], *, gzip: bool) -> tuple[bytes | Spooled, bool]:
    """The chunks as one body, compressed if that is wanted and worth it; and whether it is compressed."""
    start = b""
    rest = iter(chunks)
    for chunk in rest:
        start += chunk
        if len(start) >= WORTH_COMPRESSING:
            break
    gzip = gzip and len(start) >= WORTH_COMPRESSING
    return _spool(_compressed(start, rest) if gzip else chain([start], rest)), gzip


def _compressed(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    deflate = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
    yield deflate.compress(start)
    for chunk in rest:
        yield deflate.compress(chunk)
    yield deflate.flush()


def _spool(chunks: Iterator[bytes]) -> bytes | Spooled:
    file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed when it was sent
    size = 0
    try:
        for chunk in chunks:
            size += file.write(chunk)
        if size > _IN_MEMORY:
            return Spooled(file, size)
        file.seek(0)
        answer = file.read()
    except BaseException:
        file.close()
        raise
    file.close()
    return answer
