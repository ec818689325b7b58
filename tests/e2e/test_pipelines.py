#!/usr/bin/env python3
"""Pipelines edited on a running daemon: nothing is lost, what is wrong is refused with its place, the past can be tried and run again."""
import json
import os
import pty
import select
import shutil
import subprocess
import threading
import time

import e2e
from e2e import hydrolab, wait_until

POINTS = 40
READINGS = 50      # of one request
ROUNDS = 12        # requests a point
START = (int(time.time()) - 40 * 86400) * 1000
state = {}


def ctl(*arguments, code=0, cwd=None, typed=None):
    daemon = state["daemon"]
    env = dict(os.environ, HYDRO_URL=f"http://127.0.0.1:{daemon.port}", HYDRO_API_KEY=daemon.key, NO_COLOR="1")
    run = subprocess.run([str(hydrolab.build_dir() / "bin" / "hydroctl"), *map(str, arguments)], capture_output=True, text=True, env=env, timeout=60, cwd=cwd, input=typed)
    assert run.returncode == code, f"hydroctl {arguments}: {run.returncode}\n{run.stdout}{run.stderr}"
    return run.stdout + run.stderr


def request(method, path, body=None, content_type=None, headers=None, http=None):
    status, data, headers = (http or state["daemon"].http).raw(method, path, body.encode() if isinstance(body, str) else body, content_type, headers)
    return status, json.loads(data) if data else None, {name.lower(): value for name, value in headers.items()}


def put(text, query="", **headers):
    return request("PUT", f"/admin/v1/pipelines/bench{query}", text, "text/plain", {name.replace("_", "-"): value for name, value in headers.items()})


def script(limit, litres=10, extra=""):
    return f"""return pipeline {{
  name = "bench",
  samples = {{ {{}} }},
  build = function (point)
    return {{
      counter {{ from = "pulses", to = "total", litres_per_pulse = {litres} }},
      rate {{ from = "total", to = "flow" }},
      range {{ "flow", max = {limit} }},{extra}
    }}
  end,
}}
"""


def live():
    return next(p for p in state["daemon"].http.get("/admin/v1/pipelines/")["items"] if p["name"] == "bench")


def window(point, **more):
    return json.dumps({"point": point, "from": rfc3339(0), "to": rfc3339(READINGS * ROUNDS), **more})


def rfc3339(minute):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START / 1000 + minute * 60))


def feed(http, point, number):
    """The next readings of a point: 6 pulses of 10 l a minute = 1 l/s."""
    first = number * READINGS
    rows = [{"ts": rfc3339(first + i), "values": {"pulses": (first + i + 1) * 6}} for i in range(READINGS)]
    answer = http.call("POST", f"/api/v1/points/{point}/readings", {"readings": rows})
    return answer["accepted"]


def test_forty_points_are_there():
    state["folder"] = hydrolab.folder_for("pipelines")
    lua = state["folder"] / "lua"
    shutil.copytree(hydrolab.ROOT / "scripts" / "lua", lua)
    (lua / "pipelines" / "bench.lua").write_text(script(100))
    state["file"] = lua / "pipelines" / "bench.lua"
    state["sim"] = hydrolab.Sim(state["folder"], "--points", 6, "--threads", 1)
    daemon = state["daemon"] = hydrolab.Daemon(state["folder"] / "hydrod", state["sim"].port, pipelines=lua / "pipelines")
    daemon.import_from(state["sim"], period=10)
    like = next(p for p in daemon.points().values() if p["provider"] == "novus")
    options = {key: "made-up" if value == "***" else value for key, value in like["options"].items()}
    state["points"] = []
    for i in range(POINTS):
        made = daemon.http.call("POST", "/api/v1/points/", {"name": f"P{i}", "provider": "novus", "account": like["account"], "options": options,
                                                           "pipeline": "bench", "active": False, "params": {}})
        state["points"].append(made["id"])
    wait_until(lambda: live()["points"] == POINTS, 20, "the points have their pipeline")


