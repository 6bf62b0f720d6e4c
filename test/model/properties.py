"""The properties of a recorded concurrent history: pure, no database.

A history is a sequence of lines, each a JSON object, as recorder.py writes them:

    {"links": {"L1": "P", ...}}          which local copies there are
    {"transaction": xid, "operations": [[operation, changes], ...]}
                                         one that committed, in commit order: what
                                         each of its operations said of itself, and
                                         the rows that it wrote, in their order, as
                                         [table, copy, id, new row or null]
    {"acknowledged": [number, ...]}      operations whose COMMIT the session was told of
    {"abandoned": [number, ...]}         operations that were rolled back
    {"status": {...}}                    what status() and changes() said, and what a
                                         full comparison under the same snapshot said
    {"contents": {copy: {id: doc}}, "statuses": ..., "round": n}
                                         all copies, when nobody wrote and everything
                                         had been pulled and pushed for n rounds

The rows come from logical decoding, not from what diagsync says of itself.  They
are replayed in commit order.  What a transaction wrote, it had locked, so the
state before it is what its operation found there.  What a sync only read (the shared
copy of a pull) may be older: any version from the one that its snapshot shows on.

Each document has a token that no other edit uses, so that a version is known by it.
"""

import collections

NO_ROW = "no row"  # of an entity's base: the entity is its own base
UNTOUCHED = "untouched"
FORWARD = ("abort", "skip")  # rules that settle nothing
ROUNDS = 2  # of pulls and pushes, until all copies are equal


class Version:
    """What a copy held under an id: a document, or none."""

    def __init__(self, doc, at, xid):
        self.doc = doc
        self.at = at  # when it was edited or deleted, as the server wrote it down
        self.xid = xid  # of the transaction that wrote it there
        self.fate = None  # why it was replaced
        self.is_pruned = False  # a deletion whose tombstone is gone, and its time with it


NOTHING = Version(None, None, 0)
Base = collections.namedtuple("Base", "doc at unknown")  # unknown: False says that the deletion in the shared copy is known
Outcome = collections.namedtuple("Outcome", "kind base local public copies")


class Snapshot:
    """A pg_snapshot: which transactions it shows."""

    def __init__(self, text):
        _, xmax, in_progress = text.split(":")
        self.xmax = int(xmax)
        self.in_progress = {int(xid) for xid in in_progress.split(",") if xid}

    def shows(self, xid):
        return xid < self.xmax and xid not in self.in_progress


def decide(operation, base, local, public, public_at):
    """What a sync or a resolution is to make of an entity: docs/how-it-works.md as a
    function.  base is NO_ROW or a Base, local and public are Versions."""
    kind, rule = operation["kind"], operation.get("rule")
    ancestor = local.doc if base == NO_ROW else base.doc
    untouched = Outcome("untouched", base, UNTOUCHED, UNTOUCHED, False)
    if kind == "discard":
        if local.doc in (ancestor, public.doc):
            return untouched
        return Outcome("taken back", NO_ROW if public.doc == ancestor else ancestor, ancestor, UNTOUCHED, False)
    if local.doc == public.doc:
        return Outcome("agreed", NO_ROW, UNTOUCHED, UNTOUCHED, False) if kind != "resolve" else untouched
    if public.doc == ancestor:
        return Outcome("pushed", NO_ROW, UNTOUCHED, local.doc, False) if kind == "push" else untouched
    if local.doc == ancestor:
        return Outcome("pulled", NO_ROW, public.doc, UNTOUCHED, False) if kind == "pull" else untouched
    if rule in FORWARD:
        return untouched
    if rule == "newest":
        rule = "local" if (local.at or "") > (public_at or "") else "public"
    copies = False
    if rule == "both":
        copies = local.doc is not None and public.doc is not None
        rule = "local" if public.doc is None else "public"
    if rule == "public":
        return Outcome("settled", NO_ROW, public.doc, UNTOUCHED, copies)
    if rule == "merged":
        return Outcome("settled", public.doc, operation["doc"], UNTOUCHED, False)
    if kind == "push":
        return Outcome("settled", NO_ROW, UNTOUCHED, local.doc, False)
    return Outcome("settled", public.doc, UNTOUCHED, UNTOUCHED, False)


class Touched:
    """One id that an operation wrote: as it was before, and as it is after."""

    def __init__(self, base, local, public):
        self.base, self.local, self.public = base, local, public
        self.new_base, self.new_local, self.new_public = base, UNTOUCHED, UNTOUCHED


