#!/usr/bin/env python3
"""hydroctl as its users have it: against a running daemon, in bash, in the manual; and what an install puts in place."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import e2e
from e2e import Skip, hydrolab, wait_until

POINTS = 9
BIN = hydrolab.build_dir() / "bin"
MAN = hydrolab.build_dir() / "man"
state = {}


def ctl(*arguments, code=0, env=None, text=None):
    """Standard output; the exit status must be `code`. The last standard error is in state."""
    daemon = state.get("daemon")
    given = dict(os.environ, NO_COLOR="1")
    if daemon:
        given.update(HYDRO_URL=f"http://127.0.0.1:{daemon.port}", HYDRO_API_KEY=daemon.key)
    given.update(env or {})
    run = subprocess.run([str(BIN / "hydroctl"), *map(str, arguments)], capture_output=True, text=True, env=given, timeout=60, input=text or "")
    assert run.returncode == code, f"hydroctl {arguments}: {run.returncode}, not {code}\n{run.stdout}{run.stderr}"
    state["stderr"] = run.stderr
    return run.stdout


def calls():
    """["points import FILE", …] of hydroctl --help."""
    table = ctl("--help").split("COMMAND …\n")[1].split("\n  --url")[0]
    return [re.match(r"  (\S.*?)  +", line)[1] for line in table.splitlines() if line.strip()]


def commands():
    """Their names, without arguments."""
    return [re.match(r"[a-z-]+( [a-z-]+(?![|.\w]))?", call)[0] for call in calls()]


def test_each_command_is_in_the_manual_and_each_setting_too():
    page = re.sub(r"\\f[BIR]", "", (MAN / "hydroctl.1").read_text()).replace("\\-", "-").splitlines()
    assert len(calls()) > 20 and "status" in calls() and "points import FILE" in calls(), calls()
    for call in calls():
        assert call in page, f"{call} is not in hydroctl.1"
    settings = re.findall(r"^\| `([^`]+)` \|", ctl("config-reference"), re.M)
    assert len(settings) > 30 and "data_dir" in settings
    page = (MAN / "hydro.lua.5").read_text().replace("\\-", "-")
    for name in settings:
        assert f"\\fB{name}\\fR" in page, f"{name} is not in hydro.lua.5"
    for program, file in (("hydrod", "hydrod.8"), ("hydro-runner", "hydro-runner.1")):
        help_text = subprocess.run([str(BIN / program), "--help"], capture_output=True, text=True, check=True).stdout
        page = (MAN / file).read_text().replace("\\-", "-")
        for option in set(re.findall(r"--[a-z-]+", help_text)):
            assert option in page, f"{option} is not in {file}"


def test_manual_pages_are_clean():
    man, mandoc = shutil.which("man"), shutil.which("mandoc")
    if not man and not mandoc:
        raise Skip("man or mandoc")
    for page in ("hydroctl.1", "hydro.lua.5", "hydrod.8", "hydro-runner.1"):
        if man:
            run = subprocess.run([man, "--warnings", "-l", str(MAN / page)], capture_output=True, text=True, env=dict(os.environ, MANWIDTH="80"))
            assert run.returncode == 0 and not run.stderr, run.stderr
        if mandoc:
            run = subprocess.run([mandoc, "-Tlint", str(MAN / page)], capture_output=True, text=True)
            assert run.returncode == 0 and not run.stdout, run.stdout


def complete(line):
    """What bash offers for the word at the end of the line, words broken as readline does."""
    script = r"""
        source <("$1" completion bash) || exit 1
        complete -p hydroctl >/dev/null || exit 1
        COMP_LINE=$2 COMP_POINT=${#2}
        read -ra COMP_WORDS <<<"${2//=/ = }"
        [[ $2 == *' ' ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _hydroctl
        printf '%s\n' "${COMPREPLY[@]}"
    """
    run = subprocess.run(["bash", "-c", script, "-", str(BIN / "hydroctl"), line], capture_output=True, text=True, cwd=hydrolab.ROOT, timeout=20)
    assert run.returncode == 0 and not run.stderr, run.stderr
    return set(run.stdout.split())


def test_bash_completes_commands_options_choices_and_files():
    first = complete("hydroctl ")
    assert {"status", "points", "pipelines", "history", "man"} <= first and "list" not in first and "--json" not in first, first
    assert complete("hydroctl sta") == {"status"}
    assert complete("hydroctl points ") == {"list", "show", "create", "set", "import"}
    assert complete("hydroctl --json points li") == {"list"}
    assert complete("hydroctl --url http://127.0.0.1:8000 pipelines rol") == {"rollback"}
    assert {"--plot", "--from", "--metric"} <= complete("hydroctl history X --")
    assert complete("hydroctl aggregates X --period ") == {"hour", "day", "month"}
    assert complete("hydroctl aggregates X --period m") == {"month"}
    assert complete("hydroctl man hydro.") == {"hydro.lua"}
    assert complete("hydroctl completion ") == {"bash"}
    assert "README.md" in complete("hydroctl check-config READ")
    assert complete("hydroctl points import scripts/lua/pipelines/wel") == {"scripts/lua/pipelines/well.lua"}
    assert "--help" in complete("hydroctl --h")
    for name in commands():
        words = name.split()
        assert words[-1] in complete("hydroctl " + " ".join([*words[:-1], words[-1][:1]])), name


def test_wrong_usage_is_told_from_refusal():
    for arguments in (["no-such-command"], ["history"], ["points", "show"], ["status", "more"], ["collect"], ["collect", "twin", "--dry"],
                      ["pipelines", "rollback"], ["completion", "tcsh"], ["man", "nothing"], ["get", "no-slash"], ["points", "set", "X", "novalue"]):
        ctl(*arguments, code=2)
        assert state["stderr"].startswith("hydroctl: "), arguments
    ctl(code=2)
    assert "usage" in ctl("history", "--help") and "--plot" in ctl("history", "--help")
    assert re.match(r"hydroctl \d+\.\d+\.\d+$", ctl("--version"))
    ctl("status", code=1, env={"HYDRO_URL": "http://127.0.0.1:1"})
    assert "no answer from http://127.0.0.1:1" in state["stderr"]
    ctl("--key-file", "/nonexistent/key", "status", code=2)
    bad = hydrolab.folder_for("cli")
    (bad / "hydro.lua").write_text("return {\n  listen = { prot = 1 },\n}\n")
    ctl("check-config", bad / "hydro.lua", code=1)
    assert "hydro.lua:2:" in state["stderr"] and "listen.port" in state["stderr"], state["stderr"]
    hydrolab.remove(bad)


def test_a_daemon_is_there_and_its_status_fits_a_terminal():
    state["folder"] = hydrolab.folder_for("cli")
    lua = hydrolab.ROOT / "scripts" / "lua"
    for part in ("pipelines", "lib"):
        shutil.copytree(lua / part, state["folder"] / part)
    state["sim"] = hydrolab.Sim(state["folder"], "--points", POINTS, "--threads", 1)
    state["daemon"] = daemon = hydrolab.Daemon(state["folder"] / "hydrod", state["sim"].port, pipelines=state["folder"] / "pipelines")
    assert daemon.import_from(state["sim"], period=10) == POINTS
    state["point"] = next(iter(daemon.points().values()))
    wait_until(lambda: all(daemon.http.raw("GET", f"/api/v1/analytics/points/{p['id']}/realtime")[0] == 200 for p in daemon.points().values()), 60, "data of all")
    status = ctl("status")
    assert status.startswith("state: ok ") and re.search(rf"^  points +{POINTS}$", status, re.M) and "nettra" in status, status
    assert max(map(len, status.splitlines())) <= 120
    assert ctl("status", env={"HYDRO_API_KEY": ""}).startswith("state: ok "), "health needs no key"
    assert json.loads(ctl("--json", "status"))["status"] == "ok"
    ctl("providers", code=1, env={"HYDRO_API_KEY": ""})
    assert "401" in state["stderr"] and "--key" in state["stderr"]
    assert len(ctl("providers").splitlines()) == 4 and "token" in ctl("providers", "twin")
    ctl("providers", "none-such", code=1)


def test_points_are_found_by_name_changed_and_imported_with_errors_by_line():
    point = state["point"]
    listed = ctl("points", "list", "--limit", 4)
    assert listed.splitlines()[-1] == f"4 of {POINTS}" and point["name"] in listed and max(map(len, listed.splitlines())) <= 100
    assert len(ctl("points", "list", "--name", point["name"]).splitlines()) == 3
    assert point["id"] in ctl("points", "show", point["name"]) and point["name"] in ctl("points", "show", point["id"])
    ctl("points", "show", "nobody", code=1)
    assert '0 points are named "nobody"' in state["stderr"]
    changed = json.loads(ctl("--json", "points", "set", point["name"], "params.sensor_depth=44.5", "params.place=Pozo 7"))
    assert changed["params"]["sensor_depth"] == 44.5 and changed["params"]["place"] == "Pozo 7"
    assert changed["params"]["flow_granted"] == point["params"]["flow_granted"], "a change takes nothing else away"
    ctl("points", "set", point["name"], "period_s=-1", code=1)
    file = state["folder"] / "points.csv"
    file.write_text("name,provider,account,period\nGood,twin,sim-twin-1,60\nBad,twin,nobody,60\n")
    out = ctl("points", "import", file, code=1)
    assert "nothing was imported" in out and f"{file}:3: account:" in state["stderr"], state["stderr"]
    created = ctl("points", "create", "-", text=json.dumps({"name": "By hand", "provider": "twin", "active": False, "options": {"device": "d", "keys": {"flow": "1"}}}))
    assert "By hand" in created
    assert "sim-twin-1" in ctl("accounts", "list") and "password=***" in ctl("accounts", "list")


def test_history_is_a_table_a_plot_or_json():
    name = state["point"]["name"]
    table = ctl("history", name).splitlines()
    assert re.match(r"time +.*total m3 .*flow l/s.*flags$", table[0]), table[0]
    assert len(table) > 30 and max(map(len, table)) <= 120
    newest = ctl("history", name, "--limit", 3).splitlines()
    assert newest[1:] == table[-3:] or len(newest) == 4, "a limit keeps the newest, last one last"
    rows = json.loads(ctl("--json", "history", name, "--limit", 5))["items"]
    assert [r["ts"] for r in rows] == sorted(r["ts"] for r in rows) and len(rows) == 5
    plot = ctl("history", name, "--metric", "flow", "--plot")
    assert plot.startswith("flow (l/s)") and plot.count("┤") == 2 and len(plot.splitlines()) == 14
    assert "no measurements" in ctl("history", name, "--from", "2001-01-01T00:00:00Z", "--to", "2001-01-02T00:00:00Z")
    hours = ctl("aggregates", name, "--period", "hour", "--metric", "flow")
    assert "by hour in America/Santiago" in hours and re.search(r"^\d{4}-\d\d-\d\d \d\d:00 +flow +l/s", hours, re.M), hours
    assert re.search(r"^\d{4}-\d\d-\d\d +total", ctl("aggregates", name, "--zone", "UTC"), re.M)
    ctl("aggregates", name, "--period", "week", code=1)


def test_watch_prints_a_line_a_measurement():
    env = dict(os.environ, HYDRO_URL=f"http://127.0.0.1:{state['daemon'].port}", HYDRO_API_KEY=state["daemon"].key)
    watch = subprocess.Popen([str(BIN / "hydroctl"), "watch", state["point"]["name"]], stdout=subprocess.PIPE, text=True, env=env,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's background job ignores it
    line = watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    watch.wait(10)
    assert re.match(r"\d{4}-.*Z  .*total [\d.]+ m3", line), line
    ctl("watch", "00000000-0000-4000-8000-000000000000", code=1)
    assert "no such point" in state["stderr"]


def test_collecting_now_and_a_dry_poll_show_what_happens():
    name = state["point"]["name"]
    assert re.match(r"\d+ points of twin are due now", ctl("collect", "twin"))
    assert f"{name} is due now" in ctl("collect", "--point", name)
    dry = ctl("collect", "--point", name, "--dry")
    for text in ("GET http", "answer: 200", "as read", "counter:total", "measurement"):
        assert text in dry, dry
    assert dry.count("as read") <= 3 < ctl("collect", "--point", name, "--dry", "--all").count("as read")
    rows = {row["ts"]: row["values"] for row in json.loads(ctl("--json", "history", name))["items"]}
    same = 0
    for reading in json.loads(ctl("--json", "collect", "--point", name, "--dry"))["pipeline"]["readings"]:
        if reading["ts"] in rows:
            assert abs(reading["values"]["total"]["value"] - rows[reading["ts"]]["total"]["value"]) < 1e-6, reading
            same += 1
    assert same > 3, "a dry poll of an up-to-date point shows readings that are known"


def test_pipelines_are_checked_reloaded_and_rolled_back():
    file = state["folder"] / "pipelines" / "well.lua"
    good = file.read_text()
    assert "good" in ctl("pipelines", "check", file) and "well" in ctl("pipelines", "list")
    wrong = state["folder"] / "well.lua"
    wrong.write_text(good.replace("depth {", "dept {", 1))
    ctl("pipelines", "check", wrong, code=1)
    assert re.search(rf"{wrong}:\d+:.*dept", state["stderr"]), state["stderr"]
    wrong.write_text(good + "\n-- a comment\n")
    shutil.copy(wrong, file)

    def two_versions():
        ctl("pipelines", "reload")
        return len(ctl("pipelines", "versions", "well").splitlines()) == 3
    wait_until(two_versions, 20, "the second version, by reload or file watch")
    assert re.match(r"well: live, version \d+", ctl("pipelines", "rollback", "well", 1))
    assert file.read_text() == good
    ctl("pipelines", "rollback", "well", 99, code=1)
    file.write_text(good.replace("build = function", "build = = function", 1))
    try:
        listed = wait_until(lambda: [row for row in json.loads(ctl("--json", "pipelines", "list"))["items"] if row["name"] == "well"], 10, "the list")
        assert listed[0]["live"] and listed[0]["points"] == POINTS, "what ran runs on"
    finally:
        file.write_text(good)


def test_plugins_and_instances_are_listed_and_any_path_can_be_got():
    assert re.search(r"^twin +\S+ +provider +loaded", ctl("plugins"), re.M)
    assert "base_url=http" in ctl("instances")
    assert json.loads(ctl("get", "/health"))["status"]
    ctl("get", "/no/such/path", code=1)
    assert "404" in state["stderr"]


def test_it_tells_a_service_manager_what_it_does():
    daemon, sim = state.pop("daemon"), state["sim"]
    assert daemon.stop() == 0
    path = state["folder"] / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        env = dict(os.environ, NOTIFY_SOCKET=str(path), WATCHDOG_USEC="1000000")
        daemon = hydrolab.Daemon(state["folder"] / "hydrod", sim.port, pipelines=state["folder"] / "pipelines", env=env)

        def heard(wanted):
            end = time.monotonic() + 30
            while time.monotonic() < end:
                if manager.recv(4096).decode() == wanted:
                    return True
            return False
        assert heard("READY=1") and heard("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGHUP)
        assert heard("RELOADING=1") and heard("READY=1")
        daemon.process.send_signal(signal.SIGTERM)
        assert heard("STOPPING=1")
        assert daemon.stop() == 0
    sim.stop()
    hydrolab.remove(state["folder"])


def test_an_install_has_all_it_needs_and_its_example_is_good():
    folder = hydrolab.folder_for("install")
    prefix = folder / "usr"
    subprocess.run(["cmake", "--install", str(hydrolab.build_dir()), "--prefix", str(prefix)], check=True, capture_output=True)
    for path in ("bin/hydrod", "bin/hydroctl", "bin/hydro-runner", "lib/hydrod/plugins/twin.so", "share/hydrod/pipelines/well.lua", "share/hydrod/lib/water.lua",
                 "share/man/man8/hydrod.8", "share/man/man1/hydroctl.1", "share/man/man1/hydro-runner.1", "share/man/man5/hydro.lua.5",
                 "share/bash-completion/completions/hydroctl", "lib/systemd/system/hydrod.service", "lib/sysusers.d/hydrod.conf"):
        assert (prefix / path).exists(), f"{path} is not installed"
    example = prefix / "share" / "doc" / "hydrod" / "examples" / "hydro.lua"
    check = subprocess.run([str(prefix / "bin" / "hydrod"), "--check", "--config", str(example)], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
    staged = folder / "stage"
    subprocess.run(["cmake", "--install", str(hydrolab.build_dir()), "--prefix", "/usr"], check=True, capture_output=True, env=dict(os.environ, DESTDIR=str(staged)))
    unit = (staged / "usr/lib/systemd/system/hydrod.service").read_text()
    assert "ExecStart=/usr/bin/hydrod " in unit and "Type=notify" in unit and "@HYDRO" not in unit and "@CMAKE" not in unit, unit
    assert "/usr/lib/hydrod/plugins" in (staged / "usr/share/doc/hydrod/examples/hydro.lua").read_text()
    if shutil.which("systemd-analyze"):
        verify = subprocess.run(["systemd-analyze", "verify", "--man=no", str(prefix / "lib/systemd/system/hydrod.service")], capture_output=True, text=True)
        assert verify.returncode == 0 and "hydrod.service" not in verify.stderr, verify.stderr
    hydrolab.remove(folder)


e2e.main(globals())
