#!/usr/bin/python3
"""Draws the figures of a JSON file of the benchmarks as an SVG.

    bench/svg.py FIGURES.json DRAWING.svg

Two panels, since being faster than other databases is of another scale.  A bar goes from 1 (as fast as what it is compared with)
to the median, a thin line from the minimum to the maximum, a short mark across
shows the goal.  Legible on light and on dark pages: the colours follow the
reader's preference.
"""

import json
import math
import sys
from xml.sax.saxutils import escape

WIDTH, ROW, TOP = 1000, 22, 50
LABELS, END = 470, 800  # where the bars begin and end
TICKS = ((0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100), (1, 10, 100, 1000))  # the scales of the two panels
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 17px; font-weight: 600; }
.quiet, .tick { fill: #57606a; font-size: 12px; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.one { stroke: #57606a; stroke-width: 1.5; }
.met { fill: #2da44e; } .missed { fill: #bf5f00; } .open { fill: #6e8bb5; }
.spread { stroke: #24292f; stroke-width: 1.2; }
.goal { stroke: #cf222e; stroke-width: 2.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet, .tick { fill: #9da7b3; }
  .grid { stroke: #30363d; } .one { stroke: #9da7b3; } .spread { stroke: #e6edf3; }
  .met { fill: #3fb950; } .missed { fill: #db8b31; } .open { fill: #7d9bc9; } .goal { stroke: #ff7b72; }
}
"""


def across(ratio, ticks):
    """The place of a ratio on the logarithmic scale that these ticks span."""
    low, high = ticks[0], ticks[-1]
    part = math.log(min(max(ratio, low), high) / low) / math.log(high / low)
    return round(LABELS + part * (END - LABELS), 1)


def text(x, y, words, kind="", title=""):
    of_kind = f' class="{kind}"' if kind else ""
    hint = f"<title>{escape(title)}</title>" if title else ""
    return f'<text x="{x}" y="{y}"{of_kind}>{hint}{escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{kind}"/>'


def short(number):
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def bar(figure, y, ticks):
    """One figure: its label, bar, spread, goal and value."""
    one, median = across(1, ticks), across(figure["median"], ticks)
    kind = {True: "met", False: "missed", None: "open"}[figure["met"]]
    parts = [
        text(12, y + 15, figure["what"], title=f"against: {figure['against']}"),
        f'<rect x="{min(one, median)}" y="{y + 5}" width="{max(abs(median - one), 1):.1f}" height="12" class="{kind}"/>',
        line(across(figure["min"], ticks), y + 11, across(figure["max"], ticks), y + 11, "spread"),
    ]
    words = short(figure["median"])
    if figure["goal"]:
        place = across(figure["goal"]["value"], ticks)
        parts.append(line(place, y + 2, place, y + 20, "goal"))
        words += f"  ({'≤' if figure['goal']['way'] == '<=' else '≥'} {figure['goal']['value']:g})"
    parts.append(text(END + 12, y + 15, words))
    return parts


def grouped(figures):
    """Neighbours that are compared with the same thing."""
    groups = []
    for figure in figures:
        if not groups or groups[-1][0] != figure["against"]:
            groups.append((figure["against"], []))
        groups[-1][1].append(figure)
    return groups


def panel(figures, y, ticks, title):
    """These figures below a scale; where the next panel may begin."""
    bars, below = [], y + 2 * ROW
    for against, group in grouped(figures):
        bars.append(text(12, below + 16, f"against: {against}", "quiet"))
        below += ROW
        for figure in group:
            bars += bar(figure, below, ticks)
            below += ROW
    parts = [text(12, y + ROW + 6, title)]
    for ratio in ticks:
        x = across(ratio, ticks)
        parts += [line(x, y + 2 * ROW - 8, x, below, "one" if ratio == 1 else "grid"),
                  f'<text x="{x}" y="{y + ROW + 8}" class="tick" text-anchor="middle">{ratio:g}</text>']
    return parts + bars, below + ROW // 2


def draw(found):
    about, body, y = found["machine"], [], TOP
    titles = ("Times what it is compared with", "Times faster than PouchDB, DoltLite")
    for speedup, (ticks, title) in enumerate(zip(TICKS, titles)):
        figures = [figure for figure in found["figures"] if figure["speedup"] == bool(speedup)]
        if figures:
            parts, y = panel(figures, y, ticks, title)
            body += parts
    heading = [
        text(12, 26, "diagsync, side by side", "title"),
        text(12, 46, f"{about['cores']} cores, PostgreSQL {about['postgresql']}; figures are ratios, medians of"
                     f" {found['runs']} runs; thin line: minimum to maximum; mark across: goal", "quiet"),
    ]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" role="img">',
        "<title>Benchmarks of diagsync</title>", f"<style>{STYLE}</style>", *heading, *body, "</svg>", ""])


def draw_file(draw, usage):
    """Draws the JSON file of the first argument into the second one."""
    if len(sys.argv) != 3:
        sys.exit(usage)
    with open(sys.argv[1], encoding="utf-8") as file:
        drawing = draw(json.load(file))
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(drawing)


if __name__ == "__main__":
    draw_file(draw, __doc__)
