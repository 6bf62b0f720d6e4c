"""What is compared with runs in processes of its own: in node, with the packages of
package-lock.json, or in Python, with those of requirements.txt."""

import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON_PACKAGES = os.path.join(HERE, "python_modules")


def missing(package=None):
    """Why a script cannot be run in node, or None."""
    if not shutil.which("node"):
        return "there is no node"
    if package and not os.path.isdir(os.path.join(HERE, "node_modules", package)):
        return f"npm's package {package} is not installed"
    return None


def missing_python(package):
    """Why a script cannot be run in Python, or None."""
    if not os.path.isdir(os.path.join(PYTHON_PACKAGES, package)):
        return f"PyPI's package {package} is not installed"
    return None


class Peer:
    """A script that answers each command, a line, with a line of JSON."""

    def __init__(self, interpreter, script, *arguments):
        self.process = subprocess.Popen(
            [interpreter, os.path.join(HERE, script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": PYTHON_PACKAGES})

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


class Node(Peer):
    def __init__(self, script, *arguments):
        super().__init__("node", script, *arguments)


class Python(Peer):
    def __init__(self, script, *arguments):
        super().__init__(sys.executable, script, *arguments)
