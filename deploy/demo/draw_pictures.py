#!/usr/bin/env python3
"""Draws the demo's product pictures: three flat still lifes of 1080 x 1080 pixels, as PNG, with nothing but the
standard library. Run it only to change them: the results are kept beside it.

    python3 deploy/demo/draw_pictures.py
"""

import math
import pathlib
import struct
import zlib

SIZE = 1080
FOLDER = pathlib.Path(__file__).parent / "pictures"


class Canvas:
    """A square of palette indices, painted from back to front."""

    def __init__(self, palette):
        self.palette = palette
        self.rows = [bytearray(SIZE) for _ in range(SIZE)]

    def span(self, y, left, right, color):
        left, right = max(0, int(left)), min(SIZE, int(right))
        if 0 <= y < SIZE and left < right:
            self.rows[y][left:right] = bytes([color]) * (right - left)

    def box(self, left, top, right, bottom, color, radius=0):
        for y in range(int(top), int(bottom)):
            inset = 0.0
            for edge in (top + radius - y, y - (bottom - 1 - radius)):
                if edge > 0:
                    inset = radius - math.sqrt(max(0.0, radius**2 - edge**2))
            self.span(y, left + inset, right - inset, color)

    def ellipse(self, x, y, rx, ry, color):
        for row in range(int(y - ry), int(y + ry) + 1):
            half = rx * math.sqrt(max(0.0, 1 - ((row - y) / ry) ** 2))
            self.span(row, x - half, x + half, color)

    def trapezium(self, x, top, bottom, half_top, half_bottom, color):
        for y in range(int(top), int(bottom)):
            half = half_top + (half_bottom - half_top) * (y - top) / (bottom - top)
            self.span(y, x - half, x + half, color)

    def write(self, name):
        def chunk(kind, data):
            body = kind + data
            return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

        header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 3, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in self.rows), 9)
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", bytes(sum(self.palette, ())))
        (FOLDER / name).write_bytes(png + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def scene(wall, table, *colors):
    canvas = Canvas([wall, table, *colors])
    canvas.box(0, 760, SIZE, SIZE, 1)
    return canvas


def mug():
    canvas = scene((246, 224, 196), (178, 108, 74), (38, 70, 83), (61, 101, 117), (92, 54, 34), (255, 255, 255))
    canvas.ellipse(720, 600, 150, 170, 2)
    canvas.ellipse(720, 600, 95, 115, 0)
    canvas.box(320, 380, 730, 830, 2, 60)
    canvas.ellipse(525, 390, 205, 56, 3)
    canvas.ellipse(525, 400, 175, 40, 4)
    for shift in (-70, 0, 70):
        for y in range(170, 320):
            wave = 22 * math.sin(y / 26 + shift)
            canvas.span(y, 525 + shift + wave, 537 + shift + wave, 5)
    canvas.write("mug.png")


def teapot():
    canvas = scene((206, 228, 222), (90, 124, 112), (233, 196, 106), (244, 216, 147), (181, 140, 50))
    canvas.trapezium(240, 470, 640, 26, 90, 2)
    canvas.ellipse(810, 600, 130, 150, 2)
    canvas.ellipse(810, 600, 80, 100, 0)
    canvas.ellipse(540, 630, 290, 220, 2)
    canvas.ellipse(470, 560, 110, 60, 3)
    canvas.ellipse(540, 430, 150, 40, 4)
    canvas.ellipse(540, 385, 44, 40, 4)
    canvas.write("teapot.png")


def beans():
    canvas = scene((250, 237, 205), (111, 78, 55), (204, 213, 174), (163, 177, 138), (88, 129, 87), (62, 39, 24), (98, 62, 38))
    canvas.box(330, 250, 750, 850, 2, 30)
    canvas.box(330, 250, 750, 340, 3, 20)
    canvas.box(400, 440, 680, 660, 4, 24)
    for index in range(17):
        x, y = 190 + (index * 197) % 720, 890 + (index * 71) % 130
        canvas.ellipse(x, y, 44, 28, 5)
        canvas.span(y, x - 34, x + 34, 6)
        canvas.span(y + 1, x - 34, x + 34, 6)
    for x, y in ((500, 550), (580, 550), (540, 510)):
        canvas.ellipse(x, y, 44, 28, 5)
        canvas.span(y, x - 34, x + 34, 6)
    canvas.write("beans.png")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for draw in (mug, teapot, beans):
        draw()
