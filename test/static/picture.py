#!/usr/bin/python3
"""The drawing in docs/push.md shows functions that there are, and phases in their order."""

import os
import re
import sys

sys.dont_write_bytecode = True  # the sources' folder stays clean

import _tap

PAGE = "docs/push.md"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def body_of(path, name):
    """What a function's definition has between its braces; None where there is none."""
    found = re.search(rf"^(?:{name}\([^;{{]*?\)|DIAGSYNC_FUNCTION\({name}\))\n\{{\n(.*?)^\}}", read(path), re.M | re.S)
    return found and found[1]


def drawn():
    """The functions of the drawing and their files, from top to bottom."""
    drawing = re.search(r"```text\n(.*?)```", read(PAGE), re.S)[1]
    for line in drawing.splitlines():
        yield re.search(r"(\w+)\(\)", line)[1], re.search(r"(src/\w+/\w+\.c)\b", line)[1], re.search(r"\b(\d) \w+\(\)", line)


def main():
    functions = list(drawn())
    _tap.check([] if len(functions) > 15 else ["hardly any function found"], "the drawing has functions")
    _tap.check([f"{name}() is not in {path}" for name, path, _ in functions
                if not os.path.exists(path) or body_of(path, name) is None],
               "each function of the drawing is in the file beside it")
    phases = [name for name, _, phase in functions if phase]
    body = body_of("src/sync/phases.c", "process_batch")
    called = [name for name in re.findall(r"\b(\w+_batch)\(", body)]
    _tap.check([] if phases == called else [f"drawn: {phases}", f"called: {called}"],
               "process_batch() calls the phases in the order in which they are drawn")
    places = [read("src/sync/phases.c").find(f"\n{name}(") for name in phases]
    _tap.check([] if places == sorted(places) else [str(phases)], "they stand in the file in that order")
    _tap.finish()


if __name__ == "__main__":
    main()
