"""Pushes and pulls of 10, 2,000 and 50,000 changes, against a bare upsert of
the same rows: INSERT ... SELECT ... ON CONFLICT DO UPDATE, in the order of keys,
stamping revision and time."""

import statistics

from case import Case
from figure import Figure, interleave

# What a push reads is edited at the local end and written at the public one.
DIRECTIONS = {"push": ("local", "public"), "pull": ("public", "local")}


class Changes(Case):
    """Each run edits other entities, all over the diagram, after a checkpoint: what is
    edited has been logged in full when it is synced, what the sync writes has not."""

    name = "changes"
    goals = {"2000": ("<=", 1.5), "50000": ("<=", 1.8)}

    def figures(self):
        return [
            Figure(f"{direction}_{count}", f"{direction} of {int(count):,} in 100,000", f"bare upsert of {int(count):,}", goal)
            for count, goal in self.goals.items() for direction in DIRECTIONS
        ]

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities)

    def run(self, run):
        counts = {"2000": self.sizes.changes, "50000": self.sizes.many}
        for name in self.all:
            direction, size = name.split("_")
            if self.wanted(name):
                self.add(name, self.measure(run, direction, counts[size]))

    def measure(self, run, direction, count):
        diagrams, database = self.diagrams, self.diagrams.database
        source, target = DIRECTIONS[direction]
        database.vacuum()
        database.checkpoint()
        diagrams.edit(source, diagrams.choose(count))
        pair = interleave(run, lambda: diagrams.sync(direction, count, {}), lambda: diagrams.upsert(target, count))
        diagrams.in_sync()
        return pair


class Few(Case):
    """10 changes: the same ten entities several times a run, the median of these,
    because one alone is mostly the wait for the disk.  Their pages are warm and
    have been logged in full before, so that the size of the diagram, and nothing
    else, makes the difference."""

    name = "few"

    def figures(self):
        return [
            Figure(f"{direction}_10{suffix}", f"{direction} of 10 in {size}", "bare upsert of 10")
            for suffix, size in (("", "100,000"), ("_million", "1,000,000")) for direction in DIRECTIONS
        ] + [
            Figure(f"{direction}_10_growth", f"{direction} of 10 in 1,000,000", "in 1,000", ("<=", 1.2))
            for direction in DIRECTIONS
        ]

    def run(self, run):
        sizes = self.sizes
        for direction in DIRECTIONS:
            for name, entities in ((f"{direction}_10", sizes.entities), (f"{direction}_10_million", sizes.million)):
                if self.wanted(name):
                    self.add(name, self.against_upsert(run, direction, self.bench.diagrams(entities)))
            if self.wanted(f"{direction}_10_growth"):
                self.add(f"{direction}_10_growth", self.against_small(
                    run, direction, self.bench.diagrams(sizes.million), self.bench.diagrams(sizes.small)))

    def against_upsert(self, run, direction, diagrams):
        sample = self.begin(diagrams)
        return self.medians(
            run, lambda: self.sync(direction, diagrams, sample),
            lambda: diagrams.upsert(DIRECTIONS[direction][1], len(sample)))

    def against_small(self, run, direction, great, small):
        samples = {diagrams: self.begin(diagrams) for diagrams in (great, small)}
        return self.medians(
            run, *(lambda diagrams=diagrams: self.sync(direction, diagrams, samples[diagrams])
                   for diagrams in (great, small)))

    def begin(self, diagrams):
        diagrams.database.vacuum()
        diagrams.database.checkpoint()
        return diagrams.choose(self.sizes.few)

    def medians(self, run, ours, base):
        interleave(run, ours, base)
        pairs = [interleave(run + turn, ours, base) for turn in range(self.sizes.repeats)]
        return [statistics.median(side) for side in zip(*pairs)]

    def sync(self, direction, diagrams, sample):
        diagrams.edit(DIRECTIONS[direction][0], sample)
        return diagrams.sync(direction, len(sample), {})