def test_edits_under_load_lose_nothing():
    daemon, points = state["daemon"], state["points"]
    accepted, failed = [0] * POINTS, []

    def load(worker):
        http = hydrolab.Http(daemon.port, daemon.key)
        try:
            for number in range(ROUNDS):
                for i in range(worker, POINTS, 4):
                    accepted[i] += feed(http, points[i], number)
        except Exception as why:  # noqa: BLE001 - told by the test
            failed.append(why)
    threads = [threading.Thread(target=load, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    edits, version = 0, live()["version"]
    while any(thread.is_alive() for thread in threads) or edits < 3:
        status, answer, _ = put(script(100 + edits + 1), f"?reason=edit%20{edits}")
        assert status == 200 and answer["result"] == "live" and answer["points"] == POINTS and answer["lost"] == 0, answer
        edits += 1
        assert answer["version"] == version + edits, answer
    for thread in threads:
        thread.join()
    assert not failed, failed
    assert accepted == [READINGS * ROUNDS] * POINTS, accepted
    generations = set()
    for point in points:
        rows = daemon.history(point, START, START + READINGS * ROUNDS * 60000)
        assert len(rows) == READINGS * ROUNDS, (point, len(rows))
        generations |= {row["pipeline"] for row in rows}
        for i, row in enumerate(rows):
            assert abs(row["values"]["total"]["value"] - (i + 1) * 0.06) < 1e-9, (i, row)
            assert i == 0 or abs(row["values"]["flow"]["value"] - 1) < 1e-9, (i, row)
    assert len(generations) > 1, f"{edits} edits, but one generation made all: {generations}"
    state["edits"] = edits
    print(f"   {edits} edits over {POINTS * READINGS * ROUNDS} readings, {len(generations)} generations made them")


def test_the_script_is_read_back_with_its_hash():
    status, answer, headers = request("GET", "/admin/v1/pipelines/bench")
    assert status == 200 and headers["etag"] == f'"{answer["hash"]}"' and answer["source"] == state["file"].read_text(), answer
    status, _, _ = put(script(1), If_Match='"0123456789abcdef"')
    assert status == 412
    status, changed, _ = put(script(50), "?author=ana&reason=limit", If_Match=headers["etag"])
    assert status == 200, changed
    newest = state["daemon"].http.get("/admin/v1/pipelines/bench/versions")["items"][0]
    assert newest["author"] == "ana" and newest["reason"] == "limit" and newest["version"] == changed["version"], newest
    assert state["daemon"].http.get(f"/admin/v1/pipelines/bench/versions/{newest['version']}")["source"] == script(50)


def test_a_broken_script_is_refused_with_its_place_and_what_ran_runs_on():
    before, text = live(), state["file"].read_text()
    status, problem, _ = put(script(50, extra='\n      rnge { "flow", max = 1 },'))
    assert status == 422, problem
    row = problem["errors"][0]
    assert "bench.lua:9" in row["field"] and "rnge" in row["detail"] and "range" in row["detail"], problem
    status, problem, _ = put(script(50) + "(")
    assert status == 422 and "bench.lua:12" in problem["errors"][0]["field"], problem
    status, problem, _ = put(script(50).replace("samples", "selftest = function (t) t:equal(1, 2, 0, 'one is two') end, samples"))
    assert status == 422 and "one is two" in json.dumps(problem), problem
    assert live() == before and state["file"].read_text() == text
    assert feed(state["daemon"].http, state["points"][0], ROUNDS) == READINGS


def test_one_call_goes_back_to_the_version_before():
    old = state["daemon"].http.get("/admin/v1/pipelines/bench")
    assert put(script(7))[0] == 200
    status, answer, _ = request("POST", "/admin/v1/pipelines/bench/rollback?reason=too%20low", "", None)
    assert status == 200 and answer["hash"] == old["hash"] and answer["lost"] == 0, answer
    assert state["file"].read_text() == old["source"]


def test_a_dry_run_shows_what_would_differ_and_touches_nothing():
    point = state["points"][3]
    history = f"/api/v1/analytics/points/{point}/history?from={START}&to={START + READINGS * ROUNDS * 60000}&limit=10000&revisions=true"
    before = state["daemon"].http.get(history)
    status, same, _ = request("POST", "/admin/v1/pipelines/bench/dry-run", window(point), "application/json")
    assert status == 200 and same["summary"]["readings"] == READINGS * ROUNDS and same["summary"]["changed"] == 0, same["summary"]
    status, answer, _ = request("POST", "/admin/v1/pipelines/bench/dry-run", window(point, source=script(0.5)), "application/json")
    assert status == 200, answer
    assert answer["summary"]["flags_added"] == READINGS * ROUNDS - 1, answer["summary"]
    status, answer, _ = request("POST", "/admin/v1/pipelines/bench/dry-run", window(point, source=script(50, litres=20)), "application/json")
    largest = answer["summary"]["metrics"]["total"]["largest"]
    assert abs(largest["difference"] - READINGS * ROUNDS * 0.06) < 1e-9 and answer["more"] == READINGS * ROUNDS - 500, answer["summary"]
    status, problem, _ = request("POST", "/admin/v1/pipelines/bench/dry-run", window(point, source="return pipeline {"), "application/json")
    assert status == 422 and problem["errors"], problem
    assert state["daemon"].http.get(history) == before


def test_a_window_run_again_after_a_fix_gives_revisions():
    point = state["points"][5]
    assert put(script(50, litres=20))[0] == 200
    status, answer, _ = request("POST", "/admin/v1/pipelines/bench/reprocess", window(point), "application/json")
    assert status == 200 and answer["readings"] == READINGS * ROUNDS and answer["revisions"] == READINGS * ROUNDS, answer
    end = START + READINGS * ROUNDS * 60000
    rows = state["daemon"].history(point, START, end)
    assert len(rows) == READINGS * ROUNDS and all(row["rev"] == 1 for row in rows), rows[:2]
    assert abs(rows[-1]["values"]["total"]["value"] - READINGS * ROUNDS * 0.12) < 1e-9, rows[-1]
    both = state["daemon"].http.get(f"/api/v1/analytics/points/{point}/history?from={START}&to={end}&limit=10000&revisions=true")["items"]
    assert len(both) == 2 * len(rows) and abs(both[0]["values"]["total"]["value"] - 0.06) < 1e-9, both[:2]
    status, answer, _ = request("POST", "/admin/v1/pipelines/bench/reprocess", window(point), "application/json")
    assert answer["revisions"] == 0, answer
    status, answer, _ = request("POST", "/admin/v1/pipelines/well/reprocess", window(point), "application/json")
    assert status == 409, answer


def test_the_past_of_all_points_is_run_again_in_slices():
    path, span = "/admin/v1/pipelines/bench/reprocess", {"from": rfc3339(0), "to": rfc3339(READINGS * ROUNDS)}
    assert put(script(0.5, litres=10))[0] == 200
    assert request("GET", path)[0] == 404
    status, job, _ = request("POST", path, json.dumps(span), "application/json")
    assert status == 202 and job["state"] == "running" and job["points"] == POINTS, job
    done = wait_until(lambda: (lambda now: now if now["state"] != "running" else None)(request("GET", path)[1]), 60, "all points are run again")
    assert done["state"] == "done" and done["points_done"] == POINTS and done["points_failed"] == 0 and done["readings"] == POINTS * READINGS * ROUNDS, done
    assert done["revisions"] >= (POINTS - 1) * (READINGS * ROUNDS - 1), done
    rows = state["daemon"].history(state["points"][6], START, START + READINGS * ROUNDS * 60000)
    assert len(rows) == READINGS * ROUNDS and all(row["rev"] == 1 for row in rows[1:]), rows[:2]
    assert "out_of_range" in [flag["flag"] for flag in rows[-1]["flags"]], rows[-1]
    text = ctl("pipelines", "reprocess", "bench", "--from", span["from"], "--to", span["to"])
    assert f"done, {POINTS} of {POINTS} points, {POINTS * READINGS * ROUNDS} readings run again, 0 revisions" in text, text
    assert "running" in ctl("pipelines", "reprocess", "bench", "--from", span["from"], "--to", span["to"], "--no-wait")
    ctl("pipelines", "reprocess", "bench", "--cancel")
    wait_until(lambda: request("GET", path)[1]["state"] in ("cancelled", "done"), 30, "it has ended")
    assert json.loads(ctl("--json", "pipelines", "reprocess", "bench", "--state"))["pipeline"] == "bench"
    assert put(script(50, litres=10))[0] == 200
    assert "done, " in ctl("pipelines", "reprocess", "bench", "--from", span["from"], "--to", span["to"])
    assert request("POST", "/admin/v1/pipelines/none/reprocess", json.dumps(span), "application/json")[0] == 404
    ctl("pipelines", "reprocess", "bench", code=2)


def test_lua_is_tried_on_recent_readings_a_line_at_a_time():
    point, history = "P9", f"/api/v1/analytics/points/{state['points'][9]}/history?from={START}&to={START + READINGS * ROUNDS * 60000}&limit=10000&revisions=true"
    before = state["daemon"].http.get(history)
    text = ctl("pipelines", "repl", point, "--eval", "flow * 3.6", "--limit", 5)
    assert text.count("  3.6\n") == 5 and "5 numbers from 3.6 to 3.6, mean 3.6" in text, text
    text = ctl("pipelines", "repl", point, typed="""local function hourly (x) return x * 3600 end
hourly(flow)
:limit 2
range { "flow", max = 0.5 }
state.sum = (state.sum or 0) + 1 \\
volume = state.sum
:locals
:quit
never reached
""")
    assert text.count("  3600\n") == 10 and text.count("+flow out_of_range") == 2 and "volume = 2" in text and "local function hourly" in text, text
    wrong = ctl("pipelines", "repl", point, typed="rate { form = 'total', to = 'flow' }\n", code=1)
    assert "line:1:8: " in wrong and "did you mean 'from'" in wrong, wrong
    answer = json.loads(ctl("--json", "pipelines", "repl", point, "--eval", "while true do end"))
    assert answer["stopped"] and answer["faults"] == 3 and "ms of CPU time" in answer["readings"][0]["fault"], answer
    ctl("pipelines", "repl", point, "--limit", "none", code=2)
    assert state["daemon"].http.get(history) == before


def test_at_a_terminal_lines_are_edited_and_completed():
    daemon, (parent, child) = state["daemon"], pty.openpty()
    env = dict(os.environ, HYDRO_URL=f"http://127.0.0.1:{daemon.port}", HYDRO_API_KEY=daemon.key, TERM="vt100", HYDRO_TEST="1")
    run = subprocess.Popen([str(hydrolab.build_dir() / "bin" / "hydroctl"), "pipelines", "repl", "P9", "--limit", "3"], stdin=child, stdout=child, stderr=child, env=env)
    os.close(child)
    seen = ""

    def until(text):
        nonlocal seen
        while text not in seen:
            assert select.select([parent], [], [], 30)[0], f"{text!r} is not in {seen!r}"
            seen += os.read(parent, 4096).decode(errors="replace")
        seen = seen[seen.index(text) + len(text):]
    until("nothing is stored")
    until("> ")
    os.write(parent, b"wat\t or flow * 36\x7f\n")
    until("er_table")  # what was typed stays as it is
    until("3 numbers from 3 to 3")
    os.write(parent, b":quit\n")
    assert run.wait(20) == 0
    os.close(parent)


def test_a_canary_runs_on_a_share_of_the_points():
    status, answer, _ = put(script(60), "?share=30")
    assert status == 200 and answer["result"] == "canary", answer
    assert live()["canary"]["share"] == 30, live()
    status, answer, _ = put(script(61))
    assert status == 200 and answer["result"] == "live" and "canary" not in live(), answer


def test_a_changed_file_goes_live_by_itself_and_a_wrong_one_does_not():
    state["file"].write_text(script(70))
    wait_until(lambda: state["daemon"].http.get("/admin/v1/pipelines/bench")["source"] == script(70), 20, "the new file is live")
    state["file"].write_text("return pipeline {")
    wait_until(lambda: "pipeline_refused" in state["daemon"].log_text(), 20, "the wrong file is told")
    assert state["daemon"].http.get("/admin/v1/pipelines/bench")["source"] == script(70)
    status, problem, _ = request("POST", "/admin/v1/pipelines/bench/reload", "", None)
    assert status == 422 and "bench.lua" in problem["errors"][0]["field"], problem
    state["file"].write_text(script(71))
    status, answer, _ = request("POST", "/admin/v1/pipelines/bench/reload?force=true", "", None)
    assert status == 200, answer


def test_a_new_pipeline_is_written_checked_and_put_on_the_command_line():
    folder = state["folder"]
    ctl("pipelines", "new", "orchard", cwd=folder)
    ctl("pipelines", "new", "orchard", cwd=folder, code=1)
    assert "good" in ctl("pipelines", "check", "orchard.lua", cwd=folder)
    assert "live" in ctl("pipelines", "put", "orchard.lua", "--reason", "first", cwd=folder)
    (folder / "frozen.lua").write_text(script(50, extra='\n      frozen { "total", readings = 4 },'))
    text = ctl("pipelines", "put", "frozen.lua", "--name", "bench", cwd=folder)
    assert f"{POINTS} points, " in text and "0 readings in, 0 out, lost 0" in text and f"anew of {POINTS}: frozen:total" in text, text
    assert ctl("pipelines", "show", "orchard") == (folder / "orchard.lua").read_text()
    (folder / "bad.lua").write_text(script(1).replace("range", "rnge"))
    assert "bench.lua:8" in ctl("pipelines", "put", "bad.lua", "--name", "bench", cwd=folder, code=1)
    (folder / "low.lua").write_text(script(0.5))
    span = {"from": rfc3339(0), "to": rfc3339(READINGS * ROUNDS)}
    text = ctl("pipelines", "dry-run", "bench", "P7", "low.lua", "--from", span["from"], "--to", span["to"], cwd=folder)
    assert "599 would differ" in text and "+flow out_of_range" in text, text
    text = ctl("pipelines", "dry-run", "bench", "low.lua", "--points", 4, "--from", span["from"], "--to", span["to"], cwd=folder)
    assert text.count(" readings, ") == 5 and f"4 points: {4 * READINGS * ROUNDS} readings" in text, text
    text = ctl("pipelines", "reprocess", "bench", "P8", "--from", span["from"], "--to", span["to"])
    assert "600 readings run again" in text, text
    ctl("pipelines", "new", "grove", "--like", "well", cwd=folder)
    assert 'name = "grove"' in (folder / "grove.lua").read_text()
    assert "good; " in ctl("pipelines", "check", "grove.lua", cwd=folder)
    ctl("pipelines", "new", "copse", "--like", "none", cwd=folder, code=1)
    assert not (folder / "copse.lua").exists()


def test_one_reading_is_shown_step_by_step():
    folder, at = state["folder"], rfc3339(READINGS * ROUNDS)
    text = ctl("pipelines", "dry-run", "bench", "P10", "--reading", f"pulses={(READINGS * ROUNDS + 1) * 6}", "--at", at)
    assert "counter:total" in text and "total 36.06" in text and "flow 1" in text and "out_of_range" not in text, text
    (folder / "strict.lua").write_text(script(0.5))
    text = ctl("pipelines", "dry-run", "bench", "P10", "strict.lua", "--reading", f"pulses={(READINGS * ROUNDS + 1) * 6},level=3", "--at", at, cwd=folder)
    assert "out_of_range" in text and "level 3 m" in text, text
    assert "there is no such metric" in ctl("pipelines", "dry-run", "bench", "P10", "--reading", "plses=1", code=1)
    ctl("pipelines", "dry-run", "bench", "P10", "--reading", "pulses", code=2)
    assert len(state["daemon"].history(state["points"][10], START, START + (READINGS * ROUNDS + 9) * 60000)) == READINGS * ROUNDS


def test_parameters_that_make_no_plan_are_refused_at_the_door():
    daemon, point = state["daemon"], state["points"][11]
    for change, words in (({"pipeline": "well", "params": {"litres_per_pulse": -5}}, ("lib/water.lua: line ", "`litres_per_pulse` = -5 is out of")),
                          ({"pipeline": "well", "params": {"sensor_depth": "deep"}}, ("well.lua", "`sensor_depth` must be a number")),
                          ({"pipeline": "wel"}, ('did you mean "well"?',))):
        status, problem, _ = request("PATCH", f"/api/v1/points/{point}", json.dumps(change), "application/merge-patch+json")
        assert status == 422 and all(word in problem["detail"] or word.replace("well.lua", "well@") in problem["detail"] for word in words), problem
    assert daemon.http.get(f"/api/v1/points/{point}")["pipeline"] == "bench"


def test_a_step_that_is_switched_off_is_an_alarm():
    assert put(script(50, extra="\n      function (m, state, point) if point.name == 'P12' then while true do end end end,"))[0] == 200
    http, point = state["daemon"].http, state["points"][12]
    for number in range(4):
        first = READINGS * ROUNDS + number
        http.call("POST", f"/api/v1/points/{point}/readings", {"readings": [{"ts": rfc3339(first), "values": {"pulses": (first + 1) * 6}}]})
    health = http.raw("GET", "/health")
    assert "1 Lua steps of points are switched off" in health[1].decode(), health
    assert "hydro_steps_off 1" in http.raw("GET", "/metrics")[1].decode()
    rows = state["daemon"].history(point, START + READINGS * ROUNDS * 60000, START + (READINGS * ROUNDS + 9) * 60000, raw=True)
    assert [("unprocessed" in row["notes"]) for row in rows] == [True, True, True, False], rows
    assert put(script(50))[0] == 200
    assert "switched off" not in http.raw("GET", "/health")[1].decode()
    span = {"from": rfc3339(READINGS * ROUNDS), "to": rfc3339(READINGS * ROUNDS + 9)}
    assert "4 readings run again: 3 revisions" in ctl("pipelines", "reprocess", "bench", "P12", "--from", span["from"], "--to", span["to"])


def test_edits_are_refused_where_the_folder_comes_from_version_control():
    state["daemon"].stop()
    lua = state["folder"] / "lua" / "pipelines"
    daemon = state["daemon"] = hydrolab.Daemon(state["folder"] / "hydrod", state["sim"].port, pipelines=lua,
                                               extra=f"  pipelines = {{ dir = {str(lua)!r}, edit = 'refuse' }},")
    text = state["file"].read_text()
    status, problem, _ = put(script(5))
    assert status == 403 and state["file"].read_text() == text, problem
    assert daemon.http.get("/admin/v1/pipelines/bench")["source"] == text


def test_it_ends_in_order():
    state["daemon"].stop()
    state["sim"].stop()
    hydrolab.remove(state["folder"])


if __name__ == "__main__":
    e2e.main(globals())
