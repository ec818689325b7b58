#!/usr/bin/env python3
"""The main job on real input: providers polled over HTTP, readings processed, stored, seen over REST and the command line."""
import json
import os
import subprocess
import time

import e2e
from e2e import hydrolab, wait_until

POINTS = 60
state = {}


def ctl(*arguments, ok=True):
    daemon = state["daemon"]
    env = dict(os.environ, HYDRO_URL=f"http://127.0.0.1:{daemon.port}", HYDRO_API_KEY=daemon.key, NO_COLOR="1")
    run = subprocess.run([str(hydrolab.build_dir() / "bin" / "hydroctl"), *map(str, arguments)], capture_output=True, text=True, env=env, timeout=60)
    if ok:
        assert run.returncode == 0, f"hydroctl {arguments}: {run.returncode}\n{run.stdout}{run.stderr}"
    return run


def test_sixty_points_of_three_providers_are_collected_and_nothing_is_lost():
    state["folder"] = hydrolab.folder_for("main")
    state["sim"] = hydrolab.Sim(state["folder"], "--points", POINTS, "--threads", 1)
    state["daemon"] = hydrolab.Daemon(state["folder"] / "hydrod", state["sim"].port)
    daemon, sim = state["daemon"], state["sim"]
    assert daemon.import_from(sim, period=10) == POINTS
    points = daemon.points()
    assert len(points) == POINTS

    def all_have_data():
        return all(daemon.http.raw("GET", f"/api/v1/analytics/points/{p['id']}/realtime")[0] == 200 for p in points.values())
    wait_until(all_have_data, 60, "a latest value of every point")
    readings, lost = hydrolab.count_lost(daemon, hydrolab.served_accounts(sim, POINTS))
    assert readings > POINTS * 30, f"an hour of history a point is expected, {readings} came"
    assert not lost, lost[:10]


def test_what_is_stored_is_what_the_instruments_read():
    daemon, sim = state["daemon"], state["sim"]
    points = daemon.points()
    for number in range(0, POINTS, 7):
        truth = sim.http.get(f"/sim/truth/{number}?from={int(time.time() * 1000) - 1800000}")
        name = f"SIM-{number + 1:07d}"
        skew = dict(zip(hydrolab.METRICS, truth["skew_ms"]))
        rows = dict(hydrolab.stored_raws(daemon, points[name]["id"], int(time.time() * 1000) - 1900000, int(time.time() * 1000) + 60000))
        checked = 0
        for reading in truth["readings"]:
            row = rows.get(reading["ts"] + min(skew.values()))
            if row is None:
                continue
            for metric, value in reading["true"].items():
                if metric in row:
                    assert row[metric] == value, f"{name} {reading['ts']} {metric}: {row[metric]} stored, {value} read"
                    checked += 1
        assert checked > 10, f"{name}: only {checked} values could be compared"


def test_the_pipeline_makes_totals_and_water_tables_of_the_raw_values():
    daemon = state["daemon"]
    point = next(p for p in daemon.points().values() if p["pipeline"] == "well")
    rows = daemon.history(point["id"], int(time.time() * 1000) - 1800000, int(time.time() * 1000) + 60000, raw=True)
    checked = 0
    for row in rows:
        raw, made = row["raw"], row["values"]
        if "pulses" in raw and "total" in made and not row["flags"]:
            expected = raw["pulses"]["value"] * point["params"]["litres_per_pulse"] / 1000 + point["params"]["offset"]
            assert abs(made["total"]["value"] - expected) < 1e-6, (row, expected)
            checked += 1
        if "level" in raw and "water_table" in made:
            assert abs(made["water_table"]["value"] - (point["params"]["sensor_depth"] - made["level"]["value"])) < 1e-9, row
    assert checked > 5


def test_providers_are_healthy_and_health_is_ok():
    daemon = state["daemon"]
    names = {p["name"]: p for p in daemon.http.get("/providers")["items"]}
    assert {"twin", "nettra", "novus"} <= set(names), names
    status, body, _ = daemon.http.raw("GET", "/health")
    assert status == 200 and json.loads(body)["status"] == "ok", body


def test_without_a_key_nothing_but_health_is_told():
    daemon = state["daemon"]
    nobody = hydrolab.Http(daemon.port)
    for path, expected in (("/health", 200), ("/livez", 200), ("/readyz", 200), ("/providers", 401), ("/api/v1/points/", 401), ("/metrics", 401)):
        status, body, headers = nobody.raw("GET", path)
        assert status == expected, (path, status, body)
        if expected == 401:
            kind = {k.lower(): v for k, v in headers.items()}["content-type"]
            assert kind.startswith("application/problem+json"), headers


