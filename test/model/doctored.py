#!/usr/bin/python3
"""Can the checker of concurrent histories fail?  Small records, each doctored so that
it breaks one property, which the checker must name; and honest ones, in which it must
find nothing."""

import sys

sys.dont_write_bytecode = True  # the sources' folder stays clean

import properties

LINKS = {"links": {"A": "P", "B": "P"}}
AT = "2026-01-01 00:00:{:02}+00"


def row(token, xid):
    """A row of an entity or of a base, as it is recorded; token None: a base without a document."""
    return {"doc": token and {"id": "e", "token": token}, "at": AT.format(xid)}


def entity(copy, token, xid):
    return ["entity", copy, "e", row(token, xid) if token else None]


def base(local, token, xid=0):
    return ["base", local, "e", row(token, xid)]


def known(local, token):
    """A base row that says that the deletion in the shared copy is known."""
    return ["base", local, "e", {**row(token, 0), "at": None, "unknown": False}]


def no_base(local):
    return ["base", local, "e", None]


def tombstone(xid):
    return ["tombstone", "P", "e", {"doc": None, "at": AT.format(xid)}]


def transaction(xid, kind, copy, *changes, **rest):
    """One operation in a transaction of its own, which was acknowledged."""
    operation = {"number": xid, "kind": kind, "copy": copy, "level": "READ COMMITTED", "snapshot": f"{xid}:{xid}:", **rest}
    return [{"transaction": xid, "operations": [[operation, list(changes)]]}, {"acknowledged": [xid]}]


def edit(xid, copy, token, *records):
    change = entity(copy, token, xid)
    return transaction(xid, "edit", copy, change, *records, edits=[["e", change[3] and change[3]["doc"]]])


def sync(xid, kind, local, *changes, rule="abort", resolved=0, conflicts=0, inserted=0, updated=0, deleted=0, **rest):
    return transaction(xid, kind, local, *changes, **{
        "rule": rule, "resolved": resolved, "conflicts": conflicts, "success": conflicts == 0,
        "inserted": inserted, "updated": updated, "deleted": deleted, **rest})


def together(*records):
    """Operations of one transaction, each of which was made as one of its own."""
    operations = [line["operations"][0] for line in records if "transaction" in line]
    for n, (operation, _) in enumerate(operations):
        operation.update(number=f"{operation['number']}.{n}", level="REPEATABLE READ")
    return [{"transaction": records[0]["transaction"], "operations": operations},
            {"acknowledged": [operation["number"] for operation, _ in operations]}]


def contents(a, b, p, statuses=(("in_sync", 0, 0, 0),) * 2):
    held = {copy: {"e": row(token, 0)["doc"]} if token else {} for copy, token in (("A", a), ("B", b), ("P", p))}
    return [{"contents": held, "statuses": dict(zip("AB", map(list, statuses))), "round": properties.ROUNDS}]


def status(said, truth, level="READ COMMITTED", after=()):
    return [{"status": {"copy": "A", "level": level, "snapshot": "20:20:", "after": after, "said": said, "truth": truth}}]


# All copies hold t1.
START = edit(10, "P", "t1") + sync(11, "pull", "A", entity("A", "t1", 10), inserted=1) \
    + sync(12, "pull", "B", entity("B", "t1", 10), inserted=1)
# A holds t2 on top of it, and the shared copy t3.
CLASH = START + edit(20, "A", "t2", base("A", "t1")) + edit(21, "P", "t3")
# A holds t2 on top of it, and the shared copy has it no more.
EDITED_AND_GONE = START + edit(20, "A", "t2", ["base", "A", "e", {**row("t1", 0), "at": None}]) + edit(21, "P", None, tombstone(21))
# A has deleted it, and that was pushed.
DELETED = START + edit(20, "A", None, base("A", "t1", 20)) \
    + sync(21, "push", "A", no_base("A"), entity("P", None, 21), tombstone(20), deleted=1)

# A deletion that A has pulled; and in one transaction the entity comes, is pulled, goes, and that is pulled.
DELETED_TWICE = START + edit(20, "P", None, tombstone(20)) + sync(21, "pull", "A", entity("A", None, 20), no_base("A"), deleted=1) + together(
    *edit(30, "P", "t5", ["tombstone", "P", "e", None]), *sync(30, "pull", "A", entity("A", "t5", 30), inserted=1),
    *edit(30, "P", None, tombstone(30)), *sync(30, "pull", "A", entity("A", None, 30), deleted=1))

