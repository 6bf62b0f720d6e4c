#!/usr/bin/python3
"""Draws what bench-scale has measured: how long operations take at three sizes each.

    bench/scale_svg.py SCALE.json DRAWING.svg

A panel for each thing that grows, both scales logarithmic: a level line does not
grow, a line along the diagonal grows in proportion.
"""

import math
from xml.sax.saxutils import escape

from svg import STYLE, draw_file, line, text

WIDTH, PANEL, GAP = 1000, 250, 74
LEFT, RIGHT, TOP = 80, 640, 70
MILLISECONDS = (0.01, 0.1, 1, 10, 100, 1000, 10000, 100000, 1000000)
COLOURS = ("#2da44e", "#0969da", "#bf5f00", "#8250df", "#cf222e", "#6e7781", "#1b7c83", "#9a6700")
TITLES = {
    "entities": "Entities, half of them in a local copy, half in its shared one",
    "diagrams": "Diagrams in the directory",
    "links": "Links of one shared copy",
    "clients, directly": "Clients that edit one diagram, each with a connection of its own",
    "clients, PgBouncer": "The same by way of PgBouncer, with 20 connections",
}


def duration(seconds):
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def place(value, low, high, start, end):
    part = math.log(value / low) / math.log(high / low) if high > low else 0.5
    return round(start + part * (end - start), 1)


def apart(labels):
    """Labels (height, words), moved down where they would lie on one another."""
    last = -math.inf
    for height, words, colour in sorted(labels):
        last = max(height, last + 15)
        yield last, words, colour


def panel(title, points, y):
    sizes = sorted({point["size"] for point in points})
    times = [point["seconds"] * 1e3 for point in points]
    low = max(tick for tick in MILLISECONDS if tick <= min(times))
    high = min(tick for tick in MILLISECONDS if tick >= max(times))
    bottom = y + PANEL
    parts = [text(12, y - 14, title)]
    for size in sizes:
        x = place(size, sizes[0], sizes[-1], LEFT, RIGHT)
        parts += [line(x, y, x, bottom, "grid"),
                  f'<text x="{x}" y="{bottom + 18}" class="tick" text-anchor="middle">{size:,}</text>']
    for tick in MILLISECONDS:
        if low <= tick <= high:
            height = place(tick, low, high, bottom, y)
            words = f"{tick:g} ms" if tick < 1000 else f"{tick / 1000:g} s"
            parts += [line(LEFT, height, RIGHT, height, "grid"),
                      f'<text x="{LEFT - 8}" y="{height + 4}" class="tick" text-anchor="end">{words}</text>']
    labels = []
    for number, what in enumerate(dict.fromkeys(point["what"] for point in points)):
        colour = COLOURS[number % len(COLOURS)]
        dots = [(place(point["size"], sizes[0], sizes[-1], LEFT, RIGHT), place(point["seconds"] * 1e3, low, high, bottom, y))
                for point in points if point["what"] == what]
        parts.append(f'<polyline points="{" ".join(f"{x},{height}" for x, height in dots)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{height}" r="3" fill="{colour}"/>' for x, height in dots]
        last = [point for point in points if point["what"] == what][-1]
        labels.append((dots[-1][1], f"{what}: {duration(last['seconds'])}", colour))
    for height, words, colour in apart(labels):
        parts.append(f'<text x="{RIGHT + 14}" y="{height + 4}" style="fill:{colour}">{escape(words)}</text>')
    return parts


def draw(found):
    body, y = [], TOP + 20
    for axis, title in TITLES.items():
        points = [point for point in found["points"] if point["axis"] == axis]
        if points:
            body += panel(title, points, y)
            y += PANEL + GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" role="img">',
        "<title>What grows with the size of diagsync's tables</title>", f"<style>{STYLE}</style>",
        text(12, 26, "What grows, and what does not", "title"),
        text(12, 46, "Single statements, commit included, which waits for the disk; both scales logarithmic", "quiet"),
        *body, "</svg>", ""])


if __name__ == "__main__":
    draw_file(draw, __doc__)
