"""The merge of one document, a second time: slow, plain, and written from
docs/merging.md alone, to hold diagsync.merge() against it.

A document is what json.loads makes of it with every number a Decimal, and
MISSING where there is none.  Documents are never changed in place, so they may
share parts.

A policy marks properties: those that are ignored, those that are `latest`, and
the members of groups.  A mark owns what is below it up to the next mark.  The
ordinary rules hold for what no mark owns (PLAIN).

An element of an array with `keys` is merged as a document of its own: a mark
whose pointer leads into it belongs to that element alone.

Where docs/merging.md leaves open which of several values that are the same by
the policy is taken, the answer is `noisy`.
"""

import decimal

# Differences of numbers must be exact, or "closer than the tolerance" is not.
decimal.getcontext().prec = 200


class Missing:
    def __repr__(self):
        return "MISSING"


MISSING = Missing()
ROOT_NULL = ("null",)  # a document that is the JSON null, which is not absent


class Element(str):
    """What an element is called in a path, which comes in the order of keys."""

    def __new__(cls, name, key):
        number = type(key) is decimal.Decimal
        self = super().__new__(cls, name + "=" + (str(int(key)) if number else f'"{key}"' if key[:1] and key[0] in
                                                  '"-0123456789' else key))
        self.order = (0, int(key), b"") if number else (1, len(key.encode()), key.encode())
        return self


def is_key(key):
    """Strings, and whole numbers (that a bigint has room for, both ways)."""
    return type(key) is str or type(key) is decimal.Decimal and key == key.to_integral_value() and abs(key) < 2 ** 63


def keyed(array, name):
    """The elements of an array by what they are called; None where it is one value."""
    if array is MISSING:
        return {}
    if type(array) is not list:
        return None
    elements = {}
    for element in array:
        if not is_key(child(element, name)):
            return None
        elements[Element(name, element[name])] = element
    return elements if len(elements) == len(array) else None


