"""Diagrams to measure with: a local one, the shared one that it is linked to,
and bare tables with the same rows.

A case that edits them leaves them in sync, so that the next one can go on.
"""

import random

LOCAL, PUBLIC = "l", "p"
TABLES = {"local": ("diagsync_local.entity", LOCAL), "public": ("diagsync_public.entity", PUBLIC)}

UPSERT = """
INSERT INTO bench.bare_{end} (diagram_id, id, doc, rev, modified_at, modified_by)
SELECT '{diagram}', id, doc, (SELECT pg_current_xact_id()::text::bigint), now(), 'role:postgres' FROM bench.edit
ON CONFLICT (diagram_id, id) DO UPDATE
   SET doc = excluded.doc, rev = excluded.rev, modified_at = excluded.modified_at, modified_by = excluded.modified_by
"""


class Diagrams:
    """`share` is to be called before anything is pushed or pulled."""

    def __init__(self, database, entities):
        self.database = database
        self.entities = entities
        self.dice = random.Random(entities)
        self.throw = 100
        execute = database.execute
        fill_source(database, entities)
        database.call("SELECT diagsync.create_diagram('Benchmark', 'local', %s)", (LOCAL,))
        database.call("INSERT INTO diagsync_local.entity (diagram_id, id, doc)"
                      " SELECT %s, id, doc FROM bench.source", (LOCAL,))
        for end, (_, diagram) in TABLES.items():
            execute(f"INSERT INTO bench.bare_{end} (diagram_id, id, doc) SELECT %s, id, doc FROM bench.source", (diagram,))
        execute("DROP TABLE bench.source")
        self.tidy()

    def tidy(self):
        self.database.execute("VACUUM ANALYZE")

    def share(self):
        self.database.call("SELECT diagsync.share(%s, %s)", (LOCAL, PUBLIC))
        self.tidy()
        return self

    # ---- Edits -----------------------------------------------------------------

    def choose(self, count):
        """Numbers of entities all over the diagram."""
        return self.dice.sample(range(self.entities), count)

    def prepare_edit(self, numbers):
        """Puts new versions of these entities into bench.edit, in the order of keys."""
        self.throw += 10
        self.database.execute("TRUNCATE bench.edit")
        self.database.execute("""
            INSERT INTO bench.edit
            SELECT e.id, bench.edited(e.doc, %s)
              FROM unnest(%s::bigint[]) AS n JOIN diagsync_local.entity e ON e.id = bench.id(n) AND e.diagram_id = %s
             ORDER BY e.id""", (self.throw, numbers, LOCAL))
        self.database.execute("ANALYZE bench.edit")

    def apply_edit(self, *ends):
        for end in ends:
            table, diagram = TABLES[end]
            self.database.call(f"UPDATE {table} e SET doc = edit.doc FROM bench.edit"
                               " WHERE e.diagram_id = %s AND e.id = edit.id", (diagram,))

    def edit(self, end, numbers):
        self.prepare_edit(numbers)
        self.apply_edit(end)

    # ---- What is measured --------------------------------------------------------

    def push(self, expect=None, **options):
        return self.sync("push", expect, options)

    def pull(self, expect=None, **options):
        return self.sync("pull", expect, options)

    def sync(self, direction, expect, options):
        """Seconds; `expect` is the number of documents that it must write."""
        rule = options.get("on_conflict", "abort")
        return self.database.ours(
            f"SELECT documents_updated FROM diagsync.{direction}(%s, on_conflict => %s)", (LOCAL, rule), expect)

    def upsert(self, end, expect=None):
        """Seconds that the bare table takes to take over bench.edit."""
        return self.database.bare(UPSERT.format(end=end, diagram=TABLES[end][1]), expect=expect)

    def in_sync(self):
        state = self.database.call("SELECT state FROM diagsync.status(%s)", (LOCAL,))
        if state != "in_sync":
            raise RuntimeError(f"the benchmark's diagrams are {state}")


def fill_source(database, entities):
    database.execute("INSERT INTO bench.source SELECT n, bench.id(n), bench.document(n)"
                     " FROM generate_series(0, %s::bigint - 1) n", (entities,))
    database.execute("ANALYZE bench.source")
