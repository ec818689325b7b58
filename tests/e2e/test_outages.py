#!/usr/bin/env python3
"""Providers dead for six hours and loggers with wrong clocks, on a simulated clock: what history has comes with its own times, nothing is invented."""
import json

import e2e
import faultlab
from e2e import hydrolab, wait_until

POINTS = 100 if e2e.LONG else 12
READ_S = 60 if e2e.LONG else 300
POLL_S = 60 if e2e.LONG else 120
HOUR = 3600000
T0 = 1767225600000  # 2026-01-01T00:00:00Z


class Lab:
    """Simulator and daemon on one simulated clock that goes from stage to stage."""

    def __init__(self, name, faults, points=POINTS, read_s=READ_S):
        self.folder = hydrolab.folder_for(name)
        self.clock = self.folder / "clock"
        self.points = points
        self.sim = hydrolab.Sim(self.folder, "--points", points, "--threads", 1, "--mix", "1:1:1:1", "--period", f"{read_s}s", "--clock", self.clock,
                                "--start", faultlab.iso(T0), "--origin", faultlab.iso(T0 - HOUR))
        for fault in faults:
            self.sim.fault(**fault)
        self.daemon = None

    def go_to(self, until):
        """The daemon, started again on its data, runs until the clock stands at `until` and nothing is under way."""
        if self.daemon:
            assert self.daemon.stop() == 0, self.daemon.log_text()[-2000:]
        self.daemon = hydrolab.Daemon(self.folder / "hydrod", self.sim.port, more_providers=faultlab.json_provider(self.sim, history=False),
                                      options=("--clock", f"sim:{self.clock}@{faultlab.iso(T0)}", "--until", faultlab.iso(until)))
        if not self.daemon.points():
            self.daemon.import_from(self.sim, period=POLL_S)
        wait_until(lambda: self.sim.http.get("/sim/status")["now_ms"] >= until, 600 if e2e.LONG else 60, f"the clock at {faultlab.iso(until)}")
        wait_until(lambda: all(p["in_flight"] == 0 for p in self.daemon.http.get("/providers")["items"]), 60, "polls that end")

    def state(self, provider):
        return next(p for p in self.daemon.http.get("/providers")["items"] if p["name"] == provider)

    def truths(self, provider):
        every = (faultlab.Truth(self.sim, index, T0 - 2 * HOUR) for index in range(self.points))
        return [truth for truth in every if truth.point["provider"] == provider]

    def stored(self, truth):
        return faultlab.Stored(self.daemon, self.daemon.points()[truth.name]["id"], T0 - 3 * HOUR, T0 + 30 * HOUR)

    def end(self):
        assert self.daemon.stop() == 0, self.daemon.log_text()[-2000:]
        self.sim.stop()
        hydrolab.remove(self.folder)


def rows_between(stored, start, end):
    return [row for row in stored.rows if start <= row["ms"] <= end]


def test_a_gap_of_six_hours_is_filled_from_history_and_from_nothing_else():
    dead, well, end = T0 + 2 * HOUR, T0 + 8 * HOUR, T0 + 10 * HOUR
    lab = Lab("outage", [
        {"kind": "outage", "provider": "twin", "from": dead, "until": well},
        {"kind": "outage", "provider": "nettra", "from": dead, "until": well, "mode": "cut"},
        {"kind": "outage", "provider": "novus", "from": dead, "until": well, "history": False},
        {"kind": "outage", "provider": "http_json", "from": dead, "until": well},
    ])
    # In the middle the clock stands, and the daemon is another one afterwards: nothing needs to remember the outage.
    lab.go_to(dead + 3 * HOUR)
    told = [reason["part"] for reason in lab.daemon.http.get("/health")["reasons"]]
    assert "twin" in told and "nettra" in told, told
    for provider in ("twin", "nettra", "novus", "http_json"):
        state = lab.state(provider)
        assert state["state"] != "ok" and not state["good_share"], (provider, state)
        assert state["state"] != "down" or provider in told, (provider, told)
        for truth in lab.truths(provider):
            late = rows_between(lab.stored(truth), dead + READ_S * 1000, end)
            assert not late, f"{truth.name} has readings of an outage: {late[:2]}"
    lab.go_to(end)
    values, filled, problems, kept_empty = 0, 0, [], 0
    done = end - 2 * POLL_S * 1000 - 60000
    for provider in ("twin", "nettra", "novus"):
        assert lab.state(provider)["state"] == "ok", lab.state(provider)
        for truth in lab.truths(provider):
            stored = lab.stored(truth)
            count, found = faultlab.compare(truth, stored, T0 - HOUR + 60000, done)
            values, problems = values + count, problems + found
            inside = rows_between(stored, dead + READ_S * 1000, well - READ_S * 1000)
            if provider == "novus":  # its readings of the window never came to be
                assert not inside, (truth.name, inside[:2])
                kept_empty += 1
                continue
            filled += len(inside)
            assert len(inside) >= 6 * 3600 // READ_S - 4, f"{truth.name}: {len(inside)} readings of the outage"
            total = 0
            for row in stored.rows:
                assert "held" not in row["names"] and "unprocessed" not in row["names"], (truth.name, row)
                now = row["values"].get("total", {"value": total})["value"]
                assert now >= total - 1e-6, f"{truth.name}: the total falls at {row['ts']}: it was not processed in order of time"
                total = now
    for truth in lab.truths("http_json"):
        stored = lab.stored(truth)
        count, found = faultlab.compare(truth, stored, T0 + 60000, dead - 600000)
        values, problems = values + count, problems + found
        count, found = faultlab.compare(truth, stored, well + 600000, done)
        problems += [problem for problem in found if problem not in problems]
        assert not rows_between(stored, dead + READ_S * 1000, well - READ_S * 1000), f"{truth.name}: a gap of a provider without history was filled"
        kept_empty += 1
        point = lab.daemon.points()[truth.name]["id"]
        hours = lab.daemon.http.get(f"/api/v1/analytics/points/{point}/aggregates?from={dead + HOUR}&to={well - HOUR}&period=hour")["items"]
        assert not any(hour.get("metrics") or hour.get("values") for hour in hours), hours[:2]
    assert not problems, (len(problems), problems[:10])
    for point in lab.daemon.points().values():
        latest = hydrolab.parse_time(lab.daemon.http.get(f"/api/v1/analytics/points/{point['id']}/realtime")["ts"])
        assert end - 2 * READ_S * 1000 - 60000 <= latest <= end, (point["name"], latest)
    lab.end()
    print(f"six hours without providers: {filled} readings of the gap came from history, {kept_empty} points without any kept their gap, {values} values as served, 0 lost, 0 invented")


