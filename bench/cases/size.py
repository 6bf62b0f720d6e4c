"""Size on disk of a linked pair of 100,000 entities with 2,000 changed."""

from case import Case
from diagrams import Diagrams
from figure import Figure

OURS = ("diagsync.directory", "diagsync_local.entity", "diagsync_local.base",
        "diagsync_public.entity", "diagsync_public.tombstone")
BARE = ("bench.bare_local", "bench.bare_public")


class Size(Case):
    """Tables with their indexes, both copies against two bare tables that got the same
    edits.  It does not vary, so it is measured once."""

    name = "size"

    def figures(self):
        return [Figure("size", "size on disk, both copies, 2,000 changed", "two bare tables", unit="bytes")]

    def run(self, run):
        if run:
            return
        database = self.bench.database()
        try:
            diagrams = Diagrams(database, self.sizes.entities).share()
            diagrams.prepare_edit(diagrams.choose(self.sizes.changes))
            diagrams.apply_edit("local")
            diagrams.upsert("local")
            self.add("size", [
                database.value("SELECT sum(pg_total_relation_size(name::regclass))::bigint FROM unnest(%s) name", (list(side),))
                for side in (OURS, BARE)])
        finally:
            database.close()
