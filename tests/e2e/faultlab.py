"""What the fault tests share: the truth of the simulator against what is stored, and watching a daemon that dies. Standard library only."""
import bisect
import json
import pathlib
import shutil
import sqlite3
import tempfile
import threading
import time

from e2e import hydrolab

METRICS = hydrolab.METRICS
JOIN_MS = 30000


iso = hydrolab.iso


def json_provider(sim, name="http_json", history=True):
    """An instance of http_json for the simulator's points of that kind, as a line of the configuration."""
    base = f"http://127.0.0.1:{sim.port}/json/devices/{{token}}"
    back = f" history_url = '{base}/readings?from={{from}}&to={{to}}&limit={{limit}}', page_limit = 100, order = 'asc', date_format = 'iso'," if history else ""
    return f"    {name} = {{ plugin = 'http_json', options = {{ url = '{base}/latest',{back} items = 'readings', ts = 'time' }}, timeout = '1s' }},"


class Truth:
    """All readings that a provider shows of one point, from /sim/truth."""

    def __init__(self, sim, index, start, end=None):
        self.point = sim.http.get(f"/sim/points?offset={index}&limit=1")["points"][0]
        self.name = self.point["name"]
        self.slots = []
        at = start
        while at >= 0:
            page = sim.http.get(f"/sim/truth/{index}?from={at}&limit=5000" + (f"&to={end}" if end else ""))
            self.slots += page["readings"]
            at = page["next"]
        skews = dict(zip(METRICS, page["skew_ms"]))
        self.skew = skews if self.point["provider"] in ("nettra", "novus") else dict.fromkeys(METRICS, 0)
        self.shown = {metric: {} for metric in METRICS}  # metric -> {served ts: slot}
        for slot in self.slots:
            slot["shown"] = slot.get("served", slot["true"])
            if not slot.get("lost"):
                for metric in METRICS:
                    self.shown[metric][slot.get("served_ts", slot["ts"]) + self.skew[metric]] = slot

    def stamps(self, metric, start, end):
        return [ts for ts in self.shown[metric] if start <= ts <= end]


class Stored:
    """All stored readings of one point, every revision."""

    def __init__(self, daemon, point_id, start, end):
        self.revisions = daemon.history(point_id, start, end, raw=True, revisions=True, limit=10 ** 9)
        for row in self.revisions:
            row["ms"] = hydrolab.parse_time(row["ts"])
            row["raws"] = {metric: raw["value"] for metric, raw in row["raw"].items()}
            row["names"] = {flag["flag"] for flag in row["flags"]} | set(row["notes"])
        newest = {}
        for row in self.revisions:
            if row["ms"] not in newest or row["rev"] > newest[row["ms"]]["rev"]:
                newest[row["ms"]] = row
        self.rows = [newest[ts] for ts in sorted(newest)]

    def twice(self):
        """(ts, rev) that are there more than once."""
        seen, twice = set(), []
        for row in self.revisions:
            key = (row["ms"], row["rev"])
            if key in seen:
                twice.append(key)
            seen.add(key)
        return twice


def compare(truth, stored, start, end, join_ms=JOIN_MS):
    """(values compared, problems): every stored raw value was served so, each served reading at most once, and each of [start, end] is there."""
    problems, used, compared = [], {}, 0
    stamps = {metric: sorted(shown) for metric, shown in truth.shown.items()}
    reach = join_ms if any(truth.skew.values()) else 0
    problems += [f"{truth.name}: {iso(ts)} rev {rev} is there twice" for ts, rev in stored.twice()]
    for row in stored.rows:
        for metric, value in row["raws"].items():
            # A reading's time is that of its earliest part, or of the one that came first when others had to be asked again.
            near = stamps[metric][bisect.bisect_left(stamps[metric], row["ms"] - reach):bisect.bisect_right(stamps[metric], row["ms"] + reach)]
            match = next((ts for ts in near if truth.shown[metric][ts]["shown"][metric] == value), None)
            compared += 1
            if match is None:
                served = [truth.shown[metric][ts]["shown"][metric] for ts in near]
                problems.append(f"{truth.name}: invented: {iso(row['ms'])} {metric} {value}; served {served}")
            elif (metric, match) in used:
                problems.append(f"{truth.name}: {metric} of {iso(match)} is stored at {iso(row['ms'])} and at {iso(used[metric, match])}")
            else:
                used[metric, match] = row["ms"]
    for metric in METRICS:
        missing = [ts for ts in truth.stamps(metric, start, end) if (metric, ts) not in used]
        if missing:
            problems.append(f"{truth.name}: {len(missing)} {metric} never stored, from {iso(missing[0])} to {iso(missing[-1])}")
    return compared, problems


