"""What it costs to ask how two copies stand."""

import statistics

from case import Case
from diagrams import LOCAL, PUBLIC
from figure import Figure, interleave
from server import connect

STATUS = f"SELECT * FROM diagsync.status('{LOCAL}');\n"
LOOKUP = f"""\\set n random(0, :entities - 1)
SELECT * FROM bench.bare_public WHERE diagram_id = '{PUBLIC}' AND id = bench.id(:n);
"""


class Unchanged(Case):
    """Nothing changed in 1,000,000.  Both are what a client waits for: the
    latency of a prepared statement in pgbench.  `_inside` is the same from within the
    server, in a PL/pgSQL loop, where no message and no transaction adds to it."""

    suffix = what = ""
    goal = ("<=", 2)

    @property
    def name(self):
        return f"status_{self.suffix}"

    def figures(self):
        what = f"status, nothing changed, {self.what}"
        return [
            Figure(f"status_{self.suffix}", what, "primary-key lookup (pgbench)", self.goal),
            Figure(f"status_{self.suffix}_inside", what, "primary-key lookup (PL/pgSQL)"),
        ]

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.million)
        self.before()
        self.diagrams.in_sync()
        self.diagrams.database.vacuum()

    def before(self):
        pass

    def run(self, run):
        database, sizes = self.diagrams.database, self.sizes
        variables = {"entities": sizes.million}
        if self.wanted(self.name):
            self.add(self.name, interleave(
                run,
                lambda: database.pgbench(STATUS, transactions=sizes.calls)[0],
                lambda: database.pgbench(LOOKUP, transactions=sizes.calls, bare=True, variables=variables)[0]))
        if self.wanted(f"{self.name}_inside"):
            self.add(f"{self.name}_inside", interleave(
                run,
                lambda: database.call("SELECT bench.status_seconds(%s, %s)", (LOCAL, sizes.calls)) / sizes.calls,
                lambda: database.value("SELECT bench.lookup_seconds(%s, %s, %s)", (PUBLIC, sizes.calls, sizes.million))
                / sizes.calls))


class Shared(Unchanged):
    """To be run before anything is pushed or pulled there."""

    suffix, what = "shared", "after a share"


class Pushed(Unchanged):
    suffix, what = "pushed", "after a push"

    def before(self):
        self.diagrams.edit("local", self.diagrams.choose(self.sizes.changes))
        self.diagrams.push(self.sizes.changes)


class Open(Unchanged):
    """The others have ended when it is asked: what they leave is in `seen`."""

    suffix, what = "open", "200 transactions open at the sync"

    def before(self):
        others = [connect(self.diagrams.database.name) for _ in range(self.sizes.open)]
        for other in others:
            other.autocommit = False
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_current_xact_id()")
        self.diagrams.edit("local", self.diagrams.choose(self.sizes.few))
        self.diagrams.push(self.sizes.few)
        for other in others:
            other.close()


class Changed(Case):
    """2,000 changed on each side of 100,000, no entity on both."""

    name = "status_changed"

    def figures(self):
        what = "status, 2,000 changed on each side"
        return [
            Figure("status_2000", what, "two index range counts"),
            Figure("status_2000_upsert", what, "bare upsert of 2,000", ("<=", 0.375)),
        ]

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities)

    def run(self, run):
        diagrams, database, count = self.diagrams, self.diagrams.database, self.sizes.changes
        revision = database.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        sample = diagrams.choose(2 * count)
        diagrams.edit("local", sample[:count])
        diagrams.edit("public", sample[count:])
        database.execute("VACUUM ANALYZE")

        def ours():
            return database.ours("SELECT local_changes + public_changes FROM diagsync.status(%s)", (LOCAL,), 2 * count)

        def counts():
            return database.bare("""
                SELECT (SELECT count(*) FROM diagsync_local.base WHERE diagram_id = %s)
                     + (SELECT count(*) FROM diagsync_public.entity WHERE diagram_id = %s AND rev >= %s)""",
                                 (LOCAL, PUBLIC, revision), 2 * count)

        interleave(run, ours, counts)
        pairs = [interleave(run + turn, ours, counts) for turn in range(5)]
        status, ranges = (statistics.median(side) for side in zip(*pairs))
        database.checkpoint()
        upsert = diagrams.upsert("public", count)
        self.add("status_2000", (status, ranges))
        self.add("status_2000_upsert", (status, upsert))
        diagrams.pull(count)
        diagrams.push(count)
        diagrams.in_sync()


class All(Case):
    """1,000 linked diagrams of 20 entities, ten of them changed; the single calls are
    made by one statement, so that no client's round trips are counted."""

    name = "status_all"

    def figures(self):
        return [Figure("status_all", "status_all(), 1,000 links, 10 changed", "1,000 single calls in one statement")]

    def prepare(self):
        database, links = self.bench.database(), self.sizes.links
        self.database = database
        database.call("SET synchronous_commit = off")
        for link in range(links):
            local = f"l{link}"
            database.call("SELECT diagsync.create_diagram('Link', 'local', %s)", (local,))
            database.call("INSERT INTO diagsync_local.entity (diagram_id, id, doc)"
                          " SELECT %s, bench.id(n), bench.document(n) FROM generate_series(1, 20) n", (local,))
            database.call("SELECT diagsync.share(%s, %s)", (local, f"p{link}"))
        database.call("UPDATE diagsync_local.entity SET doc = bench.edited(doc, 1)"
                      " WHERE diagram_id = ANY (%s)", ([f"l{link}" for link in range(10)],))
        database.execute("VACUUM ANALYZE")

    def run(self, run):
        links = self.sizes.links
        self.add("status_all", interleave(
            run,
            lambda: self.repeated("SELECT count(*) FROM diagsync.status_all()", links),
            lambda: self.repeated("SELECT count(s.state) FROM generate_series(0, %s) n, diagsync.status('l' || n) s",
                                  links, (links - 1,))))

    def repeated(self, sql, expect, values=None):
        return statistics.median(self.database.ours(sql, values, expect) for _ in range(5))

    def close(self):
        self.database.close()
