"""The server: databases, connections, what is timed, and what comes between.

Everything that is ours runs as ROLE, where the environment names one, else as
the superuser of PGUSER; what it is compared with always as the latter.
"""

import glob
import math
import os
import re
import subprocess
import tempfile
import time

import psycopg2

HERE = os.path.dirname(os.path.abspath(__file__))
SUMMARY = re.compile(r"latency average = ([\d.]+) ms.*tps = ([\d.]+) \(without", re.DOTALL)


def connect(database, role=None):
    connection = psycopg2.connect(dbname=database, options=f"-c role={role}" if role else "")
    connection.autocommit = True
    return connection


def elsewhere(*commands):
    """Commands that no database can be given about itself."""
    server = connect("postgres")
    with server.cursor() as cursor:
        for command in commands:
            cursor.execute(command)
    server.close()


class Database:
    """A database of its own, with diagsync and the schema bench in it."""

    def __init__(self, name, role):
        self.name = name
        self.role = role
        elsewhere(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
        self.admin = connect(name)
        self.execute("CREATE EXTENSION diagsync")
        with open(os.path.join(HERE, "data.sql"), encoding="utf-8") as script:
            self.execute(script.read())
        if role:
            self.execute(f"SELECT diagsync.grant_usage('{role}')")
            self.execute(f"GRANT USAGE ON SCHEMA bench TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA bench TO {role}")
        self.user = connect(name, role) if role else self.admin

    def close(self):
        for connection in {self.admin, self.user}:
            connection.close()
        elsewhere(f"DROP DATABASE {self.name}")

    # ---- Statements ----------------------------------------------------------

    def execute(self, sql, values=None):
        with self.admin.cursor() as cursor:
            cursor.execute(sql, values)

    def value(self, sql, values=None):
        return first(self.admin, sql, values)

    def call(self, sql, values=None):
        """As ROLE; the first column of the first row, where there is one."""
        return first(self.user, sql, values)

    def ours(self, sql, values=None, expect=None):
        """Seconds of one statement as ROLE; its value, or count, must be as expected."""
        return timed(self.user, sql, values, expect)

    def bare(self, sql, values=None, expect=None):
        return timed(self.admin, sql, values, expect)

    # ---- Between what is timed -----------------------------------------------

    def checkpoint(self):
        self.execute("CHECKPOINT")

    def vacuum(self, *tables):
        for table in tables or ("",):
            self.execute("VACUUM " + table)

    # ---- pgbench -------------------------------------------------------------

    def pgbench(self, script, clients=1, transactions=None, seconds=None, bare=False, variables=None, log=False):
        """(seconds of latency, transactions a second[, the 99th percentile in seconds])."""
        command = ["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, os.cpu_count() or 1))]
        command += ["-t", str(transactions)] if transactions else ["-T", str(seconds)]
        for name, value in (variables or {}).items():
            command += ["-D", f"{name}={value}"]
        environment = dict(os.environ, PGDATABASE=self.name)
        if self.role and not bare:
            environment["PGOPTIONS"] = f"-c role={self.role}"
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "script")
            with open(path, "w", encoding="utf-8") as file:
                file.write(script)
            if log:
                command += ["--log", "--log-prefix", os.path.join(folder, "log")]
            done = subprocess.run(command + ["-f", path], env=environment, text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            found = SUMMARY.search(done.stdout)
            if done.returncode or not found:
                raise RuntimeError(f"pgbench: {done.stdout}")
            latency, rate = float(found[1]) / 1e3, float(found[2])
            if not log:
                return latency, rate
            return latency, rate, percentile(glob.glob(os.path.join(folder, "log.*")), 0.99)


def percentile(logs, part):
    """Of the latencies in pgbench's logs, in seconds."""
    latencies = []
    for path in logs:
        with open(path, encoding="utf-8") as log:
            latencies += [int(line.split()[2]) for line in log]
    latencies.sort()
    return latencies[math.ceil(part * len(latencies)) - 1] / 1e6


def first(connection, sql, values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()[0] if cursor.description else None


def timed(connection, sql, values, expect):
    with connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute(sql, values)
        seconds = time.perf_counter() - started
        found = cursor.fetchone()[0] if cursor.description else cursor.rowcount
    if expect is not None and found != expect:
        raise RuntimeError(f"{sql}: {found} where {expect} were expected")
    return seconds
