#!/usr/bin/python3
"""Every pair of operations ends as if one had come after the other.

Reads the specs pair-*.spec, where a session holds an operation's transaction
open while another one comes, and their expected output; runs the same
operations one after the other in both orders, and each alone; and compares what
the second one answered and what both ends then hold, beside what changes() and
status() say:

    committed       as in one of the two orders
    rolled back     as the second one alone
    40001, 25001    as the first one alone
    left            as the first one alone, too: prune, of a diagram in use

So a wrong end cannot be taken for an expected one.  And each of the operations
must have met each of them, itself included, at READ COMMITTED and, where it can
run there, at REPEATABLE READ under a snapshot from before the other committed.

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE; the database
has the extension.
"""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FRAME = {"rr2", "commit", "commit2", "rollback"}  # steps around the operations
ONCE_MORE = ("could not serialize access", "cannot run at isolation level")
# They answer by what they saw of two operations; both ends are as in one order.
MIXED = {
    "ledit push2": "counts the conflict of an entity that it had no reason to lock",
    "ldelete push2": "counts the conflict of an entity that it had no reason to lock",
    "rr2 push prune2": "began before the push, whose link is therefore not idle",
}

# While one of these is open, its shared diagram is in use, and prune leaves it to
# the next time.
IN_USE = ("clone", "link", "fedit", "finsert", "fdelete")


class Permutation:
    """What each step of a permutation printed."""

    def __init__(self, title, output):
        self.title = title
        steps = title.split()
        operations = [step for step in steps if step not in FRAME and not step.startswith("check")]
        self.first, self.second = operations[0], operations[-1]
        self.checks = [step for step in steps if step.startswith("check")]
        self.repeatable_read = "rr2" in steps
        self.rolled_back = "rollback" in steps
        self.name = " ".join(["rr2"] * self.repeatable_read + operations)
        self.printed = {}
        step = None
        for line in output.splitlines():
            if found := re.match(r"step (\w+):", line):
                step = found[1]
            elif step and line:
                self.printed.setdefault(step, []).append(line)

    @property
    def ends(self):
        return [self.printed.get(check) for check in self.checks]

    @property
    def answer(self):
        return self.printed.get(self.second)

    def must_run_again(self):
        return any(text in line for text in ONCE_MORE for line in self.answer or [])

    def leaves(self):
        """Is the second one to leave what the first one uses?"""
        steps = self.title.split()
        return self.second == "prune2" and self.first in IN_USE and \
            steps.index("prune2") < max(steps.index(end) for end in ("commit", "rollback") if end in steps)

    def orders(self):
        """The permutations that it may end as, by what is said about them."""
        checks = " ".join(self.checks)
        if self.leaves():
            return [f"{self.first} {'rollback' if self.rolled_back else 'commit'} {checks}"]
        if self.rolled_back:
            return [f"{self.second} {checks}"]
        if self.repeatable_read and self.must_run_again():
            return [f"{self.first} commit {checks}"]
        return [f"{self.first} commit {self.second} {checks}", f"{self.second} {self.first} commit {checks}"]

    def ends_as(self, other):
        same_answer = self.answer == other.printed.get(self.second) or self.must_run_again() or self.leaves() \
            or self.name in MIXED
        return self.ends == other.ends and same_answer


def permutations(output):
    parts = output.split("\nstarting permutation: ")[1:]
    return [Permutation(*part.split("\n", 1)) for part in parts]


def run(spec, orders):
    """Runs a spec's sessions with these permutations instead of its own."""
    tester = os.path.join(os.path.dirname(os.environ["PG_REGRESS"]), "../isolation/isolationtester")
    sessions = re.sub(r"^permutation .*\n", "", spec, flags=re.MULTILINE)
    text = sessions + "".join(f"permutation {order}\n" for order in orders)
    done = subprocess.run([tester, f"dbname={os.environ['PGDATABASE']}"], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"isolationtester: {done.stderr}")
    return {permutation.title: permutation for permutation in permutations(done.stdout)}


def main():
    met = {}
    problems = []
    compared = 0
    for path in sorted(glob.glob(os.path.join(HERE, "specs", "pair-*.spec"))):
        name = os.path.basename(path)[: -len(".spec")]
        with open(path) as file:
            spec = file.read()
        with open(os.path.join(HERE, "expected", f"{name}.out")) as file:
            pairs = permutations(file.read())
        if [pair.title for pair in pairs] != re.findall(r"^permutation (.*)$", spec, re.MULTILINE):
            problems.append(f"{name}: the expected output is not that of the permutations")
        ran = run(spec, sorted({order for pair in pairs for order in pair.orders()}))
        compared += len(pairs)
        for pair in pairs:
            if not any(pair.ends_as(ran[order]) for order in pair.orders()):
                problems.append(f"{name}: {pair.title}: ends as in none of: {'; '.join(pair.orders())}")
            if not pair.rolled_back:
                met.setdefault((pair.first, pair.second[:-1]), set()).add(pair.repeatable_read)

    operations = sorted({operation for pair in met for operation in pair})
    for first in operations:
        for second in operations:
            levels = met.get((first, second), set())
            if False not in levels:
                problems.append(f"{first} has not met {second} at READ COMMITTED")
            if True not in levels and second not in ("share", "link"):
                problems.append(f"{first} has not met {second} at REPEATABLE READ")
    for problem in problems:
        print(problem)
    print(f"{len(operations)} operations, {len(met)} pairs, {compared} permutations compared")
    return 1 if problems or not met else 0


if __name__ == "__main__":
    sys.exit(main())
