"""2,000 conflicts among 100,000: listing them, and resolving all by one rule."""

from case import Case
from diagrams import LOCAL
from figure import Figure, interleave


class Conflicts(Case):
    """The same entities are edited differently on both sides before each, and the bare
    table gets the local edit, too."""

    name = "conflicts"

    def figures(self):
        upsert = "bare upsert of 2,000"
        return [
            Figure("conflicts_list", "listing 2,000 conflicts", upsert),
            Figure("conflicts_local", "resolving 2,000: local wins", upsert, ("<=", 1.5)),
            Figure("conflicts_public", "resolving 2,000: public wins", upsert, ("<=", 1.5)),
        ]

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities)

    def run(self, run):
        if self.wanted("conflicts_local", "conflicts_list"):
            self.run_with(run, "local", 0)
            self.diagrams.push(self.sizes.changes)
        if self.wanted("conflicts_public"):
            self.run_with(run, "public", self.sizes.changes)
        self.diagrams.in_sync()

    def run_with(self, run, rule, written):
        diagrams, database, count = self.diagrams, self.diagrams.database, self.sizes.changes
        sample = diagrams.choose(count)
        database.vacuum()
        database.checkpoint()
        diagrams.edit("local", sample)
        diagrams.upsert("local", count)
        diagrams.edit("public", sample)

        def ours():
            listing = database.ours("SELECT count(*) FROM diagsync.conflicts(%s)", (LOCAL,), count)
            return listing, diagrams.pull(written, on_conflict=rule)

        (listing, resolving), upsert = interleave(run, ours, lambda: diagrams.upsert("local", count))
        if rule == "local":
            self.add("conflicts_list", (listing, upsert))
        self.add(f"conflicts_{rule}", (resolving, upsert))