def test_times_from_the_future_are_kept_flagged_and_never_latest():
    ahead, end = T0 + 2 * HOUR, T0 + 6 * HOUR
    shift = HOUR + 120000  # between the loggers' slots of five minutes
    lab = Lab("ahead", [{"kind": "clock_ahead", "points": [index, index], "from": ahead, "until": ahead + HOUR, "delay": shift} for index in (0, 1, 2, 3)], points=8, read_s=300)
    now = ahead + HOUR // 2
    lab.go_to(now)
    flagged = 0
    for index in range(8):
        truth = faultlab.Truth(lab.sim, index, T0 - 2 * HOUR)
        stored, point = lab.stored(truth), lab.daemon.points()[truth.name]["id"]
        future = [row for row in stored.rows if row["ms"] > now + 300000]
        assert all("clock" in row["names"] for row in future), (truth.name, future[:2])
        assert not any("clock" in row["names"] for row in stored.rows if row["ms"] <= now), truth.name
        flagged += len(future)
        assert bool(future) == (index < 4), f"{truth.name}: {len(future)} readings from the future"
        latest = lab.daemon.http.get(f"/api/v1/analytics/points/{point}/realtime")
        assert hydrolab.parse_time(latest["ts"]) <= now and not latest["flags"], (truth.name, latest)
    # By hand too: an hour ahead, and before the point's start.
    point = lab.daemon.points()[faultlab.Truth(lab.sim, 7, now).name]["id"]
    before = lab.daemon.http.get(f"/api/v1/analytics/points/{point}/realtime")
    assert lab.daemon.http.raw("PATCH", f"/api/v1/points/{point}", json.dumps({"start": faultlab.iso(T0 - 2 * HOUR)}), "application/json")[0] == 200
    lab.daemon.http.call("POST", f"/api/v1/points/{point}/readings", {"readings": [{"ts": faultlab.iso(now + HOUR), "values": {"level": 1}},
                                                                                   {"ts": faultlab.iso(T0 - 3 * HOUR), "values": {"level": 2}}]})
    rows = {row["ms"]: row for row in faultlab.Stored(lab.daemon, point, T0 - 4 * HOUR, now + 2 * HOUR).rows}
    for ts in (now + HOUR, T0 - 3 * HOUR):
        assert "clock" in rows[ts]["names"], rows[ts]
    assert lab.daemon.http.get(f"/api/v1/analytics/points/{point}/realtime")["ts"] == before["ts"]
    lab.go_to(end)
    values, problems = 0, []
    for index in range(7):
        truth = faultlab.Truth(lab.sim, index, T0 - 2 * HOUR)
        start = T0 + 60000 if truth.point["provider"] == "http_json" else T0 - HOUR + 60000
        count, found = faultlab.compare(truth, lab.stored(truth), start, end - 2 * POLL_S * 1000 - 60000)
        values, problems = values + count, problems + found
    assert not problems, (len(problems), problems[:10])
    lab.end()
    print(f"clocks an hour ahead: {flagged} readings flagged `clock`, none became latest, {values} values as served, 0 lost, 0 invented")


e2e.main(globals())
