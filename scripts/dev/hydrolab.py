"""Starts the simulator and hydrod for run.sh and the end-to-end tests, and counts what was lost. Standard library only."""
import atexit
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build_dir():
    return pathlib.Path(os.environ.get("HYDRO_BUILD", ROOT / "build" / "release"))


class Failed(Exception):
    """Something did not come up or answered with an error; the text says what."""


class Http:
    """One keep-alive connection; JSON in and out."""

    def __init__(self, port, key=None, timeout=60):
        self.port, self.key, self.timeout, self.connection = port, key, timeout, None

    def raw(self, method, path, body=None, content_type=None, headers=None):
        send = dict(headers or {})
        if self.key:
            send["Authorization"] = "Bearer " + self.key
        if content_type:
            send["Content-Type"] = content_type
        for attempt in (0, 1):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
                self.connection.request(method, path, body=body, headers=send)
                answer = self.connection.getresponse()
                data = answer.read()
                return answer.status, data, dict(answer.getheaders())
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt:
                    raise

    def call(self, method, path, value=None, content_type="application/json", expect=None):
        body = value if isinstance(value, (bytes, type(None))) else json.dumps(value).encode()
        status, data, _ = self.raw(method, path, body, content_type if body is not None else None)
        if status >= 400 if expect is None else status != expect:
            raise Failed(f"{method} {path}: {status} {data[:800].decode(errors='replace')}")
        return json.loads(data) if data else None

    def get(self, path):
        return self.call("GET", path)


class Process:
    """A program that tells its port on a line or in a file, with its log kept in a file."""

    def __init__(self, name, command, log_path, env=None, cwd=None):
        self.name, self.log_path = name, pathlib.Path(log_path)
        self.log = open(self.log_path, "ab")
        self.log_begin = self.log.tell()  # what an earlier run on the same folder wrote stands before it
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=env, cwd=cwd)
        atexit.register(self.kill)  # a test that fails leaves nothing behind

    def log_text(self):
        return self.log_path.read_bytes()[self.log_begin:].decode(errors="replace")

    def wait_for(self, ready, seconds, what):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = ready()
            if value:
                return value
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended with {self.process.returncode} before {what}:\n" + self.log_text()[-3000:])
            time.sleep(0.02)
        raise Failed(f"{self.name}: no {what} within {seconds} s:\n" + self.log_text()[-3000:])

    def alive(self):
        return self.process.poll() is None

    def kill(self, how=signal.SIGKILL):
        if self.alive():
            self.process.send_signal(how)
        self.process.wait()

    def stop(self, seconds=30):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failed(f"{self.name} did not stop within {seconds} s:\n" + self.log_text()[-3000:]) from None
        self.log.close()
        return self.process.returncode


class Sim(Process):
    def __init__(self, folder, *options):
        super().__init__("hydro-sim", [str(build_dir() / "bin" / "hydro-sim"), "--port", "0", *map(str, options)], pathlib.Path(folder) / "sim.log")

        def port():
            for line in self.log_text().splitlines():
                if line.startswith("hydro-sim ready port="):
                    return int(line.split("=")[1])
            return None
        self.port = self.wait_for(port, 20, "readiness")
        self.http = Http(self.port)

    def fault(self, **fault):
        return self.http.call("POST", "/sim/faults", fault)

    def clear_faults(self):
        return self.http.call("DELETE", "/sim/faults")


CONFIG = """-- made for one run; hydroctl config-reference lists all settings
return {{
  data_dir = {data!r}, key_file = {key!r}, ready_file = {ready!r},
  listen = {{ address = "127.0.0.1", port = {port}, threads = 2 }},
  log = {{ level = {level!r} }},
  pipelines = {{ dir = {pipelines!r} }},
  plugins = {{ dirs = {{ {plugins} }}, runner = {runner!r} }},
  providers = {{
{providers}
  }},
{extra}
}}
"""


