"""The stack that diagsync replaces: the same share, edits, pushes and pulls in PouchDB."""

import json
import os
import tempfile

from case import Case
from diagrams import LOCAL, PUBLIC
from figure import Figure, interleave
from peer import Node, missing

STEPS = {
    "share": ("share of 100,000", 100),
    "push": ("push of 2,000", 20),
    "pull": ("pull of 2,000", 100),
    "push_again": ("second push of 2,000", None),
    "pull_again": ("second pull of 2,000", None),
    "noop": ("push and pull of nothing", None),
}


class PouchDB(Case):
    """Both with their default settings.  PouchDB runs inside node, without a server, a
    network, or a wait for the disk: all that is in its favour.  Its first pull after a share looks at every
    document, so the second one of the same pair is shown, too."""

    name = "pouchdb"

    def figures(self):
        return [
            Figure(f"pouchdb_{step}", f"{what}, times faster", "PouchDB", goal and (">=", goal), speedup=True)
            for step, (what, goal) in STEPS.items()
        ]

    def check(self):
        if missing("pouchdb"):
            self.leave_out(missing("pouchdb"))

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities, shared=False)
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "entities.jsonl")
        with open(path, "w", encoding="utf-8") as file, self.diagrams.database.admin.cursor() as cursor:
            # PouchDB has `_id` only.
            cursor.execute("SELECT (doc - 'id')::text FROM diagsync_local.entity WHERE diagram_id = %s", (LOCAL,))
            file.writelines(doc + "\n" for (doc,) in cursor)
        self.node = Node("pouchdb.js", path, self.folder.name)

    def run(self, run):
        if run == 0 and self.node.process.stdout.readline() != '"ready"\n':
            raise RuntimeError("pouchdb.js did not begin")
        ours, base = interleave(
            run, lambda: self.ours(self.sizes.changes),
            lambda: self.node.ask(json.dumps({"count": self.sizes.changes, "salt": 1000000 + run * 1000})))
        for step in STEPS:
            self.add(f"pouchdb_{step}", (ours[step], base[step]))

    def ours(self, count):
        diagrams, database = self.diagrams, self.diagrams.database
        database.vacuum()
        database.checkpoint()
        result = {"share": database.ours("SELECT diagsync.share(%s, %s)", (LOCAL, PUBLIC), PUBLIC)}
        for suffix in ("", "_again"):
            database.vacuum()
            database.checkpoint()
            sample = diagrams.choose(2 * count)
            diagrams.edit("local", sample[:count])
            diagrams.edit("public", sample[count:])
            result[f"push{suffix}"] = diagrams.push(count)
            result[f"pull{suffix}"] = diagrams.pull(count)
        result["noop"] = diagrams.push(0) + diagrams.pull(0)
        diagrams.in_sync()
        database.call("SELECT diagsync.drop_diagram(%s)", (PUBLIC,))
        return result

    def close(self):
        self.node.close()
        self.folder.cleanup()
