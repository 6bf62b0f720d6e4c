#!/usr/bin/python3
"""Rules of the sources that no compiler knows.

Which folder may use which (src/layers.txt) is checked against the symbols of the
object files, so the build comes first.
"""

import collections
import glob
import os
import re
import sys

sys.dont_write_bytecode = True  # the sources' folder stays clean

import _tap

MAX_LINES = 600
MAX_FUNCTION = 70
MAX_WIDTH = 80
MAX_FILES = 20
SOURCES = sorted(glob.glob("src/*.c") + glob.glob("src/*/*.c"))
HEADERS = sorted(glob.glob("src/*.h") + glob.glob("src/*/*.h"))
BUILT = re.compile(r"(^|/)(node_modules|results|output_iso|tmp_check)/|\.(o|so|bc|d)$|^diagsync--[^-]*\.sql$")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def project_files():
    """All that is text and not built."""
    for folder, _, names in os.walk("."):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name))
            if BUILT.search(path) or path.startswith(".git/"):
                continue
            try:
                yield path, read(path)
            except UnicodeDecodeError:
                pass


def layers_of():
    """The folders that src/layers.txt lists, each with those that it may use."""
    layers = {}
    for line in read("src/layers.txt").splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, _, others = line.partition(":")
            layers[folder] = set(others.split())
    return layers


def folder_of(path):
    return path.split("/")[1]


def layers():
    may_use = layers_of()
    there = {folder_of(path) for path in SOURCES + HEADERS if path.count("/") > 1}
    _tap.check([f"{folder}: not in the list" for folder in sorted(there - set(may_use))]
               + [f"{folder}: in the list, but there is no such folder" for folder in sorted(set(may_use) - there)],
               "src/layers.txt lists every folder")
    below = set()
    circles = []
    for folder, others in may_use.items():
        circles += [f"{folder} may use {other}, which is not above it in the list" for other in sorted(others - below)]
        below.add(folder)
    _tap.check(circles, "each folder uses only what stands above it there: there is no circle")

    bad = []
    for path in SOURCES + HEADERS:
        if path.count("/") < 2:
            continue
        for other in re.findall(r'^#include "(\w+)/\w+\.h"', read(path), re.M):
            if other in may_use and other != folder_of(path) and other not in may_use[folder_of(path)]:
                bad.append(f"{path} includes a header of {other}")
    _tap.check(bad, "no file includes what its folder may not use")

    defines, uses = {}, collections.defaultdict(set)
    for path in SOURCES:
        if path.count("/") < 2:
            continue
        for line in _tap.output(["nm", "-P", path[:-1] + "o"]).splitlines():
            symbol, kind = line.split()[:2]
            if kind == "U":
                uses[path].add(symbol)
            elif kind.isupper():
                defines[symbol] = folder_of(path)
    _tap.check([] if len(defines) > 200 else ["no symbols found"], "the object files can be read")
    _tap.check([f"{path} uses {symbol} of {defines[symbol]}"
                for path in sorted(uses) for symbol in sorted(uses[path])
                if symbol in defines and defines[symbol] != folder_of(path)
                and defines[symbol] not in may_use[folder_of(path)]],
               "no file uses anything that its folder may not use")


def folders():
    """Each folder has a page that lists its files, of which there are not too many."""
    bad = []
    for folder in layers_of():
        names = {os.path.basename(path) for path in SOURCES + HEADERS if path.startswith(f"src/{folder}/")}
        names -= {name for name in names if name.endswith(".h") and name[:-1] + "c" in names}
        page = f"src/{folder}/README.md"
        listed = re.findall(r"^\| \[`(\w+\.[ch])`\]", read(page) if os.path.exists(page) else "", re.M)
        bad += [f"{page} does not list {name}" for name in sorted(names - set(listed))]
        bad += [f"{page} lists {name}, which is not there" for name in sorted(set(listed) - names)]
        if len(names) > MAX_FILES:
            bad.append(f"src/{folder} has {len(names)} files")
    names = collections.Counter(os.path.basename(path) for path in SOURCES + HEADERS)
    bad += [f"{name} is there {n} times" for name, n in names.items() if n > 1]
    _tap.check(bad, f"each folder has a README.md that lists its files, at most {MAX_FILES}, and no two files have one name")


def parts():
    """The parts of the install script are listed on their page, in their order."""
    order = re.search(r"^SQL_PARTS += (.*)$", read("Makefile"), re.M)[1].split()
    listed = re.findall(r"^\| \[`(\w+)\.sql`\]", read("src/sql/README.md"), re.M)
    _tap.check([] if listed == order else [f"Makefile: {' '.join(order)}", f"page: {' '.join(listed)}"],
               "src/sql/README.md lists the parts of the install script in their order")


def access():
    """The table in the head of access.c: which access each action takes, and where it is asked for."""
    head = read("src/principal/access.c").split("#include")[0]
    rows = re.findall(r"^ \*\t  (\S.*?)\t+(reader|writer|admin|owner)\t(\w+/\w+\.c)", head, re.M)
    asks = {path: read(f"src/{path}") if os.path.exists(f"src/{path}") else "" for _, _, path in rows}
    callable_ = set(re.findall(r"DIAGSYNC_FUNCTION\(diagsync_(\w+)\)", "".join(map(read, SOURCES))))
    _tap.check([] if len(rows) > 15 else ["hardly any row found"], "the head of access.c has a table of actions")
    _tap.check([f"{path} does not ask for {level} access: {action}" for action, level, path in rows
                if f"ACCESS_{level.upper()}" not in asks[path]]
               + [f"there is no {name}()" for action, _, _ in rows for name in re.findall(r"(\w+)\(\)", action) if name not in callable_],
               "each of these is a function that there is, and the file beside it asks for that access")


def width(line):
    return len(line.expandtabs(4))


def sizes():
    _tap.check([f"{path}: {lines} lines" for path in SOURCES + HEADERS
                for lines in [read(path).count("\n")] if lines > MAX_LINES],
               f"no source file is longer than {MAX_LINES} lines")
    long, wide, count = [], [], 0
    for path in SOURCES + HEADERS:
        begin, comment = None, False
        for number, line in enumerate(read(path).splitlines(), 1):
            if line == "{":
                begin, count = number, count + 1
            elif line == "}" and begin:
                if number - begin - 1 > MAX_FUNCTION:
                    long.append(f"{path}:{begin}: {number - begin - 1} lines")
                begin = None
            comment = comment or "/*" in line
            if comment and width(line) > MAX_WIDTH and '"' not in line.split("/*")[0]:
                wide.append(f"{path}:{number}: {width(line)} columns")
            if "*/" in line:
                comment = False
    _tap.check([] if count > 400 else [f"only {count} functions found"], "functions are found by their braces")
    _tap.check(long, f"no function is longer than {MAX_FUNCTION} lines")
    _tap.check(wide, f"no comment is wider than {MAX_WIDTH} columns")


def versions():
    _tap.check([f"{path}:{number}: {line}" for path in SOURCES + HEADERS if path != "src/server/compat.h"
                for number, line in enumerate(read(path).splitlines(), 1)
                if re.search(r"PG_VERSION_NUM|PG_MAJORVERSION|CATALOG_VERSION_NO", line)],
               "differences between versions of PostgreSQL are in src/server/compat.h alone")
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
    folders()
    parts()
    access()
    sizes()
    versions()
    comments()
    places()
    _tap.finish()
