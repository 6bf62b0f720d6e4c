"""What every benchmark is: a case measures one or more figures, run by run."""

import itertools

from diagrams import Diagrams
from server import Database


class Sizes:
    """How much of everything; small sizes are to test the benchmarks."""

    def __init__(self, quick):
        self.quick = quick
        self.few = 10
        self.small = 100 if quick else 1000
        self.entities = 2000 if quick else 100000
        self.changes = 100 if quick else 2000
        self.conflicts = 200 if quick else 10000
        self.many = 500 if quick else 50000
        self.million = 4000 if quick else 1000000
        self.links = 30 if quick else 1000
        self.open = 20 if quick else 200
        self.merges = 500 if quick else 20000
        self.repeats = 2 if quick else 15
        self.seconds = 0.2 if quick else 2.5
        self.calls = 200 if quick else 20000


class Bench:
    """What the cases share: sizes, and diagrams that are made when first asked for."""

    def __init__(self, sizes, role):
        self.sizes = sizes
        self.role = role
        self.made = {}
        self.numbers = itertools.count(1)

    def database(self):
        return Database(f"bench_{next(self.numbers)}", self.role)

    def diagrams(self, entities, shared=True):
        key = (entities, shared)
        if key not in self.made:
            self.made[key] = Diagrams(self.database(), entities)
            if shared:
                self.made[key].share()
        return self.made[key]

    def close(self):
        for diagrams in self.made.values():
            diagrams.database.close()
        self.made = {}


class Case:
    """Subclasses name the case and its figures, and measure them in `run`.

    `run` calls `figure(name).add(ours, base)`, for those that are `wanted`.
    """

    name = ""

    def __init__(self, bench):
        self.bench = bench
        self.sizes = bench.sizes
        self.all = {figure.name: figure for figure in self.figures()}
        self.chosen = set(self.all)
        self.left_out = {}

    def figures(self):
        raise NotImplementedError

    def choose(self, names):
        """Only what was asked for, by the case's name or a figure's; is there anything?"""
        if self.name not in names:
            self.chosen &= set(names)
        return bool(self.chosen)

    def wanted(self, *names):
        return any(name in self.chosen for name in names)

    def add(self, name, pair):
        if name in self.chosen:
            self.all[name].add(*pair)

    def leave_out(self, why, *names):
        """What cannot be measured here: these figures, or all."""
        for name in names or self.all:
            if name in self.chosen:
                self.chosen.remove(name)
                self.left_out[name] = why

    def results(self):
        return [figure for name, figure in self.all.items() if name in self.chosen]

    # ---- For subclasses ------------------------------------------------------

    def check(self):
        """Leaves out what cannot be measured on this machine."""

    def prepare(self):
        pass

    def run(self, run):
        raise NotImplementedError

    def close(self):
        pass
