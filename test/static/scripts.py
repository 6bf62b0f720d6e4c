#!/usr/bin/python3
"""What shellcheck and pyflakes say of the scripts: nothing."""

import os
import sys

sys.dont_write_bytecode = True  # the sources' folder stays clean

import _tap

LEFT_OUT = {"node_modules", "python_modules", ".git", "results"}
# .shellcheckrc says what is left out, and why.
CHECKS = {
    "sh": ["shellcheck", "--severity=info"],
    "python": ["pyflakes3"],
}


def language(path):
    """Of a script, by its name or by its first line."""
    kind = {".py": "python", ".sh": "sh"}.get(os.path.splitext(path)[1])
    if kind:
        return kind
    with open(path, "rb") as file:
        first = file.readline(200).decode("ascii", "replace")
    if first.startswith("#!"):
        for word, kind in (("python", "python"), ("bash", "sh"), ("/sh", "sh")):
            if word in first:
                return kind
    return None


def main():
    scripts = {kind: [] for kind in CHECKS}
    for folder, folders, names in os.walk("."):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name))
            kind = language(path)
            if kind:
                scripts[kind].append(path)
    for kind, command in CHECKS.items():
        paths = scripts[kind]
        print(f"# {len(paths)} scripts for {command[0]}")
        _tap.check([] if paths else ["there are none"], f"there are scripts for {command[0]}")
        _tap.passes(command + paths, f"{command[0]} finds nothing")
    _tap.finish()


if __name__ == "__main__":
    main()
