#!/usr/bin/env python3
"""A detector on a running daemon: its flags, its memory over a restart, its refusals, and what is left when it brings the daemon down."""
import json
import math
import shutil
import time

import e2e
from e2e import hydrolab, wait_until

START = (int(time.time()) // 3600 - 40 * 24) * 3600
state = {}
ANALYTICS = "  analytics = { anomaly = { options = { learn = 100, rest = 20 } }, watch = { plugin = 'detector' } },"


def start(**options):
    return hydrolab.Daemon(state["folder"] / "hydrod", 9, extra=ANALYTICS, pipelines=state["lua"] / "pipelines", plugin_dirs=(state["plugins"],), **options)


def iso(i):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + i * 900))


def feed(point, first, values):
    rows = [{"ts": iso(first + i), "values": {"flow": value}} for i, value in enumerate(values)]
    return state["daemon"].http.call("POST", f"/api/v1/points/{point}/readings", {"readings": rows})["accepted"]


def row(point, i):
    found = state["daemon"].history(point, (START + i * 900) * 1000, (START + i * 900) * 1000 + 1)
    assert len(found) == 1, found
    return {**found[0], "flags": [f for f in found[0]["flags"] if f["flag"] != "manual"]}


def calm(i):
    return 10 + 3 * math.sin(i / 96 * 2 * math.pi) + (i * 7919 % 101) / 101


def metric(name, instance):
    _, text, _ = state["daemon"].http.raw("GET", "/metrics")
    return next(float(line.split()[-1]) for line in text.decode().splitlines() if line.startswith(name) and f'instance="{instance}"' in line)


def body(name, params, provider="novus"):
    return {"name": name, "provider": provider, "pipeline": "well", "active": False, "options": {"device_token": "made-up", "keys": {"flow": "f"}}, "params": params}


def make(name, params):
    return state["daemon"].http.call("POST", "/api/v1/points/", body(name, params))["id"]


def test_a_point_names_its_detector():
    fixtures = hydrolab.build_dir() / "fixtures"
    if not (fixtures / "detector.so").exists():
        raise e2e.Skip("the fixture detector is not built")
    state["folder"] = hydrolab.folder_for("detect")
    state["lua"] = state["folder"] / "lua"
    shutil.copytree(hydrolab.ROOT / "scripts" / "lua", state["lua"])
    state["plugins"] = state["folder"] / "plugins"
    state["plugins"].mkdir()
    (state["plugins"] / "detector.so").symlink_to(fixtures / "detector.so")
    state["daemon"] = start()
    names = {i["name"]: i for i in state["daemon"].http.get("/admin/v1/instances/")["items"]}
    assert names["anomaly"]["plugin"] == "anomaly" and names["watch"]["plugin"] == "detector", names
    state["calm"] = make("calm", {"detect": "anomaly", "flow_granted": 40})
    state["watched"] = make("watched", {"detect": "watch"})


def test_an_instance_that_is_not_there_is_refused_with_the_nearest_name():
    def refused(what):
        status, answer, _ = state["daemon"].http.raw("POST", "/api/v1/points/", json.dumps(what).encode(), "application/json")
        assert 400 <= status < 500, (status, answer)
        return answer.decode()
    answer = refused(body("x", {"detect": "anomly"}))
    assert "there is no instance `anomly`" in answer and "did you mean `anomaly`" in answer, answer
    answer = refused(body("x", {}, provider="anomaly"))
    assert "there is no provider" in answer, answer


def test_what_is_odd_is_flagged_by_plugin_and_version():
    point = state["calm"]
    assert feed(point, 0, [calm(i) for i in range(600)]) == 600
    assert feed(point, 600, [39]) == 1
    odd = wait_until(lambda: row(point, 600), 10, "the reading")
    flag = next(f for f in odd["flags"] if f["flag"] == "anomaly")
    assert flag["metric"] == "flow" and flag["rule"].startswith("plugin anomaly 1.") and flag["rule"].endswith("/detect:anomaly/flow"), flag
    assert odd["values"]["flow"] == {"value": 39, "unit": "l/s", "quality": 0.5}, odd
    assert "fileable" in odd["notes"], odd
    quiet = state["daemon"].history(point, (START + 200 * 900) * 1000, (START + 600 * 900) * 1000)
    assert len(quiet) == 400 and not any(f["flag"] == "anomaly" for r in quiet for f in r["flags"]), quiet[:3]
    assert metric("hydro_detect_samples_total", "anomaly") == 601


def test_its_memory_outlives_a_restart():
    point = state["calm"]
    state["daemon"].stop()
    state["daemon"] = start()
    # What has learned for 601 readings judges at once; one that began anew would be silent for a hundred.
    assert feed(point, 601, [calm(i) for i in range(601, 640)] + [-5]) == 40
    assert any(f["flag"] == "anomaly" for f in row(point, 640)["flags"]), row(point, 640)


def test_one_that_brings_the_daemon_down_is_not_run_again_and_its_points_go_on():
    point = state["watched"]
    assert feed(point, 0, [50, 150]) == 2
    assert [f["flag"] for f in row(point, 1)["flags"]] == ["anomaly"]
    try:
        feed(point, 2, [1005])
    except Exception:  # noqa: BLE001 - the daemon is gone
        pass
    wait_until(lambda: not state["daemon"].alive(), 20, "the crash")
    assert state["daemon"].process.returncode < 0
    state["daemon"] = start()
    assert "analytics_not_started" in state["daemon"].log_text()
    assert feed(point, 2, [1005, 150]) >= 1
    after = row(point, 3)
    assert [f["flag"] for f in after["flags"]] == ["unannotated"] and after["values"]["flow"] == {"value": 150, "unit": "l/s", "quality": 1}, after
    health = state["daemon"].http.get("/health")
    assert health["status"] == "degraded" and "watch" in str(health), health
    assert feed(state["calm"], 641, [calm(641)]) == 1 and not row(state["calm"], 641)["flags"]


def test_it_ends_in_order():
    assert state["daemon"].stop() == 0


if __name__ == "__main__":
    e2e.main(globals())