# status() leaves out what transaction 21 has just edited itself.
MISSED_AFTER_EDIT = status([0, 0, 0, "in_sync", None], [0, 1, 0, "pending", ["e public"]], "SERIALIZABLE", [21])

SAFE = "no acknowledged edit lost"
SWAP = "compare-and-set"
GONE = "deletes never come back"
CONVERGE = "convergence"
HONEST = None

HISTORIES = [
    ("an edit is pushed and pulled", HONEST,
     START + edit(20, "A", "t2", base("A", "t1")) + sync(21, "push", "A", no_base("A"), entity("P", "t2", 20), updated=1)
     + sync(22, "pull", "B", entity("B", "t2", 20), updated=1) + contents("t2", "t2", "t2")),
    ("a conflict stays", HONEST, CLASH + sync(22, "push", "A", conflicts=1)),
    ("a conflict is settled for the local version", HONEST,
     CLASH + sync(22, "push", "A", no_base("A"), entity("P", "t2", 20), rule="local", resolved=1, updated=1)),
    ("a conflict is settled for the public version", HONEST,
     CLASH + sync(22, "pull", "A", no_base("A"), entity("A", "t3", 21), rule="public", resolved=1, updated=1)),
    ("a conflict is settled for the newest version", HONEST,
     CLASH + sync(22, "push", "A", no_base("A"), entity("A", "t3", 21), rule="newest", resolved=1)),
    ("a deletion that a sync leaves is noted", HONEST,
     EDITED_AND_GONE + sync(22, "pull", "A", known("A", "t1"), rule="skip", conflicts=1)),
    ("and by refresh", HONEST, EDITED_AND_GONE + transaction(22, "refresh", "A", known("A", "t1"))),
    ("a deletion is pushed and pulled", HONEST,
     DELETED + sync(22, "pull", "B", entity("B", None, 0), deleted=1) + contents(None, None, None)),
    ("a deleted entity is inserted again", HONEST,
     DELETED + edit(22, "P", "t4") + sync(23, "pull", "A", entity("A", "t4", 22), inserted=1)),
    ("a link that is made again may bring back what was deleted", HONEST,
     DELETED + transaction(22, "unlink", "B") + transaction(23, "link", "B", base("B", None))
     + sync(24, "push", "B", no_base("B"), entity("P", "t1", 10), inserted=1)
     + sync(25, "pull", "A", entity("A", "t1", 10), inserted=1)),
    ("so does a conflict of a new link that is settled first and pushed later", HONEST,
     START + edit(20, "P", "t3") + transaction(21, "unlink", "B") + transaction(22, "link", "B", base("B", None))
     + sync(23, "pull", "B", base("B", "t3"), rule="local", resolved=1)
     + sync(24, "push", "B", no_base("B"), entity("P", "t1", 10), updated=1)),
    ("a pull may read what has been replaced since", HONEST,
     START + edit(20, "P", "t2") + edit(21, "P", "t3")
     + sync(22, "pull", "A", entity("A", "t2", 20), updated=1, snapshot="21:21:", level="REPEATABLE READ")),
    ("a deletion is like one before, and it is the later one that was pulled", HONEST, DELETED_TWICE),

    ("an edit is taken back", HONEST,
     START + edit(20, "A", "t2", base("A", "t1"))
     + sync(21, "discard", "A", no_base("A"), entity("A", "t1", 10), rule=None, entities=["e"], updated=1)
     + contents("t1", "t1", "t1")),
    ("an edit that conflicts is taken back, and its base stays", HONEST,
     CLASH + sync(22, "discard", "A", entity("A", "t1", 10), rule=None, entities=["e"], updated=1)
     + sync(23, "pull", "A", no_base("A"), entity("A", "t3", 21), updated=1)),
    ("a chosen entity is pulled", HONEST,
     START + edit(20, "P", "t2") + sync(21, "pull", "A", entity("A", "t2", 20), updated=1, entities=["e"])),

    ("an acknowledged edit is not in the log", SAFE, START + [{"acknowledged": [20]}]),
    ("a deletion is not in the log", SAFE,
     START + transaction(20, "edit", "A", base("A", "t1"), edits=[["e", None]])),
    ("an edit has no base row", SAFE, START + edit(20, "A", "t2")),
    ("an edit has the base that a later version is", SAFE, START + edit(20, "A", "t2", base("A", "t2"))),
    ("an edit replaces the base", SAFE,
     START + edit(20, "A", "t2", base("A", "t1")) + edit(21, "A", "t3", base("A", "t2"))),
    ("a deletion leaves no tombstone", SAFE, START + edit(20, "P", None)),
    ("a pull overwrites a local edit", SAFE,
     CLASH + sync(22, "pull", "A", no_base("A"), entity("A", "t3", 21), updated=1)),
    ("a pull drops the base of a local edit", SAFE, CLASH + sync(22, "pull", "A", no_base("A"))),
    ("a pull makes a version the base that the edit does not rest on", SAFE, CLASH + sync(22, "pull", "A", base("A", "t3"))),
    ("a conflict is settled for the older version", SAFE,
     CLASH + sync(22, "push", "A", no_base("A"), entity("P", "t2", 20), rule="newest", resolved=1, updated=1)),
    ("both versions are to be kept, and one is", SAFE,
     CLASH + sync(22, "pull", "A", no_base("A"), entity("A", "t3", 21), rule="both", resolved=1, updated=1)),
    ("a deletion is noted that nobody made", SAFE,
     START + edit(20, "A", "t2", ["base", "A", "e", {**row("t1", 0), "at": None}])
     + sync(22, "pull", "A", known("A", "t1"), rule="skip")),
    ("refresh notes a deletion and another base", "refresh changes no entity",
     EDITED_AND_GONE + transaction(22, "refresh", "A", known("A", "t2"))),
    ("a difference is unknown though all have their records", "the records explain every difference",
     EDITED_AND_GONE + sync(22, "pull", "A", ["base", "A", "e", {**row("t1", 0), "at": None, "unknown": True}], rule="skip", conflicts=1)),
    ("refresh takes the far version for the base", SAFE,
     START + edit(20, "P", "t2") + transaction(21, "refresh", "A", base("A", "t2"))),
    ("an edit is earlier than the version that it replaces", "an edit is later than what it replaces",
     START + transaction(20, "edit", "P", entity("P", "t2", 5), edits=[["e", row("t2", 5)["doc"]]])),
    ("an entity is made again before it was deleted", "an edit is later than what it replaces",
     DELETED + transaction(22, "edit", "P", entity("P", "t4", 15), edits=[["e", row("t4", 15)["doc"]]])),
    ("a push on a stale base overwrites", SWAP,
     CLASH + sync(22, "push", "A", no_base("A"), entity("P", "t2", 20), updated=1)),
    ("a push on a stale base deletes", SWAP,
     START + edit(20, "A", None, base("A", "t1", 20)) + edit(21, "P", "t3")
     + sync(22, "push", "A", no_base("A"), entity("P", None, 0), tombstone(20), rule="skip", deleted=1)),
    ("a push on a stale base restores", SWAP,
     START + edit(20, "A", "t2", base("A", "t1")) + edit(21, "P", None, tombstone(21))
     + sync(22, "push", "A", no_base("A"), entity("P", "t2", 20), inserted=1)),
    ("a pull brings back what was deleted", GONE,
     DELETED + sync(22, "pull", "A", entity("A", "t1", 10), inserted=1)),
    ("a pull under an older snapshot brings back what was deleted", GONE,
     DELETED + sync(22, "pull", "A", entity("A", "t1", 10), inserted=1, snapshot="20:20:", level="REPEATABLE READ")),
    ("a push brings back what others have deleted", GONE,
     DELETED + sync(22, "push", "B", entity("P", "t1", 10), inserted=1)),
    ("a pull goes back to an earlier version", GONE,
     START + edit(20, "P", "t2") + sync(21, "pull", "A", entity("A", "t2", 20), updated=1)
     + sync(22, "pull", "A", entity("A", "t1", 10), updated=1, snapshot="20:20:", level="REPEATABLE READ")),
    ("a copy misses a version", CONVERGE, START + edit(20, "P", "t2") + contents("t1", "t1", "t2")),
    ("a copy misses a deletion", CONVERGE, DELETED + contents(None, "t1", None)),
    ("a status is not empty in the end", CONVERGE, START + contents("t1", "t1", "t1", [("in_sync", 0, 0, 0), ("pending", 0, 1, 0)])),
    ("a base row is left", CONVERGE, START + transaction(20, "refresh", "A", base("A", "t1")) + contents("t1", "t1", "t1")),
    ("the second round still pushes", CONVERGE,
     START + edit(20, "A", "t2", base("A", "t1"))
     + sync(21, "push", "A", no_base("A"), entity("P", "t2", 20), updated=1, round=properties.ROUNDS)),
    ("a second pull changes something", "idempotence",
     START + edit(20, "P", "t2") + sync(21, "pull", "A", entity("A", "t2", 20), updated=1, nothing="idempotence")),
    ("the status was empty, and a push changes something", "empty status",
     START + edit(20, "A", "t2", base("A", "t1"))
     + sync(21, "push", "A", no_base("A"), entity("P", "t2", 20), updated=1, nothing="empty status")),
    ("status misses a change", "status equals a full comparison", status([0, 0, 0, "in_sync", None], [0, 1, 0, "pending", ["e public"]])),
    ("status misses a change after an edit under an older snapshot", "status equals a full comparison",
     MISSED_AFTER_EDIT),
    ("status misses an edit after the link was cut under an older snapshot", HONEST,
     START + transaction(20, "unlink", "A") + edit(21, "A", "t2") + MISSED_AFTER_EDIT),
    ("status misses a deletion that it pruned under an older snapshot", HONEST,
     START + edit(17, "P", None, tombstone(17)) + sync(20, "pull", "A", entity("A", None, 17), deleted=1)
     + transaction(21, "prune", "P", ["tombstone", "P", "e", None]) + MISSED_AFTER_EDIT),
    ("refresh under an older snapshot notes what a resolution has settled", SAFE,
     CLASH + transaction(22, "resolve", "A", no_base("A"), entity("A", "t3", 21), rule="public")
     + transaction(23, "refresh", "A", base("A", "t2"), level="REPEATABLE READ", snapshot="22:22:")),
    ("a sync says that it did more", "results", START + sync(20, "pull", "A", updated=1)),
    ("a sync leaves a conflict and says that all is well", "results", CLASH + sync(22, "pull", "A", conflicts=1, success=True)),
    ("a sync refuses deletions and says that all is well", "results", START + sync(20, "pull", "A", refused=12)),
    ("a sync refuses deletions and writes", "results",
     START + edit(20, "P", "t2") + sync(21, "pull", "A", entity("A", "t2", 20), updated=1, refused=12, success=False)),
    ("a sync that was to abort writes", "results",
     CLASH + sync(22, "pull", "A", no_base("A"), entity("A", "t3", 21), updated=1, conflicts=1)),
    ("a plan that is overtaken is carried out", "a plan that is overtaken is not carried out",
     START + edit(20, "P", "t2") + sync(21, "pull", "A", entity("A", "t2", 20), updated=1, overtaken=True)),
    ("a pull of others pulls it", "what is not chosen is left alone",
     START + edit(20, "P", "t2") + sync(21, "pull", "A", entity("A", "t2", 20), updated=1, entities=["f"])),
    ("an edit that conflicts is taken back, and its base goes", SAFE,
     CLASH + sync(22, "discard", "A", no_base("A"), entity("A", "t1", 10), rule=None, entities=["e"], updated=1)),
    ("an edit is taken back to what is not its base", SAFE,
     CLASH + sync(22, "discard", "A", entity("A", "t3", 21), rule=None, entities=["e"], updated=1)),
    ("a pull writes the shared copy", "a sync writes only its link", START + sync(20, "pull", "A", entity("P", "t1", 10))),
    ("an operation that was rolled back is in the log", "record", START + [{"abandoned": [10]}]),
    ("rows are written that nobody knows of", "record",
     [{"transaction": 20, "operations": [[{"number": 0, "kind": "unknown"}, [entity("P", "t2", 20)]]]}, {"acknowledged": [0]}]),
]


def main():
    failures = 0
    for name, wanted, lines in HISTORIES:
        found = properties.check([LINKS] + lines).violations
        named = sorted({violation.partition(":")[0] for violation in found})
        if wanted is None and found or wanted is not None and wanted not in named:
            failures += 1
            print(f"FAILED: {name}: expected {wanted}, found {named}\n    " + "\n    ".join(found))
    honest = sum(1 for _, wanted, _ in HISTORIES if wanted is HONEST)
    print(f"doctored histories: {honest} honest ones, {len(HISTORIES) - honest} doctored ones, {failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
