#!/usr/bin/env python3
"""Everything that loggers and providers do wrong: what is stored is what was served, nothing is invented or lost, and it is flagged."""
import collections

import e2e
import faultlab
from e2e import hydrolab, wait_until

HOUR = 3600000
T0 = 1767225600000  # 2026-01-01T00:00:00Z
HOURS = 75 if e2e.LONG else 27
READ_S = 60 if e2e.LONG else 300
POLL_S = 300 if e2e.LONG else 1800
PROVIDERS = ("twin", "nettra", "novus", "http_json")
FROM, UNTIL = T0 + 2 * HOUR, T0 + (HOURS - 3) * HOUR
DEEP = 13 * HOUR  # what a provider had late, or twice denied, is looked for twice a day

# name -> fault; each falls on four points, one of each provider
FAULTS = {
    "none": None,
    "http_5xx": {"probability": 0.2}, "hang": {"probability": 0.05, "count": 2}, "cut": {"probability": 0.2}, "unauthorized": {"probability": 0.2},
    "not_found": {"probability": 0.2}, "rate_limit": {"probability": 0.05}, "empty": {"probability": 0.03}, "not_json": {"probability": 0.2},
    "out_of_order": {"probability": 1},
    "duplicate": {"probability": 0.3}, "missing": {"probability": 0.1}, "late": {"probability": 0.05, "delay": 3600000},
    "negative_status": {"probability": 0.1}, "disconnected": {"probability": 0.03}, "zero": {"probability": 0.03}, "jitter": {"probability": 0.05},
    "truncated": {"probability": 0.03, "value": 3}, "counter_reset": {}, "meter_replacement": {}, "rollback": {"value": 0.3},
}
CONFIRM = 10  # readings that rise, until a reset is one
REQUESTS = ("http_5xx", "hang", "cut", "unauthorized", "not_found", "rate_limit", "empty", "not_json", "out_of_order")
# What the counter step says of a reading that such a fault has touched.
FLAGS = {"negative_status": "status_code", "zero": "ingest_error", "jitter": "noise", "truncated": "truncated"}
EVENTS = {"counter_reset": {"reset", "meter_replaced"}, "meter_replacement": {"reset", "meter_replaced"}, "rollback": {"reset", "rollback"}}


def tally(truth, stored, kind):
    """(readings that the fault touched, those of them with the flag that tells)."""
    rows = {row["ms"]: row for row in stored.rows}
    touched = told = 0
    for slot in truth.slots:
        if kind in slot.get("events", ()) and not slot.get("lost"):
            near = [slot.get("served_ts", slot["ts"]) + skew for skew in truth.skew.values()]
            row = next((rows[ts] for ts in near if ts in rows), None)
            if row:
                touched += 1
                told += FLAGS[kind] in row["names"]
                if kind in ("zero", "truncated") and FLAGS[kind] in row["names"]:
                    assert "total" not in row["values"], f"{truth.name} {row['ts']}: a total of a reading that is none: {row}"
    return touched, told


