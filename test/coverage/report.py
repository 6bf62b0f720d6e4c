#!/usr/bin/python3
"""Says how much of src/ the tests reached, from lcov's tracefile, and whether
that is enough.

    report.py coverage.info

Not counted, since no test could reach them or since they are not ours:

    elog(ERROR, …)     the project's word for what cannot happen, and the branch
                       that leads there; all that were not reached are listed
    unreachable.txt    other lines that cannot be reached here, each by name and
                       with the reason; one that was reached after all, or that is
                       not in the source any more, is an error
    PostgreSQL's macros   a branch inside the macro that it cannot take: a foreach
                       never has a null state, for example
"""

import pathlib
import re
import sys

LINES = 0.95
BRANCHES = 0.90
# The pure merge: documents, pointers, policies.  All of their branches.
CORE = ("document.c", "jsonvalue.c", "jsonvalue.h", "merge.c", "part.c", "pointer.c", "policy.c", "preset.c",
        "policycompare.c", "threeway.c")

# Branches of these are of reporting and waiting, not of what the line decides.
IGNORED = re.compile(r"\b(ereport|elog|CHECK_FOR_INTERRUPTS|SpinLockAcquire)\(")
# How many branches in one use of a macro are never taken: by its own safety
# (the state of a foreach, the address of an item pointer are never null), or
# since no key or document of ours is stored out of line where it is used.
NEVER = {
    "foreach": 1,
    "ItemPointerIsValid": 1,
    "VARSIZE_ANY": 7,
    "VARSIZE_ANY_EXHDR": 7,
    "index_getattr": 10,
}
ERROR = re.compile(r"\belog\((ERROR|FATAL|PANIC)\b")
CONDITION = re.compile(r"\b(if|while|for|foreach|switch|case|default)\b")
CASE = re.compile(r"^\s*(case\b.*|default):")


class Source:
    """A file of src/, what was reached of its lines and branches."""

    def __init__(self, path):
        self.name = path.name
        self.text = [""] + path.read_text().splitlines()
        self.lines = {}  # number -> times
        self.branches = {}  # number -> list of times
        self.unreachable = []  # (number, reason)

    def leave_out(self, number, reason):
        """A line that cannot be reached: the statement that it is in, and the branch
        that leads there.  Or, where the line is a condition, what it guards."""
        self.unreachable.append((number, reason))
        condition = last = number
        while not CONDITION.search(self.text[condition]):
            condition -= 1
        while not self.text[last].rstrip().endswith(";"):
            last += 1
        for line in range(condition, last + 1):
            if self.lines.get(line) == 0:
                del self.lines[line]
        if CASE.search(self.text[condition]):
            condition = max(n for n in range(condition) if "switch (" in self.text[n])
        never = self.branches.get(condition, [])
        if 0 in never:
            never.remove(0)

    def settle(self, listed):
        """Takes out what is not counted; returns what is wrong with the list."""
        wrong = []
        for number, times in list(self.lines.items()):
            if times == 0 and ERROR.search(self.text[number]):
                self.leave_out(number, "cannot happen")
        for text, reason in listed:
            numbers = [n for n, line in enumerate(self.text) if line.strip() == text]
            if len(numbers) != 1:
                wrong.append(f"unreachable.txt: {self.name} has {len(numbers)} lines {text}")
            elif self.lines.get(numbers[0]) != 0 and 0 not in self.branches.get(numbers[0], []):
                wrong.append(f"unreachable.txt: {self.name}:{numbers[0]} was reached: {text}")
            else:
                self.leave_out(numbers[0], reason)
        for number, times in list(self.branches.items()):
            text = self.text[number]
            if IGNORED.search(text):
                del self.branches[number]
                continue
            for name in re.findall(r"\w+", text):
                for _ in range(NEVER.get(name, 0)):
                    if 0 in times:
                        times.remove(0)
        return wrong

    def reached(self):
        """Lines reached and in all, branches reached and in all."""
        branches = [times for of_line in self.branches.values() for times in of_line]
        return (sum(times > 0 for times in self.lines.values()), len(self.lines),
                sum(times > 0 for times in branches), len(branches))

    def missed(self):
        """Texts of lines never reached, or with branches never taken."""
        for number in sorted(set(self.lines) | set(self.branches)):
            if self.lines.get(number) == 0:
                yield f"{self.name}:{number}: never reached: {self.text[number].strip()}"
            elif 0 in self.branches.get(number, []):
                of_line = self.branches[number]
                yield (f"{self.name}:{number}: {of_line.count(0)} of {len(of_line)} branches never "
                       f"taken: {self.text[number].strip()}")


def read(tracefile):
    """All sources in a tracefile of lcov, by name."""
    sources = {}
    source = None
    for record in pathlib.Path(tracefile).read_text().splitlines():
        what, _, value = record.partition(":")
        if what == "SF":
            path = pathlib.Path(value)
            source = sources.setdefault(path.name, Source(path))
        elif what == "DA":
            number, times = value.split(",")[:2]
            source.lines[int(number)] = source.lines.get(int(number), 0) + int(times)
        elif what == "BRDA":
            number, _, _, times = value.split(",")
            source.branches.setdefault(int(number), []).append(0 if times == "-" else int(times))
    return sources


def read_unreachable():
    """The texts and reasons of unreachable.txt, by file."""
    listed = {}
    name = reason = None
    for line in (pathlib.Path(__file__).parent / "unreachable.txt").read_text().splitlines():
        if not line or line.startswith("# "):
            continue
        if line.startswith("\t"):
            listed.setdefault(name, []).append((line.strip(), reason))
        else:
            name, _, reason = line.partition(": ")
    return listed


def share(reached, total):
    return reached / total if total else 1.0


def main():
    sources = read(sys.argv[1])
    listed = read_unreachable()
    wrong = [f"unreachable.txt: no such file: {name}" for name in listed if name not in sources]
    for source in sources.values():
        wrong += source.settle(listed.get(source.name, []))

    print("\n== coverage: what was missed")
    for name in sorted(sources):
        for text in sources[name].missed():
            print(text)
    print("\n== coverage: what cannot be reached")
    for name in sorted(sources):
        for number, reason in sorted(sources[name].unreachable):
            print(f"{name}:{number}: {sources[name].text[number].strip()} ({reason})")

    print(f"\n{'file':<16}{'lines':>14}{'branches':>16}")
    total = [0, 0, 0, 0]
    for name in sorted(sources):
        of_file = sources[name].reached()
        total = [a + b for a, b in zip(total, of_file)]
        print(f"{name:<16}{of_file[1]:>6}{100 * share(*of_file[:2]):>7.1f}%"
              f"{of_file[3]:>8}{100 * share(*of_file[2:]):>7.1f}%")
        if name in CORE and of_file[2] < of_file[3]:
            wrong.append(f"{name} is of the merge core, and {of_file[3] - of_file[2]} of its branches "
                         "were not taken")
    lines, branches = share(*total[:2]), share(*total[2:])
    print(f"{'all':<16}{total[1]:>6}{100 * lines:>7.1f}%{total[3]:>8}{100 * branches:>7.1f}%")
    if lines < LINES:
        wrong.append(f"fewer than {100 * LINES:.0f}% of lines were reached")
    if branches < BRANCHES:
        wrong.append(f"fewer than {100 * BRANCHES:.0f}% of branches were taken")
    for text in wrong:
        print(f"NOT ENOUGH: {text}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
