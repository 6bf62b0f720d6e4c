#!/usr/bin/python3
"""The documentation is true: its examples run, its links lead somewhere, its files exist.

The blocks of a page that are marked "sql" or "sh" run in order, in one session
of psql, on an empty database "diagrams".  What a block prints must be what the
block "text" right after it shows, where there is one.  A comment

    <!-- run
    SQL that readers need not see
    -->

runs like a block.  An error fails the page, unless the output says ERROR.
With --write, the blocks "text" are replaced by what was printed; read the
difference before you keep it.
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the sources' folder stays clean

import _tap

PAGES = sorted(path for pattern in ("*.md", "docs/*.md", "examples/*/*.md", "bench/*.md", "src/**/*.md", "test/**/*.md")
               for path in glob.glob(pattern, recursive=True) if "node_modules" not in path)
BLOCK = re.compile(r"^```(?P<language>sql|sh)\n(?P<code>.*?)^```\n(?:\n*^```text\n(?P<shown>.*?)^```\n)?"
                   r"|^<!-- run\n(?P<hidden>.*?)^-->\n", re.M | re.S)
MARK = "@@ block"
FOLDERS = ["test", "tools", "sql", "expected", "bench", "examples", "docs"] + ["src"] * os.path.exists("src/layers.txt")
# Messages of PostgreSQL itself
POSTGRESQL = r"permission denied for function|duplicate key value|relation |column |role .* cannot be dropped"


def psql(sql, database="postgres"):
    return _tap.output(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]).split("\n")


def there():
    return (set(psql("SELECT datname FROM pg_database")), set(psql("SELECT rolname FROM pg_roles")))


def script(blocks, folder):
    """The blocks as one script for psql; each ends with a mark of its own."""
    lines = ["\\set ON_ERROR_STOP on"]
    for number, block in enumerate(blocks):
        code = block["code"] or block["hidden"]
        fails = "ERROR:" in (block["shown"] or "")
        if fails:
            lines.append("\\set ON_ERROR_STOP off")
        if block["language"] == "sh":
            path = os.path.join(folder, f".block{number}")
            with open(path, "w", encoding="utf-8") as file:
                file.write(code)
            lines.append(f"\\! sh -e {path} || echo '@@ failed'")
        else:
            lines.append(code)
        if fails:
            lines.append("\\set ON_ERROR_STOP on")
        lines.append(f"\\echo {MARK} {number}")
    return "\n".join(lines) + "\n"


def run(path, blocks):
    """What each block of a page printed; fewer texts than blocks where one failed."""
    before = there()
    psql('DROP DATABASE IF EXISTS diagrams WITH (FORCE)')
    psql("CREATE DATABASE diagrams")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        done = subprocess.run(["psql", "-Xq"], input=script(blocks, folder), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd=folder, errors="replace",
                              env={**os.environ, "PGDATABASE": "diagrams", "PGOPTIONS": "-c timezone=UTC"})
    for name in there()[0] - before[0]:
        psql(f'DROP DATABASE "{name}" WITH (FORCE)')
    for name in there()[1] - before[1]:
        psql(f'DROP ROLE "{name}"')
    texts = re.split(rf"^{MARK} \d+\n", done.stdout, flags=re.M)
    problems = []
    if done.returncode or len(texts) != len(blocks) + 1 or "@@ failed" in done.stdout:
        problems = [f"{path}: a block failed", *done.stdout.splitlines()[-40:]]
    return ["".join(line.rstrip() + "\n" for line in text.splitlines()).strip("\n") for text in texts], problems


def examples(write):
    ran = 0
    for path in PAGES:
        with open(path, encoding="utf-8") as file:
            page = file.read()
        blocks = list(BLOCK.finditer(page))
        if not any(block["code"] for block in blocks):
            continue
        ran += 1
        texts, problems = run(path, blocks)
        new, end = "", 0
        for block, text in zip(blocks, texts):
            if block["shown"] is not None:
                if text != block["shown"].strip("\n"):
                    problems += [f"{path}, after: {block['code'].strip().splitlines()[0]}", "printed:", *text.splitlines()]
                new += page[end:block.start("shown")] + text + "\n"
                end = block.end("shown")
        if write and len(texts) > len(blocks):
            with open(path, "w", encoding="utf-8") as file:
                file.write(new + page[end:])
        _tap.check(problems, f"{path}: the examples run, and print what is shown")
    _tap.check([] if ran > 4 else ["hardly any page found"], "there are examples")


def anchors(page):
    """The places that a link can lead to, named as forges name them."""
    plain = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", plain, re.M)
    names = {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()).replace(" ", "-")
             for title in headings}
    return names | set(re.findall(r'<a (?:id|name)="([^"]+)"', page))


def links():
    pages = {}
    for path in PAGES:
        with open(path, encoding="utf-8") as file:
            pages[path] = file.read()
    broken, missing, count = [], [], 0
    for path, page in pages.items():
        prose = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose):
            count += 1
            name, _, anchor = target.partition("#")
            file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(file) or (anchor and anchor not in anchors(pages.get(file, ""))):
                broken.append(f"{path}: {target}")
        # Named from the top of the sources, tests without their folder and ending.
        # (Those of other projects, which docs/presets.md names, are in TypeScript.)
        for name in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*\w)`", prose):
            folder, _, file = name.rpartition("/")
            if not (os.path.exists(name) or glob.glob(f"{folder}/**/{file}.*", recursive=True) or name.endswith(".ts")):
                missing.append(f"{path}: {name}")
    print(f"# {len(pages)} pages, {count} links")
    _tap.check(broken, "each link of a page leads somewhere")
    _tap.check(missing, "each file that a page names exists")


def messages():
    """Those that docs/troubleshooting.md explains; "..." in them is a name."""
    sources = "".join(open(path, encoding="utf-8").read() for path in glob.glob("src/**/*.c", recursive=True))
    known = {"".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace('\\"', '"')
             for text in re.findall(r'(?:errmsg(?:_plural)?|psprintf)\(((?:\s*"(?:[^"\\]|\\.)*")+)', sources)}
    name = r'(?:%s\.%s|diagsync\.directory|%s|%d|sub|_?id)'
    with open("docs/troubleshooting.md", encoding="utf-8") as file:
        page = file.read()
    told = [message for row in re.findall(r"^\| (`.*?) \|", page, re.M) for message in re.findall(r"`([^`]*…[^`]*)`", row)]
    problems = [message for message in told
                if not re.match(POSTGRESQL, message)
                and not any(re.fullmatch(name.join(map(re.escape, message.split("…"))), text) for text in known)]
    print(f"# {len(known)} messages, {len(told)} explained")
    _tap.check([] if len(known) > 80 and len(told) > 30 else ["hardly any message found"], "there are messages")
    _tap.check(problems, "each message that is explained is one that the sources have")


if __name__ == "__main__":
    links()
    messages()
    examples("--write" in sys.argv[1:])
    _tap.finish()
