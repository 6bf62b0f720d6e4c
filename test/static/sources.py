#!/usr/bin/python3
"""Rules of the sources that no compiler knows.

The order of files in src/diagsync.c (lower ones never call higher ones) is
checked against the symbols of the object files, so the build comes first.
"""

import collections
import glob
import os
import re
import sys

sys.dont_write_bytecode = True  # the sources' folder stays clean

import _tap

MAX_LINES = 700
SOURCES = sorted(glob.glob("src/*.c"))
HEADERS = sorted(glob.glob("src/*.h"))
BUILT = re.compile(r"(^|/)(node_modules|results|output_iso|tmp_check)/|\.(o|so|bc)$|^diagsync--[^-]*\.sql$")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def project_files():
    """All that is text and not built."""
    for folder, _, names in os.walk("."):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name))
            if BUILT.search(path) or path == ".git" or path.startswith(".git/"):
                continue
            try:
                yield path, read(path)
            except UnicodeDecodeError:
                pass


def order_of_layers():
    """The files that the comment in src/diagsync.c lists, from the bottom up."""
    head = read("src/diagsync.c").split("*/", 1)[0]
    return re.findall(r"^ \*\t  (\w+\.c) ", head, re.M)


def layers():
    order = order_of_layers()
    place = {name: number for number, name in enumerate(order)}
    there = {os.path.basename(source) for source in SOURCES} - {"diagsync.c"}
    _tap.check([f"{name}: twice in the list" for name, n in collections.Counter(order).items() if n > 1]
               + [f"{name}: not in the list" for name in sorted(there - set(order))]
               + [f"{name}: in the list, but there is no such file" for name in sorted(set(order) - there)],
               "src/diagsync.c lists every file once")

    defines, uses = {}, collections.defaultdict(set)
    for name in order:
        for line in _tap.output(["nm", "-P", f"src/{name[:-2]}.o"]).splitlines():
            symbol, kind = line.split()[:2]
            if kind == "U":
                uses[name].add(symbol)
            elif kind.isupper():
                defines[symbol] = name
    _tap.check([] if len(defines) > 200 else ["no symbols found"], "the object files can be read")
    _tap.check([f"{name} uses {symbol} of {defines[symbol]}, which is higher"
                for name in order for symbol in sorted(uses[name])
                if symbol in defines and place[defines[symbol]] > place[name]],
               "no file uses anything of a higher one")


def sizes():
    _tap.check([f"{path}: {lines} lines" for path in SOURCES + HEADERS
                for lines in [read(path).count("\n")] if lines > MAX_LINES],
               f"no source file is longer than {MAX_LINES} lines")


def versions():
    _tap.check([f"{path}:{number}: {line}" for path in SOURCES + HEADERS if path != "src/compat.h"
                for number, line in enumerate(read(path).splitlines(), 1)
                if re.search(r"PG_VERSION_NUM|PG_MAJORVERSION|CATALOG_VERSION_NO", line)],
               "differences between versions of PostgreSQL are in src/compat.h alone")
    _tap.check([f"{path}: {made} descriptions of rows, {told} finished" for path in SOURCES
                for made, told in [(read(path).count("CreateTemplateTupleDesc("), read(path).count("compat_finish_tupdesc("))]
                if made != told],
               "each description of rows that is made is finished, which PostgreSQL 19 needs")


# A function's head, as PostgreSQL's style has it: the type on a line of its own.
DEFINITION = re.compile(r"^(static )?(?:pg_noreturn |inline |const |struct )*[A-Za-z_]\w*(?: \*+)?\n"
                        r"(\w+)\((?:[^;{]*?)\)\n\{", re.M)


def comments():
    """Where it is declared or where it is defined, somebody says what it is for."""
    bad, count = [], 0
    headers = {path: read(path) for path in HEADERS}
    for path in SOURCES:
        text = read(path)
        for found in DEFINITION.finditer(text):
            is_static, name = found.groups()
            if is_static or name == "_PG_init":
                continue
            count += 1
            if commented(text, found.start()) or any(
                    commented(header, declaration.start())
                    for header in headers.values()
                    for declaration in re.finditer(rf"^[^\n]*\b{name}\(", header, re.M)):
                continue
            line = text.count("\n", 0, found.start()) + 2
            bad.append(f"{path}:{line}: {name}()")
    _tap.check([] if count > 200 else [f"only {count} functions found"], "functions are found in the sources")
    _tap.check(bad, "every function that others call is explained where it is declared or defined")


def commented(text, start):
    """Does a comment end, or another declaration of the same paragraph, right above?"""
    above = text[:start].rstrip(" \t")
    paragraph = above[above.rfind("\n\n") + 2:]
    return "*/" in paragraph


def places():
    """Nothing of the machine that it was written on."""
    bad, files = [], 0
    pattern = re.compile(r"(?<![\w.$}/-])/(work|home|root|Users|mnt)/\w|\bregistry\.[\w-]+\.|(?!127\.)\b\d+\.\d+\.\d+\.\d+:\d{4}")
    for path, text in project_files():
        files += 1
        if path.startswith("test/static/"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                bad.append(f"{path}:{number}: {line.strip()[:150]}")
    _tap.check([] if files > 200 else [f"only {files} files found"], "files are found")
    _tap.check(bad, "no machine's paths, no registry's host")


if __name__ == "__main__":
    layers()
    sizes()
    versions()
    comments()
    places()
    _tap.finish()
