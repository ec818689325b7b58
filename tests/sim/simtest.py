# SPDX-License-Identifier: MIT
"""Starts hydro-sim for a test, on a clock that the test moves, and speaks to it."""
import http.client
import json
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
import unittest
import urllib.parse

BINARY = os.environ["HYDRO_SIM"]
START_MS = 1767225600000  # 2026-01-01T00:00:00Z
MAGIC = 0x4B434F4C434D4953
MINUTE, HOUR, DAY = 60000, 3600000, 86400000


class Clock:
    """A clock file as host/base/clock.h describes it."""

    def __init__(self, path, start_ms):
        with open(path, "wb") as f:
            f.write(struct.pack("<QqqQ", MAGIC, start_ms, start_ms, 0).ljust(4096, b"\0"))
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 4096)

    def get(self):
        return struct.unpack_from("<q", self.map, 8)[0]

    def set(self, ms):
        struct.pack_into("<q", self.map, 8, ms)

    def advance(self, ms):
        self.set(self.get() + ms)

    def close(self):
        self.map.close()
        self.file.close()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Sim:
    def __init__(self, *args, clock=True):
        self.dir = tempfile.mkdtemp(prefix="hydro-sim-test-")
        command = [BINARY, "--port", "0", *args]
        self.clock = None
        if clock:
            path = os.path.join(self.dir, "clock")
            self.clock = Clock(path, START_MS)
            command += ["--clock", path]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("hydro-sim ready port="):
            raise RuntimeError("no readiness line but %r" % line)
        self.port = int(line.split("=")[1])
        self.tokens = {}

    def stop(self):
        self.process.terminate()
        code = self.process.wait()
        self.process.stdout.close()
        if self.clock:
            self.clock.close()
        shutil.rmtree(self.dir)
        return code

    def request(self, method, path, body=None, headers=None, timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path, headers=None, **args):
        if args:
            path += "?" + urllib.parse.urlencode(args)
        return self.request("GET", path, headers=headers)

    def fault(self, **fault):
        answer = self.request("POST", "/sim/faults", fault)
        if answer.status != 201:
            raise RuntimeError(answer.body)
        return answer.json()["id"]

    def points(self, provider=None, count=None):
        rows, offset = [], 0
        while True:
            page = self.get("/sim/points", offset=offset, limit=1000).json()
            rows += [p for p in page["points"] if provider in (None, p["provider"])]
            offset += 1000
            if offset >= page["total"] or (count and len(rows) >= count):
                return rows[:count] if count else rows

    def point(self, provider):
        return self.points(provider, 1)[0]

    def account(self, point):
        return next(a for a in self.get("/sim/accounts").json() if a["name"] == point["account"])

    def login(self, point):
        a = self.account(point)
        answer = self.request("POST", "/twin/tdata/v1/login", {"username": a["username"], "password": a["password"]})
        return answer.json()["token"]

    def truth(self, point, start, end):
        return self.get("/sim/truth/%d" % point["point"], **{"from": start, "to": end}).json()["readings"]

    def served(self, point):
        return self.get("/sim/served/%d" % point["point"]).json()

    # One call each, as the provider plugins make them.
    def twin(self, point, metrics=("flow", "level", "pulses"), token=None, **args):
        if token is None:
            if point["account"] not in self.tokens:
                self.tokens[point["account"]] = self.login(point)
            token = self.tokens[point["account"]]
        keys = ",".join(point["options"]["keys"][m] for m in metrics)
        path = "/twin/tdata/v1/telemetry/DEVICE/%s/values/timeseries" % point["options"]["device"]
        return self.get(path, {"Authorization": "Bearer " + token}, keys=keys, **args)

    def nettra(self, point, metric="pulses", **args):
        return self.get("/nettra/v2/things/%s/resources/%s" % (point["options"]["thing"], point["options"]["keys"][metric]), **args)

    def novus(self, point, metric="pulses", **args):
        headers = {"authorization": point["options"]["device_token"]}
        return self.get("/novus/data", headers, variable=point["options"]["keys"][metric], **args)

    def pulses(self, point, start, end):
        """(ts, counter) of a twin point's history, in the order served."""
        key = point["options"]["keys"]["pulses"]
        answer = self.twin(point, ["pulses"], startTs=start, endTs=end, limit=10000, asc="true")
        if answer.status != 200:
            raise RuntimeError(answer.body)
        rows = answer.json().get(key, [])
        return [(r["ts"], int(r["value"])) for r in rows]


def splitmix(x):
    m = (1 << 64) - 1
    x = (x + 0x9E3779B97F4A7C15) & m
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & m
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & m
    return x ^ (x >> 31)


def checksum(timestamps):
    return "%016x" % (sum(splitmix(t) for t in timestamps) & ((1 << 64) - 1))


def iso(ms):
    import datetime
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (ms % 1000)


class Case(unittest.TestCase):
    """One simulator for each test, with the class's arguments; it must end cleanly."""

    args = ("--points", "40")

    def setUp(self):
        self.sim = Sim(*self.args)
        self.clock = self.sim.clock

    def tearDown(self):
        self.assertEqual(self.sim.stop(), 0)
