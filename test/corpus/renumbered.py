#!/usr/bin/python3
"""What becomes of real merges when one side's ids are renumbered.

Counts the entities of each merge of the corpus that conflict under a policy of
granularity "property": as they are; with the ids of one side moved on by one,
as if something had been inserted before all; and with diagsync.match() finding
out again which entity is which.  docs/merging.md quotes it.

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE; nothing is
written.  DIAGSYNC_SHARED is the folder of the corpus.
"""

import collections
import gzip
import json
import sys

sys.dont_write_bytecode = True  # the sources' folder stays clean

import psycopg2

from corpus import FOLDER, REFERENCES

POLICIES = {
    "reactflow": {"preset": "reactflow", "match": [["/data/name", "/data/label"]]},
    "grafana": {"granularity": "property", "ignore": ["/id"], "groups": [["/gridPos"]], "keys": {"/targets": "refId"},
                "references": REFERENCES["grafana"], "match": [["/type", "/title"]]},
}


def conflicts(cursor, base, ours, theirs, policy):
    ids = sorted(base.keys() | ours.keys() | theirs.keys())
    cursor.execute(
        "SELECT count(*) FROM unnest(%s::jsonb[], %s::jsonb[], %s::jsonb[]) AS v (base, ours, theirs),"
        " diagsync.merge(base, ours, theirs, %s) AS m WHERE m.conflict",
        [[json.dumps(side[key]) if key in side else None for key in ids] for side in (base, ours, theirs)]
        + [json.dumps(policy)])
    return cursor.fetchone()[0]


def renumbered(entities, references):
    """Each gets the id of the next one."""
    ids = list(entities)
    new = dict(zip(ids, ids[1:] + ["the last one"]))
    names = ["id"] + [pointer[1:] for pointer in references]
    return {new[key]: {name: new.get(value, value) if name in names and isinstance(value, str) else value
                       for name, value in entity.items()}
            for key, entity in entities.items()}


def matched(cursor, base, entities, policy):
    cursor.execute("SELECT id, doc FROM diagsync.match(%s, %s, %s) WHERE new_id IS NOT NULL",
                   [json.dumps(value) for value in (base, entities, policy)])
    return dict(cursor.fetchall())


def main():
    cursor = psycopg2.connect("").cursor()
    counts = collections.Counter()
    with gzip.open(FOLDER / "merges.jsonl.gz", "rt") as lines:
        for merge in map(json.loads, lines):
            if merge.get("id_unstable"):
                continue
            policy = POLICIES[merge["format"]]
            base, ours, theirs = merge["base"], merge["ours"], merge["theirs"]
            moved = renumbered(theirs, REFERENCES[merge["format"]])
            counts["merges"] += 1
            counts["in conflict"] += conflicts(cursor, base, ours, theirs, policy)
            counts["... with the ids of one side moved on by one"] += conflicts(cursor, base, ours, moved, policy)
            counts["... and matched"] += conflicts(cursor, base, ours, matched(cursor, base, moved, policy), policy)
    for what, count in counts.items():
        print(f"{count:6}  {what}")


if __name__ == "__main__":
    main()
