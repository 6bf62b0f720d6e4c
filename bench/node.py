"""What is compared with in JavaScript runs in node, with the packages of package-lock.json."""

import json
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def missing(package=None):
    """Why it cannot be run, or None."""
    if not shutil.which("node"):
        return "there is no node"
    if package and not os.path.isdir(os.path.join(HERE, "node_modules", package)):
        return f"npm's package {package} is not installed"
    return None


class Node:
    """A script that answers each command, a line, with a line of JSON."""

    def __init__(self, script, *arguments):
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

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