class Checker:
    """Replays a history line by line; `violations` is what it found."""

    def __init__(self):
        self.links = {}
        self.linked = set()
        self.versions = collections.defaultdict(lambda: [NOTHING])  # (copy, id) -> all, in order
        self.bases = {}  # (local, id) -> Base
        self.tombstones = {}  # (copy, id) -> when deleted
        self.lost = collections.defaultdict(set)  # (copy, id) -> tokens that it had and lost
        self.known = {}  # (local, id) -> place of the version of the shared copy that it knows
        self.relinked = set()  # (local, id) that differed when they were linked, and still do
        self.committed = {}  # number -> place of its transaction in the commit order
        self.link_changes = []  # (local, xid, place) of link and unlink
        self.syncs = []  # the same of pushes and pulls
        self.pruned = set()  # numbers of prunes
        self.doubtful = []  # statuses that do not agree
        self.acknowledged, self.abandoned = set(), set()
        self.edits = []  # (number, copy, id, Version)
        self.counts = collections.Counter()
        self.violations = []
        self.where = ""

    def violation(self, property_of, text):
        self.violations.append(f"{property_of}: {text}{self.where}")

    # ---- The state -----------------------------------------------------------

    def current(self, copy, entity):
        return self.versions[copy, entity][-1]

    def public_of(self, copy):
        return self.links.get(copy)

    def put(self, copy, entity, version, fate):
        """A new version at a copy; what becomes of the old one."""
        old = self.current(copy, entity)
        old.fate = fate
        if old.doc is not None and old.doc != version.doc:
            self.lost[copy, entity].add(old.doc["token"])
        self.versions[copy, entity].append(version)

    def plausible(self, operation, xid, copy, entity):
        """The places of the versions that an operation may have read there."""
        versions = self.versions[copy, entity]
        snapshot = Snapshot(operation["snapshot"])
        found = []
        for place in reversed(range(len(versions))):
            version = versions[place]
            visible = version.xid == xid or version is NOTHING or snapshot.shows(version.xid)
            if visible or operation["level"] == "READ COMMITTED":
                found.insert(0, place)
            if visible and version.xid != xid:
                break
        return found

    # ---- One line of the history -----------------------------------------------

    def line(self, line):
        for kind in ("links", "transaction", "acknowledged", "abandoned", "status", "contents"):
            if kind in line:
                getattr(self, "on_" + kind)(line[kind], line)
                return
        raise ValueError(f"a line of an unknown kind: {sorted(line)}")

    def on_links(self, links, _):
        self.links.update(links)
        self.linked.update(links)

    def on_acknowledged(self, numbers, _):
        self.acknowledged.update(numbers)

    def on_abandoned(self, numbers, _):
        self.abandoned.update(numbers)

    def on_transaction(self, xid, line):
        for operation, changes in line["operations"]:
            self.where = f"\n    in transaction {xid}, operation {operation}, which wrote {changes}"
            self.counts["operations"] += 1
            if operation["number"] in self.committed:
                self.violation("record", "an operation was recorded twice")
            self.committed[operation["number"]] = self.counts["transactions"]
            if operation["kind"] in ("link", "unlink"):
                self.link_changes.append((operation["copy"], xid, self.counts["transactions"]))
            elif operation["kind"] in ("push", "pull"):
                self.syncs.append((operation["copy"], xid, self.counts["transactions"]))
            elif operation["kind"] == "prune":
                self.pruned.add(operation["number"])
            check = {"edit": self.edit, "push": self.sync, "pull": self.sync, "resolve": self.sync, "discard": self.sync,
                     "refresh": self.refresh, "prune": self.prune, "unlink": self.unlink, "link": self.link}
            if operation["kind"] in check:
                check[operation["kind"]](xid, operation, changes)
            else:
                self.violation("record", "rows that no operation wrote")
            self.where = ""
        self.counts["transactions"] += 1

    # ---- Plain edits -------------------------------------------------------------

    def edit(self, xid, operation, changes):
        copy = operation["copy"]
        linked = copy in self.linked
        edits = dict(map(tuple, operation["edits"]))
        before = {entity: (self.current(copy, entity), self.bases.get((copy, entity), NO_ROW),
                           self.replaced_at(copy, entity)) for entity in edits}
        found = {}
        for table, where, entity, row in changes:
            if where != copy or entity not in edits or (table == "base" and not linked):
                self.violation("an edit writes what it says", f"it wrote {table} {where} {entity}")
            if table == "entity":
                found[entity] = row
            elif table == "base":
                self.keep_base(copy, entity, row)
            else:
                self.keep_tombstone(copy, entity, row)
        if {entity: row and row["doc"] for entity, row in found.items()} != edits:
            self.violation("no acknowledged edit lost", f"it says {edits}")
        for entity, row in found.items():
            was, base, replaced_at = before[entity]
            now = self.bases.get((copy, entity), NO_ROW)
            if linked:
                wanted = was.doc if base == NO_ROW else base.doc
                if now == NO_ROW:
                    self.violation("no acknowledged edit lost", f"{entity} was edited, and has no base row")
                elif now.doc != wanted:
                    self.violation("no acknowledged edit lost", f"the base of {entity} is {now.doc}, not {wanted}")
            at = row["at"] if row else now.at if linked and now != NO_ROW else self.tombstones.get((copy, entity))
            if row is None and copy in self.links.values() and at is None:
                self.violation("no acknowledged edit lost", f"{entity} was deleted without a tombstone")
            if at is not None and replaced_at is not None and at < replaced_at:
                self.violation("an edit is later than what it replaces", f"{entity} at {at}, after {replaced_at}")
            version = Version(row and row["doc"], at, xid)
            self.put(copy, entity, version, "edited")
            self.edits.append((operation["number"], copy, entity, version))
            self.counts["edits"] += 1

    def replaced_at(self, copy, entity):
        """The time of the version, or of the deletion, that an edit replaces, where it is noted."""
        was = self.current(copy, entity)
        if was.doc is not None:
            return was.at
        base = self.bases.get((copy, entity), NO_ROW)
        return self.tombstones.get((copy, entity)) if base == NO_ROW else base.at

    def keep_base(self, local, entity, row):
        if row is None:
            self.bases.pop((local, entity), None)
        else:
            self.bases[local, entity] = Base(row["doc"], row["at"], row.get("unknown"))
            if row.get("unknown"):
                self.violation("the records explain every difference", f"{entity} of {local} is unknown")

    def keep_tombstone(self, copy, entity, row):
        if row is None:
            self.tombstones.pop((copy, entity), None)
        else:
            self.tombstones[copy, entity] = row["at"]

    # ---- Syncs and resolutions -------------------------------------------------------

    def sync(self, xid, operation, changes):
        local = operation["copy"]
        public = self.public_of(local)
        touched = {}
        for table, where, entity, row in changes:
            if where not in (local, public) or (where == public and operation["kind"] in ("pull", "resolve", "discard")):
                self.violation("a sync writes only its link", f"it wrote {table} {where} {entity}")
                continue
            if entity not in touched:
                touched[entity] = Touched(self.bases.get((local, entity), NO_ROW),
                                          self.current(local, entity), self.current(public, entity))
            if table == "base":
                self.keep_base(local, entity, row)
                touched[entity].new_base = self.bases.get((local, entity), NO_ROW)
            elif table == "tombstone":
                self.keep_tombstone(where, entity, row)
            elif where == local:
                touched[entity].new_local = row
            else:
                touched[entity].new_public = row

        copies = []
        settled = 0
        for entity, each in sorted(touched.items(), key=lambda item: is_copy(item[1])):
            outcome, place = self.explain(xid, operation, entity, each, copies)
            if outcome.kind == "unexplained":
                self.unexplained(operation, entity, each)
            if outcome.copies:
                copies.append((entity, each.local))
            settled += outcome.kind == "settled"
            if operation.get("entities") is not None and entity not in operation["entities"] and outcome.kind != "copied":
                self.violation("what is not chosen is left alone", f"it wrote {entity}")
            self.counts[outcome.kind] += 1
            self.apply(xid, operation, entity, each, outcome, place)
        if copies:
            self.violation("no acknowledged edit lost", f"no copy of {[entity for entity, _ in copies]} was made")
        self.check_figures(operation, touched, settled)

    def explain(self, xid, operation, entity, each, copies):
        """The outcome that accounts for what was written, and the place of the far version
        that it rests on."""
        versions = self.versions[self.public_of(operation["copy"]), entity]
        if each.new_public != UNTOUCHED:
            places = [len(versions) - 1]
        else:
            places = self.plausible(operation, xid, self.public_of(operation["copy"]), entity)
        if is_copy(each) and each.new_local["doc"] is not None:
            for original in copies:
                if self.is_copy_of(operation, entity, each, original):
                    copies.remove(original)
                    return Outcome("copied", None, None, None, False), places[0]
        # A transaction that has written there itself may have read any of these.
        # Two may be alike (deleted, and deleted again): what the copy knows
        # already tells which it was.
        known = self.known.get((operation["copy"], entity), 0)
        for place in sorted(places, key=lambda place: place < known):
            read = versions[place]
            for public_at in (read.at, None) if read.is_pruned else (read.at,):
                outcome = decide(operation, each.base, each.local, read, public_at)
                if outcome.kind != "untouched" and matches(outcome, each):
                    return outcome, place
            if is_noted(each, read):
                return Outcome("noted", None, None, None, False), place
        return Outcome("unexplained", None, None, None, False), places[0]

    @staticmethod
    def is_copy_of(operation, entity, each, original):
        old_id, version = original
        doc = {key: entity if key in ("id", "_id") and value == old_id else value
               for key, value in version.doc.items()}
        if each.new_local["doc"] != doc:
            return False
        if operation["kind"] == "push":
            return each.new_base == NO_ROW and each.new_public not in (UNTOUCHED, None) and each.new_public["doc"] == doc
        return each.new_base != NO_ROW and each.new_base.doc is None and each.new_public == UNTOUCHED

    def unexplained(self, operation, entity, each):
        base = each.local.doc if each.base == NO_ROW else each.base.doc
        text = (f"{operation['kind']} made of {entity}, base {base}, local {each.local.doc},"
                f" public {each.public.doc}: base {each.new_base}, local {each.new_local}, public {each.new_public}")
        if each.new_public != UNTOUCHED and operation["rule"] in FORWARD and each.public.doc != base:
            self.violation("compare-and-set", text)
        elif any(old.doc is None and row not in (UNTOUCHED, None)
                 for old, row in ((each.local, each.new_local), (each.public, each.new_public))):
            self.violation("deletes never come back", text)
        else:
            self.violation("no acknowledged edit lost", text)

    def apply(self, xid, operation, entity, each, outcome, place):
        """Writes down what an operation did to an entity; looks for what comes back."""
        local = operation["copy"]
        public = self.public_of(local)
        read = self.versions[public, entity][place]
        fate = outcome.kind if outcome.kind != "settled" else f"settled by {operation['rule']}"

        # Whoever has seen a deletion, or any version, never reads an earlier one.
        if place < self.known.get((local, entity), 0):
            self.violation("deletes never come back", f"{local} knew a later version of {entity} than {read.doc}")
        if each.new_local != UNTOUCHED:
            row = each.new_local
            self.put(local, entity, Version(row and row["doc"], row["at"] if row else read.at, xid), fate)
        if each.new_public != UNTOUCHED:
            row = each.new_public
            self.check_return(operation, entity, row and row["doc"], outcome)
            self.put(public, entity, Version(row and row["doc"], row["at"] if row else each.local.at, xid), fate)
            place = len(self.versions[public, entity]) - 1
        self.known[local, entity] = place
        if (local, entity) not in self.bases:
            self.relinked.discard((local, entity))

    def check_return(self, operation, entity, doc, outcome):
        """What the shared copy has lost comes back only where somebody has decided so."""
        local = operation["copy"]
        lost = self.lost[self.public_of(local), entity]
        if doc is None or doc["token"] not in lost:
            return
        if outcome.kind == "settled" or (local, entity) in self.relinked:
            lost.discard(doc["token"])
        else:
            self.violation("deletes never come back", f"{doc} was pushed, which the shared copy had lost")

    def check_figures(self, operation, touched, settled):
        """Does what a sync says of itself agree with what it wrote?"""
        if operation["kind"] == "resolve":
            if operation.get("resolved", settled) != settled:
                self.violation("results", f"it says that it has settled {operation['resolved']} conflicts and did {settled}")
            return
        if operation.get("overtaken"):
            if touched:
                self.violation("a plan that is overtaken is not carried out", f"it wrote {sorted(touched)}")
            return
        written = collections.Counter()
        for each in touched.values():
            old, row = (each.public, each.new_public) if operation["kind"] == "push" else (each.local, each.new_local)
            if row == UNTOUCHED:
                continue
            if old.doc is None or row is None:
                written["inserted" if row else "deleted"] += 1
            else:
                written["updated"] += 1
        said = {name: operation[name] for name in ("inserted", "updated", "deleted", "resolved")}
        found = {**{name: written[name] for name in ("inserted", "updated", "deleted")}, "resolved": settled}
        if said != found:
            self.violation("results", f"it says {said} and did {found}")
        refused = operation.get("refused", 0)
        if operation["success"] != (operation["conflicts"] == 0 and refused == 0):
            self.violation("results", f"success is {operation['success']} with {operation['conflicts']} conflicts left,"
                           f" {refused} deletions refused")
        if refused and touched:
            self.violation("results", f"it refused {refused} deletions, and wrote")
        if operation["rule"] == "abort" and operation["conflicts"] and touched:
            self.violation("results", "it met a conflict, was to abort, and wrote")
        self.counts["conflicts met"] += operation["resolved"] + operation["conflicts"]
        if operation.get("nothing") and (touched or operation["updated"] + operation["inserted"] + operation["deleted"]):
            self.violation(operation["nothing"], "there was nothing to do, and it did something")
        if operation.get("nothing"):
            self.counts[operation["nothing"]] += 1
        if operation.get("round", 0) == ROUNDS and (
                operation["resolved"] or operation["conflicts"] or operation["kind"] == "push" and touched):
            self.violation("convergence", f"in round {ROUNDS} there was still something to settle or to push")

    # ---- The rest ---------------------------------------------------------------

    def refresh(self, xid, operation, changes):
        """Gives what differs a base row: the local version.  One that is there says at most
        that a deletion is known."""
        local = operation["copy"]
        public = self.public_of(local)
        for table, where, entity, row in changes:
            if table != "base" or where != local or row is None:
                self.violation("refresh changes no entity", f"it wrote {table} {where} {entity}")
            elif (local, entity) in self.bases:
                each = Touched(self.bases[local, entity], self.current(local, entity), None)
                each.new_base = Base(row["doc"], row["at"], row.get("unknown"))
                # A row that a writer has made meanwhile is written with what it holds.
                if each.new_base != each.base and not any(is_noted(each, self.versions[public, entity][place])
                                                          for place in self.plausible(operation, xid, public, entity)):
                    self.violation("refresh changes no entity", f"it replaced the base {each.base} of {entity} by {each.new_base}")
            elif row["doc"] != self.current(local, entity).doc:
                self.violation("no acknowledged edit lost", f"refresh made {row} the base of {entity}")
            if table == "base":
                self.keep_base(where, entity, row)

    def prune(self, _, operation, changes):
        for table, where, entity, row in changes:
            if table != "tombstone" or where != operation["copy"] or row is not None:
                self.violation("prune drops tombstones only", f"it wrote {table} {where} {entity}")
            else:
                self.keep_tombstone(where, entity, row)
                for version in self.versions[where, entity][1:]:
                    version.is_pruned = version.doc is None
                self.counts["tombstones pruned"] += 1

    def unlink(self, _, operation, changes):
        local = operation["copy"]
        self.linked.discard(local)
        for table, where, entity, row in changes:
            if table != "base" or where != local or row is not None:
                self.violation("unlink forgets the bases only", f"it wrote {table} {where} {entity}")
            else:
                self.keep_base(where, entity, row)
        left = [entity for where, entity in self.bases if where == local]
        if left:
            self.violation("unlink forgets the bases only", f"it left those of {left}")

    def link(self, xid, operation, changes):
        """Equal entities agree, all others have no base."""
        local = operation["copy"]
        public = self.public_of(local)
        self.linked.add(local)
        for table, where, entity, row in changes:
            if table != "base" or where != local or row is None or row["doc"] is not None:
                self.violation("link notes what differs", f"it wrote {table} {where} {entity} {row}")
            else:
                self.keep_base(where, entity, row)
        for entity in {entity for copy, entity in self.versions if copy in (local, public)}:
            agrees = any(self.versions[public, entity][place].doc == self.current(local, entity).doc
                         for place in self.plausible(operation, xid, public, entity))
            if not agrees and (local, entity) not in self.bases:
                self.violation("link notes what differs", f"{entity} differs and has no base row")
            # To link is to decide that what differs is new: what one end had lost comes back.
            self.known.pop((local, entity), None)
            if (local, entity) in self.bases:
                self.relinked.add((local, entity))

    def on_status(self, status, _):
        self.counts["status compared"] += 1
        if status["said"] != status["truth"]:
            self.doubtful.append(status)

    def is_overtaken(self, status):
        """Has the transaction done something on newer grounds than its snapshot?  What it
        edited in a copy whose link others had cut rightly has no base row, and what it
        pruned every link had seen by then.  A sync under that snapshot fails with 40001."""
        if status["level"] == "READ COMMITTED" or not status["after"]:
            return False
        snapshot = Snapshot(status["snapshot"])
        own_place = self.committed.get(status["after"][-1], len(self.committed))  # rolled back: unknown
        changes = self.link_changes + (self.syncs if self.pruned & set(status["after"]) else [])
        return any(local == status["copy"] and place < own_place and not snapshot.shows(xid)
                   for local, xid, place in changes)

    def on_contents(self, contents, line):
        """Nobody writes, and everything was synced for ROUNDS rounds."""
        self.counts["comparisons of all copies"] += 1
        for copy, entities in contents.items():
            replayed = {entity: versions[-1].doc for (where, entity), versions in self.versions.items()
                        if where == copy and versions[-1].doc is not None}
            if replayed != entities:
                self.violation("record", f"{copy} is not what the recorded changes make of it: {differing(replayed, entities)}")
            for public in set(self.links.values()):
                if contents[public] != entities:
                    self.violation("convergence", f"after {line['round']} rounds {copy} is not {public}:"
                                   f" {differing(entities, contents[public])}")
        for local, status in line["statuses"].items():
            if status != ["in_sync", 0, 0, 0]:
                self.violation("convergence", f"after {line['round']} rounds the status of {local} is {status}")
        if self.bases:
            self.violation("convergence", f"base rows are left: {sorted(self.bases)[:10]}")

    def end(self):
        """After the last line: is every acknowledged edit accounted for?"""
        missing = self.acknowledged - set(self.committed)
        if missing:
            self.violation("no acknowledged edit lost", f"acknowledged, and not in the log: {sorted(missing)[:20]}")
        made = set(self.committed) & self.abandoned
        if made:
            self.violation("record", f"rolled back, and in the log: {sorted(made)[:20]}")
        unknown = set(self.committed) - self.acknowledged - self.abandoned
        if unknown:
            self.violation("record", f"in the log, and nobody's: {sorted(unknown)[:20]}")
        for status in self.doubtful:
            if self.is_overtaken(status):
                self.counts["status passed over (the link was cut, or deletions pruned, meanwhile)"] += 1
            else:
                self.violation("status equals a full comparison", f"{status}")
        for _, copy, entity, version in self.edits:
            if version.fate is None:
                self.counts["edits: in the final result"] += 1
            elif version.fate == "edited":
                self.counts["edits: replaced by an edit of the same copy"] += 1
            elif version.fate in ("pulled", "pushed"):
                self.counts["edits: replaced by a sync that knew them"] += 1
            elif version.fate == "taken back":
                self.counts["edits: taken back by discard"] += 1
            elif version.fate.startswith("settled"):
                self.counts["edits: " + version.fate] += 1
            else:
                self.violation("no acknowledged edit lost", f"{entity} of {copy}: {version.doc} was {version.fate}")


