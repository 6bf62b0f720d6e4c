"""One-row edits by pgbench, prepared, a transaction each; and eight writers of a
shared copy with and without a link that syncs every 50 ms."""

import statistics
import threading
import time

from case import Case
from diagrams import LOCAL, TABLES
from figure import Figure, halves
from server import connect

# The bare table is stamped as the triggers do it.  (pgbench would take ":postgres" for a variable.)
STAMP = ", rev = pg_current_xact_id()::text::bigint, modified_at = now(), modified_by = 'role:' || 'postgres'"
UPDATE = """UPDATE {table} SET doc = doc || jsonb_build_object('color', :color::bigint){stamp}
 WHERE diagram_id = '{diagram}' AND id = bench.id(:n);
"""
# Any of the first so many; or each entity once, in no order.
ANY = "\\set n random(0, :entities - 1)\n"
ONCE = "\\set i :i + 1\n\\set n permute((:i * :clients + :client_id) % :entities, :entities, :seed)\n"
# One of 25 that only this client edits.
OWN = "\\set n :client_id * 25 + random(0, 24)\n"
COLOR = "\\set color random(0, 16777215)\n"


def update(end, bare, choice=ANY):
    table, diagram = TABLES[end]
    return choice + COLOR + UPDATE.format(
        table=f"bench.bare_{end}" if bare else table, stamp=STAMP if bare else "", diagram=diagram)


class Edits(Case):
    """Both make the same number of transactions, about as many as the bare table does
    in 2.5 seconds.  "First": entities that have no base row yet, each edited once;
    "again": 2,000 entities that have theirs, over and over."""

    name = "edits"

    def figures(self):
        kinds = (("public", "public"), ("local_first", "linked local, first touch"), ("local_again", "linked local, again"))
        return [
            Figure(f"edits_{kind}_{clients}", f"one-row edits, {clients} client{'s' * (clients > 1)}, {what}",
                   "the same, bare table", (">=", 0.92), unit="/s")
            for kind, what in kinds for clients in (1, 8)
        ]

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities)
        self.transactions = {}

    def run(self, run):
        for name in self.all:
            if self.wanted(name):
                kind, clients = name[len("edits_"):].rsplit("_", 1)
                self.add(name, self.measure(run, kind, int(clients)))

    def measure(self, run, kind, clients):
        diagrams, sizes, database = self.diagrams, self.sizes, self.diagrams.database
        end = kind.split("_")[0]
        choice, entities = (ONCE, sizes.entities) if kind == "local_first" else (ANY, sizes.entities)
        if kind == "local_again":
            entities = sizes.changes
            diagrams.edit("local", list(range(entities)))
        database.vacuum()

        def edits(bare, first=0, **how_long):
            database.checkpoint()
            return database.pgbench(
                update(end, bare, choice), clients, bare=bare,
                variables={"entities": entities, "clients": clients, "seed": run, "i": first}, **how_long)[1]

        if (end, clients) not in self.transactions:
            rate = edits(True, seconds=1 if sizes.seconds < 1 else 2)
            # None is to be touched twice in a run.
            self.transactions[end, clients] = int(min(rate * sizes.seconds, sizes.entities * 0.9) / clients / 2) or 1
        count = self.transactions[end, clients]
        rates = halves(lambda turn: edits(False, turn * count, transactions=count),
                       lambda turn: edits(True, turn * count, transactions=count))
        diagrams.push()
        diagrams.pull()
        diagrams.in_sync()
        return [statistics.harmonic_mean(side) for side in rates]


class Syncer(threading.Thread):
    """Pushes a few edits of its own and pulls those of all others, every 50 ms."""

    def __init__(self, diagrams, numbers):
        super().__init__(daemon=True)
        self.numbers = numbers
        self.connection = connect(diagrams.database.name, diagrams.database.role)
        self.done = threading.Event()
        self.syncs = 0
        self.failed = None

    def run(self):
        due = time.monotonic()
        with self.connection.cursor() as cursor:
            while not self.done.is_set():
                try:
                    cursor.execute("UPDATE diagsync_local.entity SET doc = bench.edited(doc, %s)"
                                   " WHERE diagram_id = %s AND id IN (SELECT bench.id(n) FROM unnest(%s::bigint[]) n)",
                                   (self.syncs, LOCAL, self.numbers))
                    for direction in ("push", "pull"):
                        cursor.execute(f"SELECT success FROM diagsync.{direction}(%s)", (LOCAL,))
                        if not cursor.fetchone()[0]:
                            raise RuntimeError(f"a {direction} met a conflict")
                except Exception as error:  # pylint: disable=broad-except
                    self.failed = error
                    return
                self.syncs += 1
                due = max(due + 0.05, time.monotonic())
                self.done.wait(due - time.monotonic())

    def stop(self):
        self.done.set()
        self.join()
        self.connection.close()
        if self.failed:
            raise self.failed


class Writers(Case):
    """Each writer edits 25 entities of its own, as fast as it can.  The link edits five
    others before each push, and pulls what the writers have edited meanwhile."""

    name = "writers"

    def figures(self):
        what = "8 writers, a sync every 50 ms"
        return [
            Figure("writers_throughput", f"{what}: throughput", "without syncs", (">=", 0.95), unit="/s"),
            Figure("writers_p99", f"{what}: 99th percentile", "without syncs"),
        ]

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities)

    def run(self, run):
        diagrams, entities = self.diagrams, self.sizes.entities
        script = update("public", False, OWN)

        def write(syncer=None):
            diagrams.database.vacuum("diagsync_public.entity", "diagsync_local.entity", "diagsync_local.base")
            diagrams.database.checkpoint()
            if syncer:
                syncer.start()
            try:
                return diagrams.database.pgbench(
                    script, 8, seconds=max(1, round(self.sizes.seconds)), log=True)[1:]
            finally:
                if syncer:
                    syncer.stop()
                diagrams.pull()

        synced, alone = halves(
            lambda turn: write(Syncer(diagrams, list(range(entities - 5, entities)))), lambda turn: write())
        for place, name in enumerate(("writers_throughput", "writers_p99")):
            self.add(name, [statistics.mean(turn[place] for turn in side) for side in (synced, alone)])
        diagrams.in_sync()
