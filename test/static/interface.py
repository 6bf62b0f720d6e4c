#!/usr/bin/python3
"""The library, the catalog and the documentation name the same functions and settings.

Reads the catalog of PGDATABASE with psql.
"""

import glob
import os
import re
import sys

sys.dont_write_bytecode = True  # the sources' folder stays clean

import _tap

MODULE = {"_PG_init", "Pg_magic_func"}


def rows(sql):
    return _tap.output(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).split()


def members(catalog, columns):
    """Of the objects in a catalog, those that CREATE EXTENSION made."""
    return f"""SELECT {columns} FROM {catalog} AS o JOIN pg_depend AS d ON d.classid = '{catalog}'::regclass
        AND d.objid = o.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
        JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'diagsync'"""


def symbols():
    library = os.path.join(_tap.output([os.environ["PG_CONFIG"], "--pkglibdir"]).strip(), "diagsync.so")
    exported = {line.split()[0] for line in
                _tap.output(["nm", "-D", "-P", "--defined-only", os.environ["DIAGSYNC_INSTALL"] + library]).splitlines()}
    declared = set(rows(members("pg_proc", "prosrc") + " WHERE probin IS NOT NULL"))
    called = {line for source in glob.glob("src/*/*.c") for line in
              re.findall(r"^(?:PG_FUNCTION_INFO_V1|DIAGSYNC_FUNCTION)\((\w+)\)", open(source, encoding="utf-8").read(), re.M)}
    print(f"# {len(exported)} symbols exported, {len(declared)} functions declared, {len(called)} made callable")
    _tap.check([] if len(declared) > 40 else ["hardly any function found"], "there are C functions")
    _tap.check(sorted(declared - exported), "every C function of the catalog is exported by the library")
    info = {name[len("pg_finfo_"):] for name in exported if name.startswith("pg_finfo_")}
    _tap.check(sorted(info ^ declared), "what is made callable from SQL is what the catalog has")
    _tap.check(sorted(exported - declared - MODULE - {f"pg_finfo_{name}" for name in declared}),
               "the library exports nothing else")


def documentation():
    pages = {path: open(path, encoding="utf-8").read() for path in ["README.md", *sorted(glob.glob("docs/*.md"))]}
    words = set(re.findall(r"[\w.]+", "\n".join(pages.values())))
    settings = rows("LOAD 'diagsync'; SELECT name FROM pg_settings WHERE name LIKE 'diagsync.%'"
                    " UNION SELECT 'diagsync.token'")
    _tap.check([] if len(settings) > 6 else ["hardly any setting found"], "there are settings")
    _tap.check([name for name in settings if name not in words], "every setting is documented")
    functions = rows(members("pg_proc", "DISTINCT proname")
                     + " WHERE pronamespace = 'diagsync'::regnamespace AND prorettype <> 'trigger'::regtype"
                       " AND prorettype <> 'internal'::regtype")
    known = words | {word.split(".")[-1] for word in words}
    _tap.check([name for name in functions if name not in known], "every function is mentioned in the documentation")
    mentioned = set(re.findall(r"\bdiagsync\.(\w+)\(", "\n".join(pages.values())))
    _tap.check(sorted(mentioned - set(functions)), "every diagsync.function() of the documentation exists")
    used = {name for name in words if re.fullmatch(r"diagsync\.(max|sync|batch|trusted)_\w+", name)}
    there = set(settings) | {f"diagsync.{name}" for name in functions} | set(
        rows("SELECT 'diagsync.' || relname FROM pg_class WHERE relnamespace = 'diagsync'::regnamespace"))
    _tap.check(sorted(used - there), "every setting of the documentation exists")


if __name__ == "__main__":
    symbols()
    documentation()
    _tap.finish()
