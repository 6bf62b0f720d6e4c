"""Merging documents property by property: 3 of a document's properties changed."""

import os
import tempfile

from case import Case
from figure import Figure, interleave
from peer import Node, missing

POLICY = '{"granularity": "property"}'
# A shape moved and painted here, its text changed there.
FILL = """
CREATE TABLE bench.triple AS
SELECT base,
       jsonb_set(base, '{position,x}', to_jsonb(bench.coordinate(n, 99))) || jsonb_build_object('color', bench.color(n, 98)) AS local,
       base || '{"text": "changed"}' AS public
  FROM generate_series(0, %s::bigint - 1) n, bench.shape(n) base;
VACUUM ANALYZE bench.triple
"""


class Merge(Case):
    """All in one statement on one core; in node, the parsed objects, warmed up."""

    name = "merge"

    def figures(self):
        what = "property merge of 3 changes"
        return [
            Figure("merge_rate", f"{what}, documents a second", "500,000 a second", (">=", 1), unit="/s"),
            Figure("merge_concat", f"{what}, time", "jsonb || of the same"),
            Figure("merge_javascript", f"{what}, time", "by hand in JavaScript"),
        ]

    def check(self):
        if missing():
            self.leave_out(missing(), "merge_javascript")

    def prepare(self):
        self.database = self.bench.database()
        for command in FILL.split(";"):
            self.database.execute(command, (self.sizes.merges,) if "%s" in command else None)
        if self.bench.role:
            self.database.execute(f"GRANT SELECT ON bench.triple TO {self.bench.role}")
        self.database.call("SET max_parallel_workers_per_gather = 0")
        self.node = None
        if self.wanted("merge_javascript"):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "triples.jsonl")
                with open(path, "w", encoding="utf-8") as file, self.database.admin.cursor() as cursor:
                    cursor.copy_expert(
                        "COPY (SELECT jsonb_build_array(base, local, public) FROM bench.triple) TO STDOUT"
                        " WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')", file)
                self.node = Node("merge.js", path)
                self.node.ask("warm up")

    def run(self, run):
        count = self.sizes.merges

        def ours():
            return self.database.ours(
                f"SELECT count((diagsync.merge(base, local, public, '{POLICY}')).merged) FROM bench.triple", expect=count)

        def concat():
            return self.database.bare("SELECT count(local || public) FROM bench.triple", expect=count)

        interleave(run, ours, concat)
        seconds, concatenated = interleave(run, ours, concat)
        self.add("merge_rate", (count / seconds, 500000))
        self.add("merge_concat", (seconds, concatenated))
        if self.node:
            self.add("merge_javascript", interleave(run, ours, lambda: self.node.ask("merge")))

    def close(self):
        if self.node:
            self.node.close()
        self.database.close()