def is_copy(each):
    """May this be a new entity that "both" made?"""
    return each.local.doc is None and each.base == NO_ROW and each.new_local not in (UNTOUCHED, None)


def is_noted(each, public):
    """Does the base row only say from now on that the deletion in the shared copy is known, since
    its tombstone may be pruned?"""
    return (NO_ROW not in (each.base, each.new_base) and each.new_base == each.base._replace(unknown=False)
            and each.base.doc is not None and each.local.doc is not None and public.doc is None
            and each.new_local == UNTOUCHED and each.new_public == UNTOUCHED)


def matches(outcome, each):
    """Was that written, no more and no less?"""
    base = each.new_base if each.new_base == NO_ROW else each.new_base.doc
    wanted = outcome.base.doc if isinstance(outcome.base, Base) else outcome.base
    return (base == wanted and wrote(each.new_local, outcome.local, each.local)
            and wrote(each.new_public, outcome.public, each.public))


def wrote(row, wanted, old):
    if wanted == UNTOUCHED or wanted == old.doc:
        return row == UNTOUCHED
    return row != UNTOUCHED and (row and row["doc"]) == wanted


def differing(one, other):
    return {entity: (one.get(entity), other.get(entity))
            for entity in sorted(set(one) | set(other)) if one.get(entity) != other.get(entity)}


def check(lines):
    """Checks a whole history; returns the checker."""
    checker = Checker()
    for line in lines:
        checker.line(line)
    checker.end()
    return checker