class Daemon(Process):
    """hydrod on a folder of its own; a second start on the same folder finds its data again. With wait=0 it is not waited for: attach() does."""

    def __init__(self, folder, sim_port, port=0, extra="", level="info", options=(), env=None, pipelines=None, wait=60, log="hydrod.log", wrap=(),
                 more_providers="", plugin_dirs=(), timeout="30s"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        build = build_dir()
        self.config = self.folder / "hydro.lua"
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        paths = {"twin": "twin/tdata/v1", "nettra": "nettra/v2", "novus": "novus"}
        providers = "\n".join(
            f"    {name} = {{ options = {{ base_url = 'http://127.0.0.1:{sim_port}/{path}' }}, concurrency = 64, timeout = {timeout!r} }}," for name, path in paths.items())
        self.config.write_text(CONFIG.format(
            data=str(self.folder / "data"), key=str(self.folder / "hydrod.key"), ready=str(ready), port=port, level=level,
            pipelines=str(pipelines or ROOT / "scripts" / "lua" / "pipelines"),
            plugins=", ".join(repr(str(d)) for d in (build / "plugins", *plugin_dirs)), runner=str(build / "bin" / "hydro-runner"),
            providers=providers + ("\n" + more_providers if more_providers else ""), extra=extra))
        command = [*wrap, str(build / "bin" / "hydrod"), "--config", str(self.config), "--admin-key-file", str(self.folder / "admin.key"), *options]
        super().__init__("hydrod", command, self.folder / log, env=env)
        self.ready = ready
        if wait:
            self.attach(wait)

    def attach(self, wait):
        """Waits for readiness, then takes port and key."""
        def read_port():
            return int(self.ready.read_text()) if self.ready.exists() and self.ready.read_text().strip() else None
        self.port = self.wait_for(read_port, wait, "readiness")
        self.key = (self.folder / "admin.key").read_text().strip()
        self.http = Http(self.port, self.key)

    def import_from(self, sim, period=None, join=None):
        """Accounts and points as the simulator tells them, with this poll period (s) and join window; the number of points."""
        accounts = sim.http.get("/sim/accounts")
        for account in accounts:
            options = {key: account[key] for key in ("username", "password") if account.get(key)}
            if account["provider"] != "http_json":
                self.http.call("POST", "/api/v1/accounts/", {"provider": account["provider"], "name": account["name"], "options": options})
        status, csv, _ = sim.http.raw("GET", "/sim/points.csv")
        if status != 200:
            raise Failed(f"GET /sim/points.csv: {status}")
        csv = with_columns(csv, period, join)
        self.http.call("POST", "/api/v1/points/import", csv, content_type="text/csv")
        return csv.count(b"\n") - 1

    def points(self):
        """All points, by name."""
        found, cursor = {}, None
        while True:
            page = self.http.get("/api/v1/points/?limit=1000" + (f"&cursor={urllib.parse.quote(cursor)}" if cursor else ""))
            found.update({point["name"]: point for point in page["items"]})
            cursor = page.get("next")
            if not cursor:
                return found

    def history(self, point_id, start, end, raw=False, limit=100000, revisions=False):
        """Measurements of a point between two times in ms."""
        rows, cursor = [], None
        while True:
            path = f"/api/v1/analytics/points/{point_id}/history?from={start}&to={end}&limit={min(limit, 5000)}" + ("&raw=true" if raw else "") + ("&revisions=true" if revisions else "")
            page = self.http.get(path + (f"&cursor={urllib.parse.quote(cursor)}" if cursor else ""))
            rows += page["items"]
            cursor = page.get("next")
            if not cursor or len(rows) >= limit:
                return rows

    def metrics(self):
        """Prometheus text as {name{labels}: value}."""
        status, text, _ = self.http.raw("GET", "/metrics")
        if status != 200:
            raise Failed(f"GET /metrics: {status}")
        pairs = (line.rsplit(" ", 1) for line in text.decode().splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


def rut(number):
    """An invented RUT with its check digit."""
    total = sum(int(digit) * (2 + i % 6) for i, digit in enumerate(reversed(str(number))))
    check = 11 - total % 11
    return f"{number}-{'0' if check == 11 else 'K' if check == 10 else check}"


def filing_config(sim_port, settings="timeout = '2s', lease = '1m'", adapter=""):
    """The part of hydro.lua that files with the simulator's DGA; `adapter`: further settings of it."""
    url = f"http://127.0.0.1:{sim_port}/dga/api/v1/mediciones"
    return f"  filing = {{ {settings}, adapters = {{ dga = {{ {adapter}options = {{ base_url = '{url}' }} }} }} }},"


def set_up_filing(daemon, sim, starts, mode="live", centres=1, on=True):
    """Centres, an informant, a work for each point of the simulator (spread over the centres), and the switch."""
    dga = "/api/v1/dga/"
    daemon.http.call("POST", dga + "informants/", {"name": "informant", "identifier": rut(12345000), "password": "not-a-secret"})
    points = sim.http.get("/sim/status")["points"]
    share = -(-points // centres)
    for number in range(centres):
        name = f"centre {number + 1}"
        daemon.http.call("POST", dga + "centres/", {"name": name, "identifier": rut(76100000 + 137 * number), "registration": "simulated", "registered_at": "2025-07-31T04:00:00Z"})
        query = urllib.parse.urlencode({"centre": name, "informant": "informant", "mode": mode, "starts": starts, "offset": number * share, "limit": share})
        status, csv, _ = sim.http.raw("GET", "/sim/works.csv?" + query)
        if status != 200:
            raise Failed(f"GET /sim/works.csv: {status}")
        daemon.http.call("POST", dga + "works/import", csv, content_type="text/csv")
    if on:
        switch_filing(daemon, True)


def switch_filing(daemon, on, reason="a run against the simulator"):
    daemon.http.call("PUT", "/api/v1/dga/kill-switch", {"on": on, "reason": reason})


def with_columns(csv, period, join):
    """The points' CSV with a poll period and a join window for all (None: as it is); http_json has no accounts."""
    import csv as module
    import io
    rows = module.reader(io.StringIO(csv.decode()))
    out = io.StringIO()
    writer = module.writer(out, lineterminator="\n")
    head = next(rows)
    column, provider, account = (head.index(name) for name in ("period", "provider", "account"))
    writer.writerow(head + (["join"] if join else []))
    for row in rows:
        if period:
            row[column] = str(period)
        if row[provider] == "http_json":
            row[account] = ""
        writer.writerow(row + ([join] if join else []))
    return out.getvalue().encode()


def iso(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"


def parse_time(text):
    from datetime import datetime
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def served_times(entry):
    """Timestamps in ms that the simulator served of one variable: its runs are [first, last, count]."""
    times = []
    for first, last, count in entry["runs"]:
        step = (last - first) // (count - 1) if count > 1 else 0
        times += [first + i * step for i in range(count)]
    return times


METRICS = ("flow", "level", "pulses")


def served_accounts(sim, count):
    """What was served up to now, by point: {number: {metric: [ts…]}}, and the points' names."""
    accounts = {}
    for number in range(count):
        entry = sim.http.get(f"/sim/served/{number}")
        accounts[entry["name"]] = {metric: served_times(entry[metric]) for metric in METRICS}
    return accounts


def stored_raws(daemon, point_id, start, end):
    """[(ts, {metric: value})] of the raw values that are stored."""
    rows = []
    for row in daemon.history(point_id, start, end, raw=True):
        rows.append((parse_time(row["ts"]), {name: raw["value"] for name, raw in row["raw"].items()}))
    return rows


def lost_of(served, rows, join_ms=30000):
    """Served (metric, ts) that no stored reading within the join window has: its time is the earliest part's, or that of the part that came first."""
    import bisect
    times = [ts for ts, _ in rows]
    lost = []
    for metric, stamps in served.items():
        for ts in stamps:
            at = bisect.bisect_left(times, ts - join_ms)
            found = False
            while at < len(rows) and rows[at][0] <= ts + join_ms:
                found = found or metric in rows[at][1]
                at += 1
            if not found:
                lost.append((metric, ts))
    return lost


def count_lost(daemon, served, seconds=45, join_ms=30000):
    """(readings served, lost as [(name, metric, ts)]); what is under way gets `seconds` to arrive: a part waits up to the join window for those beside it."""
    points, lost = daemon.points(), []
    readings = sum(max((len(stamps) for stamps in metrics.values()), default=0) for metrics in served.values())
    end = time.monotonic() + seconds
    for name, metrics in served.items():
        stamps = [ts for values in metrics.values() for ts in values]
        if not stamps:
            continue
        while True:
            rows = stored_raws(daemon, points[name]["id"], min(stamps) - 60000, max(stamps) + 60000)
            missing = lost_of(metrics, rows, join_ms)
            if not missing or time.monotonic() > end:
                break
            time.sleep(0.2)
        lost += [(name, metric, ts) for metric, ts in missing]
    return readings, lost


def folder_for(name):
    base = os.environ.get("HYDRO_TMP", tempfile.gettempdir())
    return pathlib.Path(tempfile.mkdtemp(prefix=f"hydro-{name}-", dir=base))


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
