"""What share, clone, link, push, pull and resolve make of a few copies, exactly.

For diagrams that one agent alone works on; then what must be there is known to
the last entity and base.  Documents stand for themselves: any two are equal or
not.  An entity that is not there is None.
"""


class Copy:
    def __init__(self, storage_type, entities):
        self.storage_type = storage_type
        self.entities = dict(entities)
        self.far = None  # name of the copy that it is linked to
        self.base = {}  # what both last agreed on, entity by entity


class World:
    def __init__(self):
        self.copies = {}

    def three_ways(self, local):
        """Each entity that differs, with its local, public and base version."""
        near, far = self.copies[local], self.copies[self.copies[local].far]
        for entity in sorted(set(near.entities) | set(far.entities) | set(near.base)):
            yield entity, near.entities.get(entity), far.entities.get(entity), near.base.get(entity)

    def changes(self, local):
        """entity -> the side that changed it: local, public or both, which is a conflict."""
        return {
            entity: "local" if p == b else "public" if l == b else "both"
            for entity, l, p, b in self.three_ways(local)
            if l != p
        }

    # ---- What is done ---------------------------------------------------------

    def create(self, name, storage_type="local"):
        self.copies[name] = Copy(storage_type, {})

    def drop(self, name):
        for local in self.linked_to(name):
            self.unlink(local)
        del self.copies[name]

    def linked_to(self, name):
        return [local for local, copy in self.copies.items() if copy.far == name]

    def write(self, name, entity, document):
        set_or_drop(self.copies[name].entities, entity, document)

    def share(self, local, public, storage_type):
        self.copies[public] = Copy(storage_type, self.copies[local].entities)
        self.agree(local, public)

    def clone(self, public, local):
        self.copies[local] = Copy("local", self.copies[public].entities)
        self.agree(local, public)

    def agree(self, local, public):
        self.copies[local].far = public
        self.copies[local].base = dict(self.copies[local].entities)

    def link(self, local, public):
        near, far = self.copies[local], self.copies[public]
        near.far = public
        near.base = {entity: doc for entity, doc in near.entities.items() if far.entities.get(entity) == doc}

    def unlink(self, local):
        self.copies[local].far = None
        self.copies[local].base = {}

    def sync(self, what, local, on_conflict):
        """A push or a pull under skip, local or public; how many conflicts it leaves."""
        near, far = self.copies[local], self.copies[self.copies[local].far]
        left = 0
        for entity, l, p, b in list(self.three_ways(local)):
            if l == p:
                b = l
            elif p == b:
                if what == "push":
                    p = b = l
            elif l == b:
                if what == "pull":
                    l = b = p
            elif on_conflict == "public":
                l = b = p
            elif on_conflict == "local":
                if what == "push":
                    p = l
                b = p
            else:
                left += 1
            set_or_drop(near.entities, entity, l)
            set_or_drop(far.entities, entity, p)
            set_or_drop(near.base, entity, b)
        return left

    def resolve(self, local, entity, resolution, document):
        near = self.copies[local]
        public = self.copies[near.far].entities.get(entity)
        if resolution != "local":
            set_or_drop(near.entities, entity, public if resolution == "public" else document)
        set_or_drop(near.base, entity, public)


def set_or_drop(entities, entity, document):
    if document is None:
        entities.pop(entity, None)
    else:
        entities[entity] = document
