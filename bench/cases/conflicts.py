"""Conflicts among 100,000: listing 2,000, and resolving all by one rule; resolving 10,000 in one call."""

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


class Resolutions(Case):
    """The same, 10,000 of them: by one rule, and each by a choice of its own (local, public,
    a document merged by hand), with the version that was shown."""

    name = "resolutions"

    CHOICES = """CREATE TABLE bench.choices AS
        SELECT jsonb_agg(jsonb_build_object('entity_id', entity_id, 'expected', version) || CASE number %% 3
                   WHEN 0 THEN '{"resolution": "local"}' WHEN 1 THEN '{"resolution": "public"}'
                   ELSE jsonb_build_object('resolution', 'merged', 'doc', local || public) END) AS choices
          FROM (SELECT *, row_number() OVER () AS number FROM diagsync.conflicts(%s)) AS c"""
    ALL = "SELECT count(*) FROM diagsync.resolve_all(%s, %s) WHERE outcome = 'resolved'"
    MANY = "SELECT count(*) FROM bench.choices, diagsync.resolve_many(%s, choices) WHERE outcome = 'resolved'"

    def figures(self):
        upsert = "bare upsert of 10,000"
        return [
            Figure("resolve_all_local", "resolve_all, 10,000: local wins", upsert, ("<=", 2)),
            Figure("resolve_all_public", "resolve_all, 10,000: public wins", upsert, ("<=", 2)),
            Figure("resolve_many", "resolve_many, 10,000: each its own choice", upsert, ("<=", 2)),
        ]

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities)

    def run(self, run):
        database = self.diagrams.database
        for rule in ("local", "public"):
            if self.wanted(f"resolve_all_{rule}"):
                self.measure(run, f"resolve_all_{rule}", self.ALL, (LOCAL, rule))
        if self.wanted("resolve_many"):
            self.measure(run, "resolve_many", self.MANY, (LOCAL,), lambda: database.call(self.CHOICES, (LOCAL,)))
            database.execute("DROP TABLE bench.choices")
        self.diagrams.in_sync()

    def measure(self, run, figure, query, parameters, choose=lambda: None):
        diagrams, database, count = self.diagrams, self.diagrams.database, self.sizes.conflicts
        sample = diagrams.choose(count)
        database.vacuum()
        database.checkpoint()
        diagrams.edit("local", sample)
        diagrams.upsert("local", count)
        diagrams.edit("public", sample)
        choose()
        self.add(figure, interleave(
            run,
            lambda: database.ours(query, parameters, count),
            lambda: diagrams.upsert("local", count)))
        diagrams.push()
