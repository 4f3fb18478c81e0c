"""Reads a QR code as a phone's camera does: from what is drawn."""

from __future__ import annotations

import re

import zxingcpp

#: Pixels of each of its squares.
_PIXELS = 4


def scanned(svg: str) -> str:
    """What the code says. It is drawn as lines of squares, each line from where the last one ended."""
    (side,) = re.findall(r'viewBox="0 0 (\d+) \d+"', svg)
    (lines,) = re.findall(r'stroke="#000" d="([^"]+)"', svg)
    width = int(side) * _PIXELS
    picture = bytearray(b"\xff" * width * width)
    x = y = 0.0
    for step, numbers in re.findall(r"([Mmh])([-\d. ]+)", lines):
        across, *down = (float(number) for number in numbers.split())
        if step == "h":
            for row in range(int(y) * _PIXELS, (int(y) + 1) * _PIXELS):
                at = row * width + int(x) * _PIXELS
                picture[at : at + int(across) * _PIXELS] = bytes(int(across) * _PIXELS)
            x += across
        else:
            x, y = (across, down[0]) if step == "M" else (x + across, y + down[0])
    (found,) = zxingcpp.read_barcodes(memoryview(picture).cast("B", (width, width)))
    return found.text
