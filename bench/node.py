"""What is compared with in JavaScript runs in node, with packages from BENCH_MODULES."""

import json
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def missing(package=None):
    """Why it cannot be run, or None."""
    if not shutil.which("node"):
        return "there is no node"
    if package and not os.access(os.path.join(modules(), package, "package.json"), os.R_OK):
        return f"npm's package {package} is not installed in {modules()}"
    return None


def modules():
    return os.environ.get("BENCH_MODULES") or os.path.join(HERE, "node_modules")


class Node:
    """A script that answers each command, a line, with a line of JSON."""

    def __init__(self, script, *arguments):
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, script), *arguments], env=dict(os.environ, NODE_PATH=modules()),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[1]} failed at: {command}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