def compare_all(daemon, sim, indexes, start, end, join_ms=JOIN_MS):
    """compare() of many points: (values, problems)."""
    points, compared, problems = daemon.points(), 0, []
    for index in indexes:
        truth = Truth(sim, index, start - 7260000)
        stored = Stored(daemon, points[truth.name]["id"], start - 7200000, end + 7200000)
        count, found = compare(truth, stored, start, end, join_ms)
        compared += count
        problems += found
    return compared, problems


def databases_intact(folder):
    """Checks copies of all SQLite databases of a data folder as a start would find them; their number."""
    count = 0
    with tempfile.TemporaryDirectory(prefix="hydro-db-") as copy:
        for path in pathlib.Path(folder).rglob("*.db"):
            for suffix in ("", "-wal"):
                if path.with_name(path.name + suffix).exists():
                    shutil.copy(path.with_name(path.name + suffix), pathlib.Path(copy) / (path.name + suffix))
            db = sqlite3.connect(pathlib.Path(copy) / path.name)
            result = db.execute("PRAGMA integrity_check").fetchall()
            db.close()
            assert result == [("ok",)], f"{path}: {result[:5]}"
            count += 1
    return count


class Watcher:
    """Reads history and enters readings by hand until the daemon dies; keeps what it was told."""

    def __init__(self, daemon, ids, manual_ids, since, numbers):
        self.daemon, self.ids, self.manual_ids, self.since = daemon, ids, manual_ids, since
        self.numbers = numbers       # one counter for all manual readings of the test, so that none is equal to another
        self.seen = {}               # (point, ts, rev) -> raw values
        self.lsn = 0
        self.acked = {}              # (point, ts) -> value
        self.stop = False
        self.refused = []
        self.threads = [threading.Thread(target=self.run, args=(step,), daemon=True) for step in (self.look, self.enter)]
        for thread in self.threads:
            thread.start()

    def run(self, step):
        http = hydrolab.Http(self.daemon.port, self.daemon.key, timeout=20)
        number = 0
        while not self.stop and self.daemon.alive():
            try:
                step(http, number)
            except (OSError, hydrolab.http.client.HTTPException, ValueError):
                continue  # it died under the request: nothing was told
            number += 1

    def look(self, http, number):
        point = self.ids[number % len(self.ids)]
        status, body, _ = http.raw("GET", f"/api/v1/analytics/points/{point}/history?from={self.since}&to={int(time.time() * 1000) + 60000}&limit=5000&order=desc&raw=true&revisions=true")
        if status == 200:
            for row in json.loads(body)["items"]:
                self.seen[point, row["ts"], row["rev"]] = row["raw"]
        status, body, _ = http.raw("GET", "/metrics")
        if status == 200:
            for line in body.decode().splitlines():
                if line.startswith("hydro_journal_synced_lsn "):
                    self.lsn = max(self.lsn, int(float(line.split()[1])))

    def enter(self, http, number):
        point = self.manual_ids[number % len(self.manual_ids)]
        value = next(self.numbers)
        ts = self.since + value * 60000  # further apart than readings are joined
        body = json.dumps({"readings": [{"ts": iso(ts), "values": {"level": value}}]})
        # One attempt alone: a repeat after a cut would be known already, and that is right too.
        status, answer, _ = http.raw("POST", f"/api/v1/points/{point}/readings", body, "application/json")
        if status == 200:
            self.acked[point, iso(ts)] = value
        else:
            self.refused.append((status, answer[:200]))

    def end(self):
        self.stop = True
        for thread in self.threads:
            thread.join(30)


def check_kept(daemon, seen, acked, lsn, since):
    """Everything that was told before is there, none twice; problems."""
    problems = []
    now = int(daemon.metrics().get("hydro_journal_synced_lsn", 0))
    if now < lsn:
        problems.append(f"journal_synced_lsn was {lsn}, is {now}")
    wanted = {}
    for (point, ts, rev), raw in seen.items():
        wanted.setdefault(point, {})[ts, rev] = raw
    for (point, ts), value in acked.items():
        wanted.setdefault(point, {})[ts, None] = value
    for point, rows in wanted.items():
        there, times = {}, set()
        for row in daemon.history(point, since - 86400000, int(time.time() * 1000) + 86400000, raw=True, revisions=True, limit=10 ** 9):
            if (row["ts"], row["rev"]) in there:
                problems.append(f"{point} {row['ts']} rev {row['rev']} is there twice")
            there[row["ts"], row["rev"]] = row["raw"]
            times.add((row["ts"], row["raw"].get("level", {}).get("value")))
        for (ts, rev), value in rows.items():
            if rev is None:
                if (ts, value) not in times:
                    problems.append(f"{point} {ts}: {value} was acknowledged and is gone")
            elif (ts, rev) not in there:
                problems.append(f"{point} {ts} rev {rev} was shown and is gone")
            elif there[ts, rev] != value:
                problems.append(f"{point} {ts} rev {rev} was {value}, is {there[ts, rev]}")
    return problems
