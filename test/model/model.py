"""diagsync once more, without a database: a directory, entities and bases.

Written from docs/how-it-works.md and docs/merging.md.  There are no revisions,
snapshots, base rows, locks or batches in it: the model knows the base of every
entity, and every question compares everything.  What merges is the merge of one
document in test/laws/reference.py.

A document is what json.loads makes of it, None where there is none; there are
no booleans in it, so == compares by value.  A version is a document and when it
was last edited.  Nothing is ever changed in place, so a savepoint is a copy of
the few dictionaries.
"""

import decimal
import functools
import json
import typing

from reference import MISSING, PLAIN, Merge, Policy

RULES = ("abort", "skip", "local", "public", "both", "newest")


class Version(typing.NamedTuple):
    doc: dict
    time: int


class Refused(Exception):
    """The call is an error, of this SQLSTATE where the documentation names it."""

    def __init__(self, sqlstate=None):
        super().__init__()
        self.sqlstate = sqlstate


class Classified(typing.NamedTuple):
    """What both sides did to one entity."""

    local_change: str  # insert, update, delete, or None
    public_change: str
    conflict: str  # its kind, or None
    paths: list
    merged: dict  # where both changed it without conflict
    agreed: bool
    won: dict = None  # by path: what it becomes where a side wins


def exact(document):
    """For the reference, which wants MISSING and exact numbers."""
    if document is None:
        return MISSING
    return json.loads(json.dumps(document), parse_int=decimal.Decimal, parse_float=decimal.Decimal)


def plain(value):
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return None if value is MISSING else value


# A sync deletes fewer than these unasked, or not more than this part of an end.
FEW, PART = 10, 0.5

NOTHING = Classified(None, None, None, [], None, False)

# A document may repeat the id of its entity in these, as a string.
REPEATED = ("id", "_id")


def without_id(id, doc):
    """What is in a document beside its entity's id."""
    return doc and {key: value for key, value in doc.items() if key not in REPEATED or value != id}


def alike(id, one, other):
    """Are they equal?  Whether they repeat the id is no difference."""
    return without_id(id, one) == without_id(id, other)


def with_id_as(id, doc, like):
    """A version that repeats its id where another does."""
    if doc is None or like is None:
        return doc
    doc = {key: value for key, value in doc.items() if key not in REPEATED or value != id or key in like}
    return {**doc, **{key: id for key in REPEATED if like.get(key) == id and key not in doc}}


def classify(id, base, local, public, policy, local_is_newer):
    """All are classified as if they repeated the id as the shared version does, or without
    that the local one."""
    like = local if public is None else public
    base, local = with_id_as(id, base, like), with_id_as(id, local, like)
    if local == public:
        return NOTHING
    return classify_text(*(json.dumps(value) for value in (base, local, public, policy)), local_is_newer)


@functools.lru_cache(maxsize=100000)
def classify_text(*arguments):
    """The table of docs/how-it-works.md, the policy applied."""
    base, local, public, policy = map(json.loads, arguments[:4])
    rules = Policy(policy)
    # The reference prefers the public side; swapped, the local one.
    sides = (public, local) if arguments[4] else (local, public)
    merge = Merge(exact(base), *map(exact, sides), rules, swapped=arguments[4])

    def same(one, other):
        return merge.same_in_all(exact(one), exact(other), rules.root, rules.root.owner or PLAIN)

    def change(document):
        if same(base, document):
            return None
        return "insert" if base is None else "delete" if document is None else "update"

    changes = change(local), change(public)
    if None in changes:
        return Classified(*changes, None, [], None, False)
    if same(local, public):
        return Classified(None, None, None, [], None, True)
    answer = merge.run()
    if answer.noisy:
        raise NotImplementedError(f"docs/merging.md leaves open what becomes of {arguments}")
    kind = "_".join(changes) if answer.conflict else None
    won = None
    if answer.conflict and rules.by_property and None not in (local, public):
        won = {}
        for side, other in (("local", "public"), ("public", "local")):
            answer_won = Merge(exact(base), *map(exact, sides), rules, winner=other if arguments[4] else side,
                               swapped=arguments[4]).run()
            won[side] = NotImplemented if answer_won.noisy else plain(answer_won.merged)
    return Classified(*changes, kind, answer.paths, plain(answer.merged), False, won)


def renamed(doc, id, new):
    """The document under a new id."""
    return {key: new if key in REPEATED and value == id else value for key, value in doc.items()}


class Link(typing.NamedTuple):
    base: dict  # of every entity that has one
    pushed: int
    pulled: int


