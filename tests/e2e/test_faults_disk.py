#!/usr/bin/env python3
"""A full disk and a failing fdatasync under load: back-pressure, a clear state in /health, no crash, recovery without a restart, nothing lost."""
import itertools
import json
import os
import time

import e2e
import faultlab
from e2e import hydrolab, wait_until

POINTS = 80
FAULT_S = 60 if e2e.LONG else 5


def get(daemon, path):
    status, body, _ = daemon.http.raw("GET", path)
    return status, body.decode(errors="replace")


def journal_reason(daemon, text):
    """The health's answer once it says that the journal fails for `text`."""
    status, body = get(daemon, "/health")
    reasons = [r for r in json.loads(body)["reasons"] if r["part"] == "journal"]
    if status == 503 and json.loads(body)["status"] == "failing" and reasons and text in reasons[0]["detail"]:
        return reasons[0]["detail"]
    return None


def intake_stands(daemon):
    """Measurements that wait for the disk in memory, once no more of them are taken (they come each second); else None."""
    before = daemon.metrics()["hydro_measurements_total"]
    time.sleep(2)
    now = daemon.metrics()
    return now["hydro_measurements_total"] - now["hydro_journal_synced_lsn"] if now["hydro_measurements_total"] == before else None


def run(fault, text):
    """The fault, from the first sign to the recovery; what was told and what was served is there at the end."""
    shim = hydrolab.build_dir() / "bin" / "powercut.so"
    if not shim.exists():
        raise e2e.Skip("powercut.so is not built with sanitizers")
    folder = hydrolab.folder_for("disk")
    home, switch = folder / "hydrod", folder / "fault"
    (home / "data").mkdir(parents=True)
    start = int(time.time() * 1000) - 200000
    sim = hydrolab.Sim(folder, "--points", POINTS, "--threads", 1, "--period", "1s", "--skew", "off", "--origin", faultlab.iso(start))
    env = dict(os.environ, LD_PRELOAD=str(shim), HYDRO_CUT_ROOT=str(home / "data"), HYDRO_FAULT_FILE=str(switch))
    daemon = hydrolab.Daemon(home, sim.port, env=env, extra="  journal = { segment_bytes = '2MiB' }, history = { merge_after = '2s', merge_pending = '8MiB' },")
    assert daemon.import_from(sim, period=1, join="500ms") == POINTS
    ids = [point["id"] for point in daemon.points().values()]
    daemon.http.call("POST", "/api/v1/points/", {"name": "by hand", "provider": "twin", "active": False, "pipeline": "well",
                                                 "options": {"device": "by-hand", "keys": {"level": "1"}}})
    manual = daemon.points()["by hand"]["id"]
    since = start - 40 * 86400000
    watcher = faultlab.Watcher(daemon, ids[:6], [manual], since, itertools.count(1))
    wait_until(lambda: watcher.lsn > POINTS * 10, 60, "readings on the disk")
    switch.write_text(fault)
    struck = begin = time.monotonic()
    reason = wait_until(lambda: journal_reason(daemon, text), 30, f"/health that says why ({get(daemon, '/health')})")
    told_s = time.monotonic() - begin
    assert get(daemon, "/readyz")[0] == 503 and get(daemon, "/livez")[0] == 200
    assert daemon.metrics()["hydro_journal_stuck"] == 1
    synced = daemon.metrics()["hydro_journal_synced_lsn"]
    # Neither a configuration nor a reading is told stored that is not.
    status, body, _ = daemon.http.raw("PATCH", f"/api/v1/points/{manual}", b'{"params": {"sensor_depth": 77}}', "application/json")
    assert status >= 500, (status, body)
    acked = len(watcher.acked)
    end = time.monotonic() + FAULT_S
    while time.monotonic() < end:
        assert daemon.alive(), daemon.log_text()[-2000:]
        assert daemon.metrics()["hydro_journal_synced_lsn"] == synced, "an LSN became durable on a disk that takes nothing"
        assert get(daemon, f"/api/v1/analytics/points/{ids[0]}/history?limit=5")[0] == 200, "what is stored is not shown"
        time.sleep(0.2)
    assert len(watcher.acked) == acked, "a reading by hand was acknowledged that is not on the disk"
    taken = wait_until(lambda: intake_stands(daemon), 60, "an intake that stands while the journal takes nothing")
    lasted_s = time.monotonic() - struck
    switch.unlink()
    begin = time.monotonic()
    wait_until(lambda: daemon.http.raw("PATCH", f"/api/v1/points/{manual}", b'{"params": {"sensor_depth": 78}}', "application/json")[0] == 200, 30,
               "a configuration that is stored again")
    wait_until(lambda: get(daemon, "/readyz")[0] == 200 and '"ok"' in get(daemon, "/health")[1], 30, f"health without a restart ({get(daemon, '/health')})")
    recovered_s = time.monotonic() - begin
    wait_until(lambda: daemon.metrics()["hydro_journal_synced_lsn"] > synced, 30, "new readings on the disk")
    wait_until(lambda: len(watcher.acked) > acked, 30, "a reading by hand that is taken again")
    watcher.end()
    assert daemon.process.poll() is None
    daemon.kill()
    daemon = hydrolab.Daemon(home, sim.port)  # without the shim: it does not carry out what it counts
    problems = faultlab.check_kept(daemon, watcher.seen, watcher.acked, watcher.lsn, since)
    assert not problems, (len(problems), problems[:10])
    readings, lost = hydrolab.count_lost(daemon, hydrolab.served_accounts(sim, POINTS), join_ms=500)
    assert not lost, (len(lost), lost[:10])
    values, problems = faultlab.compare_all(daemon, sim, range(POINTS), start, int(time.time() * 1000) - 8000, 500)
    assert not problems, (len(problems), problems[:10])
    assert daemon.stop() == 0
    sim.stop()
    assert faultlab.databases_intact(home / "data") == 2
    print(f"{fault}: told after {told_s:.2f} s as «{reason}», {lasted_s:.1f} s long, {taken:.0f} measurements waited in memory, no more were taken, well again {recovered_s:.2f} s after its end; "
          f"{readings} readings served, 0 lost; {len(watcher.seen)} rows seen, {len(watcher.acked)} acknowledged by hand ({len(watcher.refused)} refused), all there; {values} values as served")
    hydrolab.remove(folder)


def test_a_full_disk_is_told_and_survived():
    run("all:ENOSPC", "No space left on device")


def test_a_failing_fdatasync_is_told_and_survived():
    run("sync:EIO", "Input/output error")


def test_a_disk_that_takes_no_writes_is_told_and_survived():
    run("write:EIO", "Input/output error")


e2e.main(globals())