def test_whatever_is_served_is_stored_and_told_apart():
    folder = hydrolab.folder_for("data")
    clock, end = folder / "clock", T0 + HOURS * HOUR
    sim = hydrolab.Sim(folder, "--points", 4 * len(FAULTS), "--threads", 1, "--mix", "1:1:1:1", "--period", f"{READ_S}s", "--clock", clock,
                       "--start", faultlab.iso(T0), "--origin", faultlab.iso(T0 - HOUR))
    kinds = {}
    for number, (kind, fault) in enumerate(FAULTS.items()):
        kinds.update({4 * number + i: kind for i in range(4)})
        if fault is not None:
            sim.fault(kind=kind, points=[4 * number, 4 * number + 3], **{"from": FROM, "until": UNTIL}, **fault)
    daemon = hydrolab.Daemon(folder / "hydrod", sim.port, more_providers=faultlab.json_provider(sim), timeout="1s",
                             options=("--clock", f"sim:{clock}@{faultlab.iso(T0)}", "--until", faultlab.iso(end), "--step", "60s"))
    daemon.import_from(sim, period=POLL_S)
    wait_until(lambda: sim.http.get("/sim/status")["now_ms"] >= end, 3000 if e2e.LONG else 150, "the end of the simulated time")
    wait_until(lambda: all(p["in_flight"] == 0 for p in daemon.http.get("/providers")["items"]), 60, "polls that end")
    hits = {fault["kind"]: fault["hits"] for fault in sim.http.get("/sim/faults")}
    points = daemon.points()
    values, problems, told = 0, [], collections.defaultdict(lambda: [0, 0])
    for index, kind in kinds.items():
        truth = faultlab.Truth(sim, index, T0 - 2 * HOUR)
        stored = faultlab.Stored(daemon, points[truth.name]["id"], T0 - 3 * HOUR, end + 3 * HOUR)
        done = end - (DEEP if kind in ("late", "empty") else 3 * POLL_S * 1000)
        count, found = faultlab.compare(truth, stored, T0 - HOUR + 60000, done)
        values, problems = values + count, problems + [f"{kind}/{truth.point['provider']}: {problem}" for problem in found]
        for row in stored.rows:
            assert "held" not in row["names"] and "unprocessed" not in row["names"], (kind, truth.name, row)
        if kind in FLAGS:
            touched, flagged = tally(truth, stored, kind)
            told[kind][0] += touched
            told[kind][1] += flagged
        if kind in EVENTS:
            struck = min(slot["ts"] for slot in truth.slots if kind in slot.get("events", ()))
            after = {slot["shown"]["pulses"] for slot in truth.slots if slot["ts"] >= struck}
            if len(after) > 2 * CONFIRM:  # a counter that stands confirms nothing
                told[kind][0] += 1
                told[kind][1] += any(EVENTS[kind] & row["names"] for row in stored.rows)
        if kind in REQUESTS or kind in ("none", "duplicate", "missing", "late"):
            odd = [row for row in stored.rows if row["names"] & {"reset", "truncated", "ingest_error", "status_code", "rollback", "clock"}]
            assert not odd, (kind, truth.name, odd[:3])
    assert not problems, (len(problems), problems[:10])
    for kind in REQUESTS:
        assert hits[kind] > 0, f"no request met {kind}"
    for kind, (touched, flagged) in told.items():
        assert touched >= 2 and flagged >= 0.95 * touched, (kind, touched, flagged)
    assert daemon.stop() == 0, daemon.log_text()[-2000:]
    sim.stop()
    hydrolab.remove(folder)
    print(f"{len(FAULTS) - 1} kinds of faults on {len(kinds)} points in {HOURS} simulated hours: {values} values as served, 0 lost, 0 invented; "
          + ", ".join(f"{kind} {flagged} of {touched} told" for kind, (touched, flagged) in told.items()))


def test_a_request_that_hangs_fails_after_the_configured_time_and_its_data_come_later():
    folder = hydrolab.folder_for("hang")
    sim = hydrolab.Sim(folder, "--points", 4, "--threads", 1, "--mix", "1:1:1:1", "--period", "60s")
    sim.fault(kind="hang", points=[0, 3], count=4)
    daemon = hydrolab.Daemon(folder / "hydrod", sim.port, more_providers=faultlab.json_provider(sim), timeout="1s")
    daemon.import_from(sim, period=10)

    def told():
        failures = [failure["reason"] for provider in daemon.http.get("/providers")["items"] for failure in provider["recent_failures"]]
        return len(failures) >= 2 and failures
    failures = wait_until(told, 15, "failures of requests that hang")
    points = [point["id"] for point in daemon.points().values()]
    wait_until(lambda: all(daemon.http.raw("GET", f"/api/v1/analytics/points/{p}/realtime")[0] == 200 for p in points), 60, "readings after the hang")
    readings, lost = hydrolab.count_lost(daemon, hydrolab.served_accounts(sim, 4), seconds=30)
    assert readings >= 4 * 59 and not lost, (readings, lost[:5])
    assert daemon.stop() == 0
    sim.stop()
    hydrolab.remove(folder)
    print(f"hanging requests: told as «{failures[0]}», {readings} readings served, 0 lost")


e2e.main(globals())