class Result:
    """What a push or pull did, or would do."""

    def __init__(self):
        self.inserted = self.updated = self.deleted = self.merged = self.resolved = self.conflicts = 0
        self.refused = 0
        self.plan = []

    def count(self, was, now):
        if was is None and now is not None:
            self.inserted += 1
        elif was is not None and now is None:
            self.deleted += 1
        elif was != now:
            self.updated += 1

    def figures(self, success, entities=None):
        return {"success": success, "included": None if entities is None else [], "documents_updated": self.inserted + self.updated + self.deleted,
                "inserted": self.inserted, "updated": self.updated, "deleted": self.deleted, "merged": self.merged,
                "resolved": self.resolved, "conflicts": self.conflicts, "refused_deletions": self.refused}


class Model:
    """One shared copy, P, and local ones, each linked to it or not."""

    def __init__(self):
        self.entities = {}  # copy: {id: Version}
        self.deleted = {}  # copy: {id: time}
        self.policies = {}  # copy: policy
        self.links = {}  # local: Link
        self.lost = set()  # (local, id): local rows that were lost past the triggers
        self.storage = None

    def snapshot(self):
        """Of all there is, to come back to with restore()."""
        return ({copy: dict(of) for copy, of in self.entities.items()},
                {copy: dict(of) for copy, of in self.deleted.items()},
                dict(self.policies),
                {local: link._replace(base=dict(link.base)) for local, link in self.links.items()},
                self.storage, set(self.lost))

    def restore(self, snapshot):
        self.entities, self.deleted, self.policies, self.links, self.storage, self.lost = snapshot

    # ---- The directory ---------------------------------------------------------

    def create(self, copy, storage="local"):
        if copy in self.entities:
            raise Refused
        self.entities[copy], self.deleted[copy], self.policies[copy] = {}, {}, None
        if storage != "local":
            self.storage = storage

    def drop(self, copy):
        del self.entities[copy], self.deleted[copy], self.policies[copy]
        if copy == "P":
            self.links.clear()
        else:
            self.links.pop(copy, None)

    def share(self, local, storage, now):
        if local in self.links or "P" in self.entities:
            raise Refused
        self.create("P", storage)
        self.entities["P"] = dict(self.entities[local])
        self.policies["P"] = self.policies[local]
        self.links[local] = Link(self.documents(local), now, None)

    def clone(self, local, now):
        self.create(local)
        self.entities[local] = dict(self.entities["P"])
        self.policies[local] = self.policies["P"]
        self.links[local] = Link(self.documents(local), None, now)

    def link(self, local):
        if local in self.links:
            raise Refused
        far = self.documents("P")
        base = {id: doc for id, doc in self.documents(local).items() if alike(id, far.get(id), doc)}
        self.links[local] = Link(base, None, None)

    def unlink(self, local):
        if local not in self.links:
            raise Refused
        del self.links[local]

    def take_shapes(self, local, bases):
        """Which of the versions that are alike is the base is the database's to say: where
        there is no base row it is the local one."""
        base = self.links[local].base
        for id, doc in bases.items():
            if id in base and alike(id, base[id], doc):
                base[id] = doc

    def documents(self, copy):
        return {id: version.doc for id, version in self.entities[copy].items()}

    # ---- Entities --------------------------------------------------------------

    def lose(self, local, id):
        """A local row goes past the triggers: nobody deleted it."""
        del self.entities[local][id]
        self.deleted[local].pop(id, None)
        self.lost.add((local, id))

    def is_unknown(self, local, id):
        base, mine, theirs = self.triple(local, id)
        return (local, id) in self.lost and mine is None and None not in (base, theirs)

    def shown(self, local, id):
        """What the version of a change is a digest of."""
        return *self.triple(local, id), self.is_unknown(local, id)

    def write(self, copy, id, doc, time):
        if doc is not None:
            self.lost.discard((copy, id))
        if doc is not None:
            self.entities[copy][id] = Version(doc, time)
        elif self.entities[copy].pop(id, None):
            self.deleted[copy][id] = time

    def doc(self, copy, id):
        version = self.entities[copy].get(id)
        return version.doc if version else None

    def time(self, copy, id):
        version = self.entities[copy].get(id)
        return version.time if version else self.deleted[copy].get(id)

    # ---- What differs ----------------------------------------------------------

    def triple(self, local, id):
        return self.links[local].base.get(id), self.doc(local, id), self.doc("P", id)

    def classify(self, local, id):
        if self.is_unknown(local, id):
            base, _, theirs = self.triple(local, id)
            public_change = classify(id, base, base, theirs, self.policies[local], False).public_change
            return Classified("delete", public_change, "unknown", [""], None, False)
        return classify(id, *self.triple(local, id), self.policies[local], self.local_is_newer(local, id))

    def local_is_newer(self, local, id):
        """A version without a known time loses, and so does the local one
        where both have the same."""
        return (self.time(local, id) or 0) > (self.time("P", id) or 0)

    def ids(self, local):
        return sorted({*self.links[local].base, *self.entities[local], *self.entities["P"]}, key=str.encode)

    def changes(self, local):
        """What diagsync.changes() shows: {id: Classified}."""
        classified = {id: self.classify(local, id) for id in self.ids(local)}
        return {id: what for id, what in classified.items() if what.local_change or what.public_change}

    def conflicts(self, local):
        return [id for id, what in self.changes(local).items() if what.conflict]

    # ---- Syncs -----------------------------------------------------------------

    def sync(self, push, local, rule, now, new_id, expected=None, dry=False, entities=None):
        """The figures and the plan: whatever the call would write or report.
        `new_id` names the copy that `both` makes of a version.  `entities`: only these
        (no references are drawn, so nothing has to go along)."""
        if local not in self.links:
            raise Refused
        before = self.snapshot()
        result = Result()
        for id in self.ids(local) if entities is None else sorted(set(entities), key=str.encode):
            self.sync_entity(push, local, id, rule, now, new_id, result)
        plan = push, rule, self.policies[local], result.plan
        aborted = rule == "abort" and result.conflicts > 0
        refused = 0 if aborted or expected == plan else self.too_many(before, entities)
        if aborted:
            result = self.conflicts_alone(result)
            plan = push, rule, self.policies[local], [item for item in result.plan if item[2]]
        if refused:
            result.conflicts += result.resolved
            result = self.conflicts_alone(result)
            result.refused = refused
        unexpected = expected is not None and expected != plan
        if aborted or refused or unexpected or dry:
            self.restore(before)
        else:
            self.links[local] = self.links[local]._replace(**{"pushed" if push else "pulled": now})
        return result.figures(not (result.conflicts or refused or unexpected), entities), plan

    def too_many(self, before, named=None):
        """How many entities are gone since then that are too many to be deleted unasked."""
        refused = 0
        for copy, had in before[0].items():
            gone = len(had.keys() - self.entities[copy].keys() - set(named or ()))
            if gone >= FEW and gone > PART * len(had):
                refused += gone
        return refused

    @staticmethod
    def conflicts_alone(result):
        alone = Result()
        alone.conflicts, alone.plan = result.conflicts, result.plan
        return alone

    def discard(self, local, entities, edit_time):
        """Takes local changes back, of these or of all.  `edit_time` tells when a deletion
        was taken back."""
        if local not in self.links:
            raise Refused
        before = self.snapshot()
        result = Result()
        anew = []
        for id in self.ids(local) if entities is None else set(entities):
            base, mine, theirs = self.triple(local, id)
            if not self.classify(local, id).local_change:
                continue
            restored = mine is None and base != theirs
            self.write(local, id, base, self.time("P" if base == theirs else local, id))
            result.count(mine, base)
            if restored:
                anew.append(id)
        refused = self.too_many(before, entities)
        if refused:
            self.restore(before)
            result = Result()
            result.refused = refused
        else:
            for id in anew:
                self.write(local, id, self.doc(local, id), edit_time(id, self.doc(local, id)))
        return result.figures(not refused)

    def sync_entity(self, push, local, id, rule, now, new_id, result):
        base, mine, theirs = self.triple(local, id)
        what = self.classify(local, id)
        end = "P" if push else local
        was = self.doc(end, id)
        if what.conflict:
            result.plan.append((id, (base, mine, theirs), what.conflict))
            if rule in ("abort", "skip"):
                result.conflicts += 1
                return
            result.resolved += 1
            settled = self.settled(local, id, rule)
            result.merged += settled is not None and not alike(id, settled.doc, mine) \
                and not alike(id, settled.doc, theirs)
            copy = self.settle(local, id, rule, new_id, None if push else now)
            if push and self.doc(local, id) != theirs:
                self.send(local, id)
            if copy:
                result.count(None, mine)
                if push:
                    self.send(local, copy)
        elif what.local_change and what.public_change:
            time = max(self.time(local, id), self.time("P", id))
            if what.merged is None:
                time = self.time(local if mine is None else "P", id)
            for copy in (local, "P") if push else (local,):
                if self.doc(copy, id) != what.merged:
                    self.write(copy, id, what.merged, time)
            self.set_base(local, id, self.doc("P", id))
            result.merged += 1
        elif what.local_change and push:
            self.send(local, id)
        elif what.public_change and not push:
            self.take(local, id)
        elif what.agreed:
            self.set_base(local, id, theirs)
        if alike(id, mine, theirs):
            self.set_base(local, id, mine)
        if not what.conflict and (self.doc(local, id), self.doc("P", id)) != (mine, theirs):
            result.plan.append((id, (base, mine, theirs), None))
        result.count(was, self.doc(end, id))

    def set_base(self, local, id, doc):
        base = self.links[local].base
        base.pop(id, None)
        if doc is not None:
            base[id] = doc

    def send(self, local, id):
        self.write("P", id, self.doc(local, id), self.time(local, id))
        self.set_base(local, id, self.doc(local, id))

    def take(self, local, id):
        self.write(local, id, self.doc("P", id), self.time("P", id))
        self.set_base(local, id, self.doc("P", id))

    def settled(self, local, id, rule):
        """What a conflict that is decided by path becomes, with the values of the side
        that wins; None where it is not."""
        if rule == "newest":
            rule = "local" if self.local_is_newer(local, id) else "public"
        won = self.classify(local, id).won
        if won is None or rule not in won:
            return None
        if won[rule] is NotImplemented:
            raise NotImplementedError(f"docs/merging.md leaves open what becomes of {self.triple(local, id)}")
        mine, theirs = self.entities[local][id], self.entities["P"][id]
        for version in (theirs, mine):
            if alike(id, version.doc, won[rule]):
                return version
        return Version(won[rule], max(mine.time, theirs.time))

    def settle(self, local, id, rule, new_id, now):
        """One conflict, at the local end alone.  The id of the copy, if one was
        made."""
        unknown = self.is_unknown(local, id)
        settled = self.settled(local, id, rule)
        self.lost.discard((local, id))
        mine, theirs = self.entities[local].get(id), self.entities["P"].get(id)
        if settled is not None:
            self.write(local, id, *settled)
            self.set_base(local, id, theirs.doc)
            return None
        if rule == "newest":
            rule = "local" if self.local_is_newer(local, id) else "public"
        elif rule == "both" and theirs is None:
            rule = "local"
        if rule == "local":
            if unknown and now is not None:
                self.deleted[local][id] = now
            self.set_base(local, id, theirs and theirs.doc)
            return None
        self.take(local, id)
        if rule != "both" or mine is None:
            return None
        copy = new_id(local, id, mine.doc)
        self.write(local, copy, renamed(mine.doc, id, copy), mine.time)
        return copy

    def resolve(self, local, id, resolution, doc, now, new_id):
        """The id of the row that the call returns."""
        if not self.classify(local, id).conflict:
            raise Refused("55000")
        if resolution == "merged":
            self.write(local, id, doc, now)
            self.set_base(local, id, self.doc("P", id))
            return id
        return self.settle(local, id, resolution, new_id, now) or id

    def resolve_some(self, local, choices, ids, time_of, new_id, kinds=None):
        """Conflicts of many entities in one call: what has become of each that was named or
        settled.  A choice is a resolution, its document, and the triple that was shown, or
        None; the one under None is for all that are not named."""
        before, rule, rows = self.snapshot(), choices.get(None), []
        for id in ids:
            resolution, doc, shown = choices.get(id, rule)
            what = self.classify(local, id)
            if not what.conflict:
                if id in choices:
                    rows.append((id, "no_entity" if self.doc(local, id) is self.doc("P", id) is None else "no_conflict", None))
            elif shown not in (None, self.shown(local, id)):
                rows.append((id, "changed", what.conflict))
            elif kinds is None or what.conflict in kinds:
                self.resolve(local, id, resolution, doc, time_of(id, doc), new_id)
                rows.append((id, "resolved", None))
        gone = len(before[0][local].keys() - self.entities[local].keys())
        refused = gone if rule and gone >= FEW and gone > PART * len(before[0][local]) else 0
        if refused:
            self.restore(before)
            rows = [(id, "refused", self.classify(local, id).conflict) if outcome == "resolved" else (id, outcome, conflict)
                    for id, outcome, conflict in rows]
        return {"refused": refused, "rows": [list(row) for row in rows]}

    # ---- What the database is asked after every step ----------------------------

    def status(self, local, changes):
        figures = [sum(1 for what in changes.values() if getattr(what, kind)) for kind in Classified._fields[:3]]
        state = "conflict" if figures[2] else "pending" if any(figures) else "in_sync"
        return {"state": state, "diverged": any(figures), "local_changes": figures[0], "public_changes": figures[1],
                "conflicts": figures[2], "pushed": self.links[local].pushed, "pulled": self.links[local].pulled}

    def change_row(self, local, id, what=None):
        """A row of diagsync.changes(), as far as it is determined."""
        what = what or self.classify(local, id)
        sides = bool(what.local_change), bool(what.public_change)
        base, mine, theirs = self.triple(local, id)
        row = {"entity_id": id,
               "side": {(True, True): "both", (True, False): "local", (False, True): "public"}.get(sides),
               "local_change": what.local_change, "public_change": what.public_change, "conflict": what.conflict,
               "paths": what.paths or None, "base": base, "local": mine, "public": theirs}
        # When a side deleted what it had inserted is nobody's business.
        if mine is not None or what.local_change:
            row["local_time"] = self.time(local, id)
        if theirs is not None or what.public_change:
            row["public_time"] = self.time("P", id)
        return row
