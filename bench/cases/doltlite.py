"""Another database that merges copies: the same edits, merge and conflicts in DoltLite."""

import json
import os
import tempfile

from case import Case
from diagrams import LOCAL
from figure import Figure, interleave
from peer import Python, missing_python

FIGURES = {
    "merge": ("2,000 merged with 2,000", 10),
    "sync": ("the same, into both copies", 1),
    "diff": ("diff of 2,000", 1),
    "list": ("2,000 conflicts found and listed", 1),
    "resolve": ("resolving 2,000, and the commit", 1),
    "conflicts": ("2,000 conflicts found, listed, resolved", 1),
}


class DoltLite(Case):
    """A pull is what a merge of the branch "public" into "local" is, pull and push what brings both
    to the same.  DoltLite finds conflicts by beginning to merge; a pull that resolves them finds
    them once more, and is compared with resolving alone all the same.  Both wait for the disk.  DoltLite runs inside its
    client, without a server, which is in its favour."""

    name = "doltlite"

    def figures(self):
        return [Figure(f"doltlite_{name}", f"{what}, times faster", "DoltLite", (">=", goal), speedup=True)
                for name, (what, goal) in FIGURES.items()]

    def check(self):
        if missing_python("doltlite"):
            self.leave_out(missing_python("doltlite"))

    def prepare(self):
        self.diagrams = self.bench.diagrams(self.sizes.entities)
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "entities.jsonl")
        with open(path, "w", encoding="utf-8") as file, self.diagrams.database.admin.cursor() as cursor:
            cursor.execute("SELECT doc::text FROM diagsync_local.entity WHERE diagram_id = %s ORDER BY id", (LOCAL,))
            file.writelines(doc + "\n" for (doc,) in cursor)
        self.doltlite = Python("branches.py", path, self.folder.name)

    def run(self, run):
        count = self.sizes.changes
        ours, base = interleave(
            run, lambda: self.ours(count),
            lambda: self.doltlite.ask(json.dumps({"count": count, "salt": 1000000 + run * 1000})))
        base["sync"] = base["merge"] + base["forward"]
        base["list"] += base["meet"]
        base["conflicts"] = base["list"] + base["resolve"]
        for name in FIGURES:
            self.add(f"doltlite_{name}", (ours[name], base[name]))

    def ours(self, count):
        diagrams, database = self.diagrams, self.diagrams.database
        database.vacuum()
        database.checkpoint()
        sample = diagrams.choose(3 * count)
        diagrams.edit("public", sample[:count])
        result = {"diff": database.ours("SELECT count(*) FROM diagsync.changes(%s)", (LOCAL,), count)}
        diagrams.edit("local", sample[count:2 * count])
        result["merge"] = diagrams.pull(count)
        result["sync"] = result["merge"] + diagrams.push(count)
        diagrams.edit("local", sample[2 * count:])
        diagrams.edit("public", sample[2 * count:])
        result["list"] = database.ours("SELECT count(*) FROM diagsync.conflicts(%s)", (LOCAL,), count)
        result["resolve"] = diagrams.pull(0, on_conflict="local")
        result["conflicts"] = result["list"] + result["resolve"]
        diagrams.push(count)
        diagrams.in_sync()
        return result

    def close(self):
        self.doltlite.close()
        self.folder.cleanup()
