"""Results in TAP, for tools/lib/run-tap."""

import subprocess
import sys

count = 0
failed = 0


def check(problems, name):
    """One test, which fails where there are problems: a text, or a list of them."""
    global count, failed
    lines = problems.splitlines() if isinstance(problems, str) else [str(problem) for problem in problems]
    count += 1
    failed += bool(lines)
    print("not " * bool(lines) + f"ok {count} - {name}")
    for line in lines[:200]:
        print(f"# {line}", file=sys.stderr)
    sys.stdout.flush()


def passes(command, name, **keywords):
    """One test: the command ends with 0; what it writes is shown where it does not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **keywords)
    check("" if done.returncode == 0 else f"exit status {done.returncode}\n{done.stdout}", name)


def output(command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def finish():
    print(f"1..{count}")
    sys.exit(1 if failed or not count else 0)