def equal(x, y):
    """By value: 1 is 1.0, but not true."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if type(x) is dict:
        return len(x) == len(y) and all(key in y and equal(x[key], y[key]) for key in x)
    if type(x) is list:
        return len(x) == len(y) and all(map(equal, x, y))
    return x == y


def differing(base, local, public):
    """Of three values that are the same by the policy: the one that differs
    from the base, the public one where both do."""
    return public if not equal(public, base) else local


def child(value, key):
    return value.get(key, MISSING) if type(value) is dict else MISSING


def at(document, path):
    for key in path:
        if type(document) is list:
            document = (keyed(document, key.partition("=")[0]) or {}).get(key, MISSING)
        else:
            document = child(document, key)
    return document


def key_order(key):
    """The order of keys in a jsonb object."""
    if type(key) is Element:
        return key.order
    key = key.encode()
    return len(key), key


def pointer(path):
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


def parse_pointer(text):
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in text.split("/")[1:])


# ---- The policy ----------------------------------------------------------------


class Owner:
    """One ignored property, one `latest` value, one group, or PLAIN."""

    def __init__(self, kind):
        self.kind = kind
        self.paths = []


PLAIN = Owner("plain")


class Node:
    """A property that is marked, or leads to one that is."""

    def __init__(self):
        self.children = {}
        self.owner = None
        self.owners_below = set()  # of marks strictly below
        self.element_key = None
        self.groups = []  # of the document, or of an element


class Policy:
    def __init__(self, policy):
        policy = policy or {}
        self.tolerance = policy.get("tolerance", 0)
        self.null_is_absent = policy.get("null") == "absent"
        self.by_property = policy.get("granularity") == "property"
        self.keys = {parse_pointer(text): name for text, name in policy.get("keys", {}).items()}
        self.root = Node()
        self.special = self.null_is_absent

        groups = [[parse_pointer(text) for text in group] for group in policy.get("groups", ())]
        if policy.get("granularity") == "entity" or "granularity" not in policy:
            groups.append([()])
        # What is ignored is so with all that is in it; what is `latest` with
        # all but what is ignored; a group's value is what is left.
        marks = {}
        for kind, within in (("ignore", ("ignore",)), ("latest", ("ignore", "latest"))):
            for path in sorted(map(parse_pointer, policy.get(kind, ())), key=len):
                self.special = True
                if not self.covered(path, marks, within):
                    marks[path] = Owner(kind)
        # A shared pointer joins groups even where its value belongs to neither.
        groups = self.joined(groups, lambda mine, its: mine == its)
        groups = [[path for path in group if not self.covered(path, marks, ("ignore", "latest"))] for group in groups]
        for group in self.joined(groups, lambda mine, its: mine[:len(its)] == its or its[:len(mine)] == mine):
            owner = Owner("group")
            for path in sorted(group, key=len):
                if not self.covered(path, marks, ("group",)):
                    marks[path] = owner
        self.special = self.special or self.tolerance > 0
        for path, name in self.keys.items():
            node = self.root
            for key in path:
                node = node.children.setdefault(key, Node())
            node.element_key = name
        apart = {}  # groups, in the document or in any element
        for path, owner in sorted(marks.items()):
            scope = self.scope(path)
            if owner.kind == "group":
                owner = apart.setdefault((owner, path[:scope]), Owner("group"))
            owner.paths.append(path[scope:])
            node = root = self.root
            for place, key in enumerate(path):
                if place == scope:
                    root = node
                node.owners_below.add(owner)
                node = node.children.setdefault(key, Node())
            if scope == len(path):
                root = node
            node.owner = owner
            if owner.kind == "group" and owner not in root.groups:
                root.groups.append(owner)

    def scope(self, path):
        """How much of a path leads into an element that has what follows to itself."""
        return max((length + 1 for length, key in enumerate(path) if key == "*" and path[:length] in self.keys), default=0)

    @staticmethod
    def covered(path, marks, kinds):
        return any(marks[path[:length]].kind in kinds for length in range(len(path) + 1) if path[:length] in marks)

    @staticmethod
    def joined(groups, touching):
        """Groups with pointers that touch are one."""
        result = []
        for group in map(set, groups):
            apart = []
            for other in result:
                if any(touching(mine, its) for mine in group for its in other):
                    group |= other
                else:
                    apart.append(other)
            result = apart + [group]
        return result

    def owner_below(self, node, key, owner):
        """The node of a property, and who owns it."""
        node = node.children.get(key) if node else None
        return node, (node.owner if node and node.owner else owner)


# ---- The merge -----------------------------------------------------------------


class Answer:
    def __init__(self):
        self.merged = MISSING
        self.conflict = False
        self.paths = []
        self.values = ([], [], [])  # base, local, public
        self.noisy = False
        self.seen = set()  # which rules were applied


class Merge:
    """One merge.  `same` is the policy's, not jsonb's."""

    def __init__(self, base, local, public, policy, node=None, winner=None, swapped=False):
        """`node`: of an element, what the policy says of it.  `winner`: the side that wins
        conflicts.  `swapped`: the sides are, so that the local one is the newer."""
        self.documents = base, local, public
        if node is None:
            self.documents = tuple(ROOT_NULL if document is None else document for document in self.documents)
        self.policy = policy
        self.is_document = node is None
        self.root = policy.root if node is None else node
        self.winner = winner
        self.swapped = swapped
        self.won = set()  # paths that the winner wins
        self.tolerance = policy.tolerance
        self.null_is_absent = policy.null_is_absent
        self.answer = Answer()
        self.seen = self.answer.seen
        self.conflicts = set()
        self.orders = set()  # arrays of which the order conflicts

    def run(self):
        answer = self.answer
        merged = self.merge()
        answer.merged = None if merged is ROOT_NULL else merged
        if self.conflicts or self.orders:
            answer.conflict = True
            paths = sorted(self.paths() | self.orders, key=lambda path: [key_order(key) for key in path])
            answer.paths = [pointer(path) for path in paths]
            documents = [None if document is ROOT_NULL else document for document in self.documents]
            answer.values = tuple([at(document, path) for path in paths] for document in documents)
            if not self.winner:
                answer.merged = MISSING
                answer.noisy = False
        return answer

    def merge(self):
        """The document, or element, where there are no conflicts, or a side wins."""
        self.decide_groups()
        base, local, public = self.documents
        owner = self.root.owner or PLAIN
        merged = self.property((), *self.documents, self.root, owner)
        if self.is_document and base is MISSING and type(local) is type(public) is dict and owner.kind == "plain" \
                and not (self.conflicts or self.orders) and not self.same_in_all(local, public, self.root, owner) \
                and not self.same_but_latest(local, public, self.root, owner):
            # Two entities that have the same id by chance.
            self.conflicts.add(())
            self.note_conflict((), base, local, public)
        own = {path for path in self.paths() if not any(type(key) is Element for key in path)}
        if self.winner and own and not self.won:
            # Once more, where it is known who wins what.
            self.won = own
            self.answer.noisy = False
            return self.merge()
        return merged

    def paths(self):
        """What is in a value that conflicts as a whole is part of it."""
        return {path for path in self.conflicts
                if not any(path[:length] in self.conflicts for length in range(len(path)))}

    def there(self, value):
        return MISSING if value is None and self.null_is_absent else value

    # ---- Which values are the same ---------------------------------------------

    def same(self, x, y, node, owner, counts, in_array=False):
        """Whether two values are the same, as far as their owners count."""
        if not counts(owner):
            if not equal(x, y):
                self.seen.add("difference in " + owner.kind + " left out")
            return True
        if type(x) is not type(y):
            return False
        if type(x) is dict:
            for key in x.keys() | y.keys():
                inner, its = node, owner
                if node:
                    inner = node.children.get(key)
                    if inner and inner.owner and (inner.owner.kind == "ignore" or not in_array):
                        its = inner.owner
                if not self.same(self.there(x.get(key, MISSING)), self.there(y.get(key, MISSING)), inner, its, counts,
                                 in_array):
                    return False
            return True
        if type(x) is list:
            if len(x) != len(y):
                return False
            for index, (a, b) in enumerate(zip(x, y)):
                inner = None
                if node and node.element_key:
                    inner = node.children.get("*")
                    if not equal(child(a, node.element_key), child(b, node.element_key)):
                        return False
                elif node:
                    inner = node.children.get(str(index)) or node.children.get("*")
                its = inner.owner if inner and inner.owner and inner.owner.kind == "ignore" else owner
                if not self.same(a, b, inner, its, counts, True):
                    return False
            return True
        if x == y:
            return True
        if type(x) is decimal.Decimal and abs(x - y) < self.tolerance:
            self.seen.add("difference within the tolerance")
            return True
        return False

    def same_in_all(self, x, y, node, owner):
        """With all that counts for somebody."""
        return self.same(self.there(x), self.there(y), node, owner, lambda owner: owner.kind != "ignore")

    def same_but_latest(self, x, y, node, owner):
        """Without `latest` values, which go along with what they are in."""
        return self.same(self.there(x), self.there(y), node, owner,
                         lambda owner: owner.kind not in ("ignore", "latest"))

    def same_of(self, x, y, node, owner):
        """Only what belongs to this owner."""
        return self.same(self.there(x), self.there(y), node, owner, lambda other: other is owner)

    # ---- Groups ----------------------------------------------------------------

    def decide_groups(self):
        """Of each group: whose value it takes, None where nobody changed it."""
        self.decided = {}
        for group in self.root.groups:
            local_changed = public_changed = False
            differing_members = []
            for path in group.paths:
                base, local, public = (at(document, path) for document in self.documents)
                node = self.node_of(path)
                by_local = not self.same_of(base, local, node, group)
                by_public = not self.same_of(base, public, node, group)
                # What nobody changed is in no conflict, though two numbers
                # close to a third need not be close to each other.
                if (by_local or by_public) and not self.same_of(local, public, node, group):
                    differing_members.append(path)
                local_changed |= by_local
                public_changed |= by_public
            if local_changed and public_changed:
                self.decided[group] = "public"
                if differing_members:
                    self.decided[group] = self.winner or "public"
                    self.conflicts.update(map(self.settable, differing_members))
                    self.seen.add("group in conflict" if group.paths != [()] else "entity in conflict")
                    if len(differing_members) > 1:
                        self.seen.add("group in conflict at several members")
            else:
                self.decided[group] = "local" if local_changed else "public" if public_changed else None
                if self.decided[group] and group.paths != [()]:
                    self.seen.add("group of one side")

    def settable(self, path):
        """Where a member of a group is in conflict: at its pointer, or at what
        it is in where that is not an object in all three."""
        for length in range(len(path)):
            base, *sides = (at(document, path[:length]) for document in self.documents)
            if self.there(base) is not MISSING and type(base) is not dict or any(type(side) is not dict for side in sides):
                self.seen.add("group in conflict where one side has no place for it")
                return path[:length]
        return path

    # ---- A property --------------------------------------------------------------

    def property(self, path, base, local, public, node, owner):
        """What a property becomes; MISSING where it is not there, or where it
        conflicts, which is noted."""
        if owner is PLAIN:
            return self.plain(path, base, local, public, node)
        if owner.kind == "ignore":
            return self.ignored(base, local, public)
        return self.unit(path, base, local, public, node, owner)

    def plain(self, path, base, local, public, node):
        if path in self.won:
            return self.of(self.winner, base, local, public)
        is_added = self.there(base) is MISSING
        objects = type(local) is type(public) is dict and (type(base) is dict or is_added)
        if any(path == won[:len(path)] for won in self.won):
            assert objects
            return self.members(path, base, local, public, node)
        local_changed = not self.same_in_all(base, local, node, PLAIN)
        public_changed = not self.same_in_all(base, public, node, PLAIN)
        if not local_changed and not public_changed:
            return self.whole(path, differing(base, local, public), node)
        if not public_changed:
            return self.whole(path, local, node)
        if not local_changed:
            return self.whole(path, public, node)
        if self.same_in_all(local, public, node, PLAIN):
            self.seen.add("both deleted" if local is MISSING else
                          "both inserted the same" if base is MISSING else "both changed to the same")
            if not equal(local, public):
                self.seen.add("the same, but not quite equal")
            return self.whole(path, public, node)

        if objects:
            self.seen.add("objects that both inserted merged" if is_added else "objects merged")
            return self.members(path, base, local, public, node)
        if node and node.element_key and type(local) is type(public) is list:
            arrays = [keyed(array, node.element_key) for array in (self.there(base), local, public)]
            if None not in arrays:
                self.seen.add("arrays merged by element")
                return self.elements(path, arrays, node)
            self.seen.add("an array with an element without a key")

        # Different, and not three objects: only `latest` values in it can make
        # that no conflict.
        if type(local) is type(public) is dict and self.same_but_latest(local, public, node, PLAIN):
            self.seen.add("both inserted, with a latest value")
            self.answer.noisy = True  # merged, or the same but not quite equal?
            return self.composed(path, base, local, public, node, PLAIN, "public")
        if type(base) is dict:
            if type(local) is not dict and type(public) is dict and self.same_but_latest(base, public, node, PLAIN):
                self.seen.add("latest value taken along")
                return local
            if type(public) is not dict and type(local) is dict and self.same_but_latest(base, local, node, PLAIN):
                self.seen.add("latest value taken along")
                return public
        self.conflicts.add(path)
        self.note_conflict(path, base, local, public)
        return MISSING

    def members(self, path, base, local, public, node):
        result = {}
        for key in {**(base if type(base) is dict else {}), **local, **public}:
            inner, owner = self.policy.owner_below(node, key, PLAIN)
            value = self.property(path + (key,), child(base, key), child(local, key), child(public, key), inner, owner)
            if value is not MISSING:
                result[key] = value
        return result

    def elements(self, path, arrays, node):
        """Each as a document of its own; then their order."""
        base, local, public = arrays
        result = {}
        for name in {**base, **local, **public}:
            element = Merge(*(array.get(name, MISSING) for array in arrays), self.policy, node.children.get("*", Node()),
                            self.winner, self.swapped)
            element.tolerance = self.tolerance
            merged = element.merge()
            self.conflicts.update(path + (name,) + its for its in element.conflicts)
            self.orders.update(path + (name,) + its for its in element.orders)
            self.seen.update(element.seen)
            self.answer.noisy |= element.answer.noisy
            if merged is not MISSING:
                result[name] = merged

        common = base.keys() & local.keys() & public.keys()
        was, mine, theirs = ([name for name in array if name in common] for array in arrays)
        side = theirs if was == mine else mine
        if was != mine and was != theirs and mine != theirs:
            self.seen.add("order of elements in conflict")
            self.orders.add(path)
            side = theirs if self.winner == "public" else mine
        elif was != mine or was != theirs:
            self.seen.add("order of elements changed")
        first, second = (public, local) if side is theirs else (local, public)
        order = []
        if self.swapped:
            local, public = public, local
        for array, wanted in ((first, base), (second, base), (local, local.keys() - public.keys()), (public, public)):
            place = 0
            for name in array:
                if name in order:
                    place = order.index(name) + 1
                elif name in result and name in wanted:
                    order.insert(place, name)
                    place += 1
        return [result[name] for name in order]

    def note_conflict(self, path, base, local, public):
        if base is MISSING:
            kind = "insert/insert"
        elif local is MISSING:
            kind = "delete/change"
        elif public is MISSING:
            kind = "change/delete"
        elif list in map(type, (base, local, public)):
            kind = "array"
        elif type(base) is dict and (type(local) is not dict) != (type(public) is not dict):
            kind = "object replaced/changed inside"
        else:
            kind = "change/change"
        self.seen.add("conflict: " + kind)
        if not path:
            self.seen.add("conflict of the whole document")

    def whole(self, path, value, node):
        """A side's value with all that is in it.  Where it holds members of a
        group that takes the other side's values, these differ only by what the
        policy does not count."""
        for group, member in self.members_below(path, node):
            side = self.decided[group]
            if side and not equal(at(value, member[len(path):]), at(self.of(side, *self.documents), member)):
                self.seen.add("group in what the other side changed")
                self.answer.noisy = True
        return value

    def node_of(self, path):
        node = self.root
        for key in path:
            node = node.children[key]
        return node

    def members_below(self, path, node):
        for owner in node.owners_below if node else ():
            if owner in self.decided:
                for member in owner.paths:
                    if member[:len(path)] == path:
                        yield owner, member

    # ---- A value that is one, whatever is in it ------------------------------------

    def unit(self, path, base, local, public, node, owner):
        """A `latest` value, or the value of a group at one of its pointers."""
        if owner.kind == "group":
            side = self.decided[owner]
        else:
            local_changed = not self.same_of(base, local, node, owner)
            public_changed = not self.same_of(base, public, node, owner)
            side = "public" if public_changed else "local" if local_changed else None
            if local_changed and public_changed:
                if not self.same_of(local, public, node, owner):
                    self.seen.add("latest: both, the newer")
            elif side:
                self.seen.add("latest: one side")

        if not any(below.kind != "ignore" for below in node.owners_below):
            return self.of(side, base, local, public)
        if self.is_replaced(base, local, public, node, owner):
            return self.of(side, base, local, public)

        # A group with a `latest` value in it.  In an object that is not the
        # whole document both these and the rules for objects say what becomes
        # of what is ignored.
        if path:
            self.answer.noisy = True
        local_changed = not self.same_in_all(base, local, node, owner)
        public_changed = not self.same_in_all(base, public, node, owner)
        if not local_changed and not public_changed:
            return self.whole(path, self.of(side, base, local, public), node)
        if not public_changed and side != "public":
            return self.whole(path, local, node)
        if not local_changed and side != "local":
            return self.whole(path, public, node)
        if local_changed and public_changed and self.same_in_all(local, public, node, owner):
            return self.whole(path, public, node)
        self.seen.add("a special value with another in it")
        if side is None:
            side = self.side_differing(base, public, node, owner)
        return self.composed(path, base, local, public, node, owner, side)

    def is_replaced(self, base, local, public, node, owner):
        """Has one side, which may not win, deleted or replaced what a `latest` value is in?"""
        return self.winner and not type(base) is type(local) is type(public) is dict \
            and not self.same_but_latest(local, public, node, owner)

    @staticmethod
    def of(side, base, local, public):
        return {"local": local, "public": public, None: differing(base, local, public)}[side]

    def side_differing(self, base, public, node, owner):
        """As `differing`, of what belongs to this owner only."""
        exact = Merge(base, public, public, self.policy, self.root)
        exact.tolerance = 0
        exact.null_is_absent = False
        return "local" if exact.same_of(base, public, node, owner) else "public"

    def ignored(self, base, local, public):
        """In an object merged from both: from where it differs from the base."""
        sides = (not equal(base, local)) + (not equal(base, public))
        if sides:
            self.seen.add("ignored value of both" if sides == 2 else "ignored value of one side")
        if sides == 2 and self.same_in_all(base, public, None, PLAIN):
            # Does a value differ that is within the tolerance?
            self.answer.noisy = True
        return differing(base, local, public)

    def composed(self, path, base, local, public, node, owner, side, inside=False):
        """The side's value where it belongs to this owner, and what other
        owners have in it as these say."""
        mine = local if side == "local" else public
        if self.policy.tolerance or inside and not (equal(base, local) and equal(base, public)):
            # An object that only one side changed comes with what is ignored,
            # or within the tolerance, in it; here the one side may not be the
            # owner's.
            self.answer.noisy = True
        if type(mine) is not dict:
            self.seen.add("latest value taken along")
            return mine
        result = {}
        for key in mine.keys() | node.children.keys():
            inner, its = self.policy.owner_below(node, key, owner)
            values = child(base, key), child(local, key), child(public, key)
            if its is not owner:
                value = self.property(path + (key,), *values, inner, its)
            elif inner and self.is_replaced(*values, inner, owner):
                value = child(mine, key)
            elif inner and any(below.kind != "ignore" for below in inner.owners_below):
                value = self.composed(path + (key,), *values, inner, owner, side, True)
            else:
                value = child(mine, key)
                if inner and not (equal(values[0], values[1]) and equal(values[0], values[2])):
                    self.answer.noisy = True
            if value is not MISSING:
                result[key] = value
        return result


def merge(base, local, public, policy, winner=None, swapped=False):
    """The answer; the policy is a Policy.  With a winner its `merged` has that side's
    values where it conflicts."""
    return Merge(base, local, public, policy, winner=winner, swapped=swapped).run()
