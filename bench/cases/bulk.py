"""100,000 entities written by one INSERT, and a share of 100,000."""

from case import Case
from diagrams import LOCAL, PUBLIC, fill_source
from figure import Figure, interleave

INSERT = "INSERT INTO {table} (diagram_id, id, doc) SELECT '{diagram}', id, doc FROM bench.source"


class Bulk(Case):
    """Into an empty diagram; what was written is removed after each run, on both sides."""

    name = "bulk"

    def figures(self):
        same = "the same INSERT, bare table"
        return [
            Figure("bulk_public", "bulk write of 100,000, public", same, ("<=", 1.2)),
            Figure("bulk_local", "bulk write of 100,000, linked local", same, ("<=", 1.2)),
        ]

    def prepare(self):
        self.database = self.bench.database()
        fill_source(self.database, self.sizes.entities)

    def run(self, run):
        database = self.database
        if self.wanted("bulk_public"):
            database.call("SELECT diagsync.create_diagram('Bulk', 'public', %s)", (PUBLIC,))
            self.measure(run, "public", PUBLIC)
            database.call("SELECT diagsync.drop_diagram(%s)", (PUBLIC,))
        if self.wanted("bulk_local"):
            database.call("SELECT diagsync.create_diagram('Bulk', 'local', %s)", (LOCAL,))
            database.call("SELECT diagsync.share(%s, %s)", (LOCAL, PUBLIC))
            self.measure(run, "local", LOCAL)
            database.call("SELECT diagsync.drop_diagram(id) FROM unnest(%s) id", ([PUBLIC, LOCAL],))
        database.execute("DELETE FROM bench.bare_public")
        database.execute("DELETE FROM bench.bare_local")
        database.vacuum()

    def measure(self, run, end, diagram):
        def insert(measure, table):
            self.database.checkpoint()
            return measure(INSERT.format(table=table, diagram=diagram), expect=self.sizes.entities)

        self.add(f"bulk_{end}", interleave(
            run,
            lambda: insert(self.database.ours, f"diagsync_{end}.entity"),
            lambda: insert(self.database.bare, f"bench.bare_{end}")))

    def close(self):
        self.database.close()


class Share(Case):
    """The shared copy is dropped after each run."""

    name = "share"

    def figures(self):
        return [Figure("share", "share of 100,000", "INSERT ... SELECT, bare table", ("<=", 1.0))]

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities, shared=False)

    def run(self, run):
        database = self.diagrams.database
        database.execute("DELETE FROM bench.bare_public")
        database.vacuum()

        def share():
            database.checkpoint()
            return database.ours("SELECT diagsync.share(%s, %s)", (LOCAL, PUBLIC), PUBLIC)

        def insert():
            database.checkpoint()
            return database.bare("""
                INSERT INTO bench.bare_public (diagram_id, id, doc, rev, modified_at, modified_by)
                SELECT %s, id, doc, (SELECT pg_current_xact_id()::text::bigint), modified_at, modified_by
                  FROM diagsync_local.entity WHERE diagram_id = %s""", (PUBLIC, LOCAL), self.sizes.entities)

        self.add("share", interleave(run, share, insert))
        database.call("SELECT diagsync.drop_diagram(%s)", (PUBLIC,))
