#!/usr/bin/env python3
"""A provider's plugin that crashes in process: back within seconds, its instance isolated, then quarantined; all others go on."""
import http.server
import json
import threading
import time

import e2e
from e2e import hydrolab, wait_until

POINTS = 12


class Device(http.server.BaseHTTPRequestHandler):
    body = b"1.5"
    asked = 0

    def do_GET(self):
        Device.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(Device.body)))
        self.end_headers()
        self.wfile.write(Device.body)

    def log_message(self, *_):
        pass


def realtime(daemon, point):
    status, body, _ = daemon.http.raw("GET", f"/api/v1/analytics/points/{point}/realtime")
    return json.loads(body) if status == 200 else None


def newer(daemon, point, ts):
    now = realtime(daemon, point)
    return now if now and now["ts"] > ts else None


def test_a_plugin_that_crashes_is_isolated_then_quarantined_and_others_go_on():
    fixtures = hydrolab.build_dir() / "fixtures"
    if not (fixtures / "crash_served.so").exists():
        raise e2e.Skip("the fixture crash_served is not built")
    folder = hydrolab.folder_for("plugin")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Device)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sim = hydrolab.Sim(folder, "--points", POINTS, "--threads", 1, "--period", "2s")
    only = folder / "plugins"
    only.mkdir()
    (only / "crash_served.so").symlink_to(fixtures / "crash_served.so")
    line = f"    bad = {{ plugin = 'crash_served', options = {{ base_url = 'http://127.0.0.1:{server.server_port}' }} }},"

    def start(**options):
        return hydrolab.Daemon(folder / "hydrod", sim.port, more_providers=line, plugin_dirs=(only,), **options)

    daemon = start()
    assert daemon.import_from(sim, period=1, join="500ms") == POINTS
    daemon.http.call("POST", "/api/v1/points/", {"name": "crasher", "provider": "bad", "period_s": 1, "options": {"device_token": "t"}})
    points = daemon.points()
    bad, good = points["crasher"]["id"], points["SIM-0000001"]["id"]
    wait_until(lambda: realtime(daemon, bad) and realtime(daemon, good), 30, "readings of both")

    # In process its crash is the daemon's end. What has been shown before is there afterwards.
    shown = realtime(daemon, good)["ts"]
    Device.body = b"CRASH"
    wait_until(lambda: not daemon.alive(), 30, "the crash")
    assert daemon.process.returncode < 0, daemon.process.returncode
    died = time.monotonic()
    daemon = start()
    back_s = time.monotonic() - died
    assert "plugin_crashed_before" in daemon.log_text() and "crash_served" in daemon.log_text()
    assert realtime(daemon, good)["ts"] >= shown

    # Isolated now: it crashes in a process of its own, again and again, until it is quarantined. It takes nobody along.
    assert next(i for i in daemon.http.get("/admin/v1/instances/")["items"] if i["name"] == "bad")["isolated"]

    def reason():
        failures = daemon.http.get("/status/bad")["recent_failures"]
        return next((f["reason"] for f in failures if "quarantined" in f["reason"]), None)
    why = wait_until(reason, 120, "the quarantine")
    assert daemon.alive(), "a crash in a process of its own took the daemon along"
    asked, latest = Device.asked, realtime(daemon, good)["ts"]
    wait_until(lambda: newer(daemon, good, latest), 30, "readings of the others beside a quarantined instance")
    assert daemon.http.get("/status/bad")["state"] != "ok"
    assert Device.asked == asked, "a quarantined plugin is still asked"
    assert daemon.http.get(f"/api/v1/points/{bad}")["name"] == "crasher"
    assert len(daemon.history(bad, int(time.time() * 1000) - 600000, int(time.time() * 1000) + 60000)) >= 1
    readings, lost = hydrolab.count_lost(daemon, hydrolab.served_accounts(sim, POINTS), join_ms=500)
    assert not lost, lost[:10]
    assert daemon.stop() == 0
    sim.stop()
    server.shutdown()
    hydrolab.remove(folder)
    print(f"a crashing plugin: back {back_s:.2f} s after the crash, then isolated, then quarantined («{why}»); "
          f"{readings} readings of the others served, 0 lost")


e2e.main(globals())
