#!/usr/bin/env python3
"""A work measured by two points: a derived point sums them, also over restarts and kill -9, and makes up nothing."""
import json
import time

import e2e
from e2e import hydrolab, wait_until

START = (int(time.time()) // 3600 - 24) * 3600
state = {}


def start():
    state["daemon"] = hydrolab.Daemon(state["folder"] / "hydrod", 9)


def make(name, provider, pipeline, options, params=None):
    body = {"name": name, "provider": provider, "pipeline": pipeline, "active": False, "options": options, "params": params or {}}
    return state["daemon"].http.call("POST", "/api/v1/points/", body)["id"]


def iso(minute):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + minute * 60))


def feed(point, minute, total):
    return state["daemon"].http.call("POST", f"/api/v1/points/{point}/readings", {"readings": [{"ts": iso(minute), "values": {"total": total}}]})


def sums():
    rows = state["daemon"].history(state["sum"], START * 1000, (START + 86400) * 1000)
    return {row["ts"]: row["values"].get("total", {}).get("value") for row in rows}


def test_the_points_are_there():
    state["folder"] = hydrolab.folder_for("derived")
    start()
    logger = {"device_token": "made-up", "keys": {"total": "t"}}
    state["a"], state["b"] = make("a", "novus", "", logger), make("b", "novus", "", logger)
    state["sum"] = make("sum", "derived", "sum_of_points", {"sources": {"total_1": state["a"] + "/total", "total_2": state["b"] + "/total"}}, {"points": 2})
    shown = state["daemon"].http.get(f"/api/v1/points/{state['sum']}")
    assert shown["options"]["sources"]["total_2"] == state["b"] + "/total", shown


def test_wrong_sources_are_refused():
    def refused(sources):
        body = {"name": "x", "provider": "derived", "pipeline": "sum_of_points", "active": False, "options": {"sources": sources}}
        status, answer, _ = state["daemon"].http.raw("POST", "/api/v1/points/", json.dumps(body).encode(), "application/json")
        assert 400 <= status < 500, (status, answer)
        return answer.decode()
    assert "there is no point" in refused({"a": "00000000-0000-4000-8000-000000000000/total"})
    assert "is derived itself" in refused({"a": state["sum"] + "/total"})
    assert "is wanted" in refused({"a": "total"})


def test_what_both_measured_is_summed_and_a_gap_stays_one():
    for minute in range(0, 60, 10):
        feed(state["a"], minute, 100 + minute)
        if minute != 30:
            feed(state["b"], minute, 1000)
    wait_until(lambda: sums().get(iso(50)) == 1150, 20, "the sum")
    assert [sums()[iso(m)] for m in range(0, 60, 10)] == [1100, 1110, 1120, None, 1140, 1150], sums()


def test_it_goes_on_after_a_restart_and_after_a_kill():
    state["daemon"].stop()
    start()
    feed(state["a"], 60, 160)
    feed(state["b"], 60, 1000)
    wait_until(lambda: sums().get(iso(60)) == 1160, 20, "the sum after a restart")
    for minute in range(70, 130, 10):
        feed(state["a"], minute, 100 + minute)
        feed(state["b"], minute, 1000)
    state["daemon"].process.kill()
    state["daemon"].process.wait()
    start()
    wait_until(lambda: sums().get(iso(120)) == 1220, 20, "what was measured before the kill is summed after it")
    assert [sums()[iso(m)] for m in range(70, 130, 10)] == [1100 + m for m in range(70, 130, 10)], sums()
    feed(state["b"], 30, 1000)
    wait_until(lambda: sums().get(iso(30)) == 1130, 20, "late data fills the gap")


def test_it_ends_in_order():
    assert state["daemon"].stop() == 0


if __name__ == "__main__":
    e2e.main(globals())
