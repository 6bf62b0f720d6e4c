"""The same in DoltLite, a SQLite whose tables have branches: "local" and "public".

Reads the entities from a file of JSON lines into a database, then answers
commands, a line of JSON each.  A process of its own: its library takes the place
of SQLite's before Python loads that.  All durable: each commit waits for the disk
(synchronous is FULL).
"""

import json
import os
import sys
import time

import doltlite  # before sqlite3
import sqlite3

TABLE = "CREATE TABLE entity (id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID"
EDIT = "UPDATE entity SET doc = json_set(doc, '$.color', ?, '$.last_seen', ?) WHERE id = ?"
# All documents are looked at, and counted, as ours are.
LIST = "SELECT count(base_doc || our_doc || their_doc) FROM dolt_conflicts_entity"
DIFF = "SELECT count(from_doc || to_doc) FROM dolt_diff_entity WHERE from_commit = ? AND to_commit = ?"


def seconds(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Branches:
    def __init__(self, path, lines):
        self.connection = sqlite3.connect(path, isolation_level=None)
        docs = {json.loads(line)["id"]: line.strip() for line in lines}
        self.ids = list(docs)
        self.all("PRAGMA synchronous = FULL")
        self.all(TABLE)
        self.all("BEGIN")
        self.connection.executemany("INSERT INTO entity VALUES (?, ?)", docs.items())
        self.all("COMMIT")
        self.all("SELECT dolt_commit('-A', '-m', 'all')")
        self.all("SELECT dolt_branch('-m', 'main', 'local')")
        self.all("SELECT dolt_branch('public')")

    def all(self, sql, *values):
        return self.connection.execute(sql, values).fetchall()

    def expect(self, count, sql, *values):
        found = self.all(sql, *values)[0][0]
        if found != count:
            raise RuntimeError(f"{sql}: {found} where {count} were expected")

    def checkout(self, branch):
        self.all("SELECT dolt_checkout(?)", branch)

    def head(self):
        return self.all("SELECT commit_hash FROM dolt_log LIMIT 1")[0][0]

    def edit(self, branch, ids, color):
        """Commits an edit of these entities there; returns the commits before and after it."""
        self.checkout(branch)
        before = self.head()
        self.all("BEGIN")
        self.connection.executemany(EDIT, ((color, color, entity) for entity in ids))
        self.all("COMMIT")
        self.all("SELECT dolt_commit('-A', '-m', 'edits')")
        return before, self.head()

    def merge(self, branch):
        self.all("SELECT dolt_merge(?)", branch)

    def meet(self, branch):
        """Begins a merge that conflicts, which DoltLite calls an error within a transaction."""
        try:
            self.merge(branch)
        except sqlite3.OperationalError as error:
            if "conflict" not in str(error):
                raise
        else:
            raise RuntimeError("nothing was in conflict")

    def resolve(self):
        self.all("SELECT dolt_conflicts_resolve('--ours', 'entity')")
        self.all("SELECT dolt_commit('-A', '-m', 'resolved')")
        if self.connection.in_transaction:
            self.all("COMMIT")

    def run(self, count, salt):
        """Edits on both sides are merged; then others, of the same entities, conflict."""
        step = len(self.ids) // (3 * count)
        mine, theirs, both = (self.ids[offset * step + salt % step::3 * step][:count] for offset in range(3))
        result = {}
        self.edit("local", mine, f"#{salt}")
        commits = self.edit("public", theirs, f"#{salt + 1}")
        result["diff"] = seconds(lambda: self.expect(count, DIFF, *commits))
        self.checkout("local")
        result["merge"] = seconds(lambda: self.merge("public"))
        self.checkout("public")
        result["forward"] = seconds(lambda: self.merge("local"))
        self.edit("public", both, f"#{salt + 2}")
        self.edit("local", both, f"#{salt + 3}")
        self.all("BEGIN")
        result["meet"] = seconds(lambda: self.meet("public"))
        result["list"] = seconds(lambda: self.expect(count, LIST))
        result["resolve"] = seconds(self.resolve)
        self.checkout("public")
        self.merge("local")
        return result


def main():
    path, folder = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        branches = Branches(os.path.join(folder, f"doltlite-{doltlite.__version__}"), file)
    for line in sys.stdin:
        print(json.dumps(branches.run(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