def test_a_point_changes_live_and_a_stale_write_is_refused():
    daemon = state["daemon"]
    point = next(iter(daemon.points().values()))
    path = f"/api/v1/points/{point['id']}"
    status, body, headers = daemon.http.raw("GET", path)
    tag = {k.lower(): v for k, v in headers.items()}["etag"]
    status, body, _ = daemon.http.raw("PATCH", path, json.dumps({"params": {"sensor_depth": 99.5}}), "application/json", {"If-Match": tag})
    assert status == 200, body
    status, body, _ = daemon.http.raw("PATCH", path, json.dumps({"params": {"sensor_depth": 1}}), "application/json", {"If-Match": tag})
    assert status == 412, body

    status, body, _ = daemon.http.raw("PATCH", path, json.dumps({"params": {"sensor_depth": "deep"}}), "application/json")
    assert status == 422 and b"sensor_depth" in body, body

    def new_depth():
        rows = daemon.history(point["id"], int(time.time() * 1000) - 120000, int(time.time() * 1000) + 60000)
        return any("water_table" in r["values"] and abs(r["values"]["water_table"]["value"] - (99.5 - r["values"]["level"]["value"])) < 1e-9
                   for r in rows)
    wait_until(new_depth, 90, "a measurement with the new sensor depth")


def test_secrets_are_in_no_answer_no_log_and_no_plain_file():
    daemon, sim = state["daemon"], state["sim"]
    secrets = [a["password"] for a in sim.http.get("/sim/accounts") if a.get("password") and a["provider"] == "twin"]
    listed = sim.http.get("/sim/points?limit=1000")["points"]
    for point in listed:
        secrets += [v for k, v in point["options"].items() if k in ("device", "thing", "device_token")]
    answers = []
    for path in ("/api/v1/points/?limit=1000", "/api/v1/accounts/", "/providers", "/admin/v1/config", "/admin/v1/instances/", "/metrics", "/health"):
        answers.append(daemon.http.raw("GET", path)[1].decode(errors="replace"))
    point = next(iter(daemon.points().values()))
    answers.append(daemon.http.raw("POST", f"/api/v1/points/{point['id']}/collect?dry=true", b"")[1].decode(errors="replace"))
    texts = "".join(answers) + daemon.log_text()
    for secret in secrets:
        assert secret not in texts, "a secret is in an answer or the log"
    for path in (daemon.folder / "data").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(secret.encode() in data for secret in secrets), f"a secret is plain in {path}"


def test_the_command_line_shows_what_there_is():
    daemon = state["daemon"]
    point = next(iter(daemon.points().values()))
    assert "state: ok" in ctl("status").stdout
    assert "twin" in ctl("providers").stdout
    assert point["name"] in ctl("points", "list", "--limit", 100).stdout
    assert json.loads(ctl("--json", "points", "show", point["id"]).stdout)["id"] == point["id"]
    history = ctl("history", point["id"])
    assert "flow" in history.stdout and len(history.stdout.splitlines()) > 5
    assert "┤" in ctl("history", point["id"], "--metric", "flow", "--plot").stdout
    assert ctl("aggregates", point["id"], "--period", "hour").stdout.count("flow") >= 1
    dry = json.loads(ctl("--json", "collect", "--point", point["id"], "--dry").stdout)
    assert dry["requests"] and dry["readings"] and dry["pipeline"]["readings"][0]["steps"], dry
    assert "well" in ctl("pipelines", "list").stdout
    assert "twin" in ctl("plugins").stdout
    assert ctl("points", "show", "00000000-0000-4000-8000-000000000000", ok=False).returncode == 1
    assert ctl("no-such-command", ok=False).returncode == 2
    assert ctl("check-config", daemon.config).returncode == 0


def test_openapi_names_every_route_and_the_page_is_there():
    daemon = state["daemon"]
    paths = daemon.http.get("/openapi.json")["paths"]
    for path in ("/health", "/providers", "/collect/{provider}", "/status/{provider}", "/api/v1/points/", "/api/v1/points/{id}/config",
                 "/api/v1/analytics/points/{id}/history", "/api/v1/analytics/points/{id}/realtime", "/api/v1/analytics/points/{id}/aggregates"):
        assert path in paths or path.rstrip("/") in paths, path
    status, body, _ = hydrolab.Http(daemon.port).raw("GET", "/")
    assert status == 200 and b"<html" in body.lower()


def test_it_stops_orderly_and_starts_again_with_all_it_had():
    daemon, sim = state["daemon"], state["sim"]
    served = hydrolab.served_accounts(sim, POINTS)
    readings, lost = hydrolab.count_lost(daemon, served)
    assert not lost
    assert daemon.stop() == 0, daemon.log_text()[-2000:]
    state["daemon"] = daemon = hydrolab.Daemon(state["folder"] / "hydrod", sim.port)
    again, lost = hydrolab.count_lost(daemon, served)
    assert again == readings and not lost, lost[:10]
    for point in list(daemon.points().values())[:10]:
        stamps = [row["ts"] for row in daemon.history(point["id"], int(time.time() * 1000) - 3700000, int(time.time() * 1000) + 60000)]
        assert len(stamps) == len(set(stamps)), "a timestamp is there twice"
    assert daemon.stop() == 0
    sim.stop()
    hydrolab.remove(state["folder"])


e2e.main(globals())
