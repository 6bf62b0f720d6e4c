"""The committed figures, figures.txt: one line for an operation, or one for each
group of PostgreSQL's major versions where these differ."""

import os
import re

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "figures.txt")

# What is counted; how much worse, and how much better, it may be before it is
# said: in percent, and at least so many.
KINDS = ("instructions", "buffers", "WAL records", "WAL bytes")
WORSE = {"instructions": (2, 5000), "buffers": (1, 2), "WAL records": (0.5, 1), "WAL bytes": (0.5, 32)}
BETTER = {kind: (2 * percent, 2 * least) for kind, (percent, least) in WORSE.items()}

HEAD = """# What each operation costs. "make record-costs" writes this file anew, for the major
# version of PostgreSQL that it runs with; test/cost/README.md says more.
#
"""


def allowed(figure, kind, margins):
    percent, least = margins[kind]
    return max(int(figure * percent / 100), least)


def compare(kind, figure, committed):
    """None, or what is to be said of a figure: ("worse", the limit) or ("better", the limit)."""
    most, least = committed + allowed(committed, kind, WORSE), committed - allowed(committed, kind, BETTER)
    if figure > most:
        return "worse", most
    if figure < least:
        return "better", least
    return None


def alike(some, others):
    """May two versions of PostgreSQL share a line? Then each has most of the margin left."""
    return all(abs(a - b) <= allowed(b, kind, WORSE) // 4 for kind, a, b in zip(KINDS, some, others))


class Figures:
    """{operation: [(majors, figures)]}, as the file has them."""

    def __init__(self, path=PATH):
        self.lines = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    if line.strip() and not line.startswith(("#", "operation")):
                        name, majors, *numbers = re.split(r"\s{2,}", line.strip())
                        self.lines.setdefault(name, []).append(
                            (set(map(int, majors.split())), tuple(int(number.replace(",", "")) for number in numbers)))

    def majors(self):
        return {major for lines in self.lines.values() for majors, _ in lines for major in majors}

    def of(self, name, major):
        return next((numbers for majors, numbers in self.lines.get(name, []) if major in majors), None)

    def record(self, major, measured):
        """Takes the figures of a major version over, and forgets operations that are no more."""
        kept = {}
        for name, numbers in measured.items():
            lines = [(majors - {major}, old) for majors, old in self.lines.get(name, [])]
            lines = [(majors, old) for majors, old in lines if majors]
            same = next((majors for majors, old in lines if alike(numbers, old)), None)
            if same is None:
                lines.append(({major}, numbers))
            else:
                same.add(major)
            kept[name] = sorted(lines, key=lambda line: min(line[0]))
        self.lines = kept

    def text(self):
        rows = [("operation", "PostgreSQL", *KINDS)]
        for name, lines in self.lines.items():
            rows += [(name, " ".join(map(str, sorted(majors))), *(f"{number:,}" for number in numbers))
                     for majors, numbers in lines]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return HEAD + "".join(
            "  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                      for column, (cell, width) in enumerate(zip(row, widths))).rstrip() + "\n" for row in rows)
