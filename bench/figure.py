"""A figure: two things measured side by side, the ratio, and its goal.

Of each run only the ratio counts, since both were measured next to each
other; the raw seconds (or transactions a second) are kept beside it.
"""

import math
import statistics


def interleave(run, ours, base):
    """Both, in the order ours, base, base, ours, ... from run to run."""
    if run % 2:
        of_base = base()
        return ours(), of_base
    of_ours = ours()
    return of_ours, base()


def halves(ours, base):
    """Two turns of both, ours, base, base, ours, so that a machine that gets faster or
    slower meanwhile does so for both; each is given the number of its turn."""
    turns = [interleave(turn, lambda turn=turn: ours(turn), lambda turn=turn: base(turn)) for turn in (0, 1)]
    return list(zip(*turns))


class Figure:
    """The name, what is measured, against what, and the goal of the ratio.

    The ratio is ours to the baseline; with `speedup` the baseline to ours,
    so that it says how many times faster ours is.
    """

    def __init__(self, name, what, against, goal=None, unit="s", speedup=False):
        self.name = name
        self.what = what
        self.against = against
        self.goal = goal  # ("<=" or ">=", number)
        self.unit = unit
        self.speedup = speedup
        self.ours = []
        self.base = []

    def add(self, ours, base):
        self.ours.append(ours)
        self.base.append(base)

    @property
    def ratios(self):
        if not self.ours:
            return [math.nan]
        pairs = zip(self.base, self.ours) if self.speedup else zip(self.ours, self.base)
        return [above / below if below else math.inf for above, below in pairs]

    @property
    def median(self):
        return statistics.median(self.ratios)

    def finite(self):
        return all(math.isfinite(ratio) and ratio > 0 for ratio in self.ratios)

    def met(self):
        if self.goal is None:
            return None
        way, value = self.goal
        return self.median <= value if way == "<=" else self.median >= value

    def as_json(self):
        return {
            "name": self.name, "what": self.what, "against": self.against, "unit": self.unit,
            "speedup": self.speedup,
            "goal": self.goal and {"way": self.goal[0], "value": self.goal[1]},
            "min": min(self.ratios), "median": self.median, "max": max(self.ratios), "met": self.met(),
            "ratios": self.ratios, "ours": self.ours, "base": self.base,
        }


HEADINGS = ("name", "what", "against", "min", "median", "max", "goal", "met", "ours", "base")


def table(figures):
    """The figures as lines of text in columns."""
    rows = [HEADINGS] + [row(figure) for figure in figures]
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEADINGS))]
    return ["  ".join(align(cell, widths[column], column) for column, cell in enumerate(line)).rstrip()
            for line in rows]


def align(cell, width, column):
    return cell.ljust(width) if column < 3 else cell.rjust(width)


def row(figure):
    numbers = [short(number) for number in (min(figure.ratios), figure.median, max(figure.ratios))]
    goal = f"{figure.goal[0]} {figure.goal[1]:g}" if figure.goal else "-"
    met = {None: "-", True: "yes", False: "NO"}[figure.met()]
    raw = [amount(statistics.median(side or [math.nan]), figure.unit) for side in (figure.ours, figure.base)]
    return (figure.name, figure.what, figure.against, *numbers, goal, met, *raw)


def short(number):
    """Three digits that count."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def amount(value, unit):
    if unit == "s":
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "us")):
            if value * factor >= 1 or name == "us":
                return f"{value * factor:.3g} {name}"
    if unit == "bytes":
        return f"{value / 1048576:.1f} MB"
    return f"{value:.0f} {unit}"
