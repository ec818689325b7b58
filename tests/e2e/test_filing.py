#!/usr/bin/env python3
"""The whole daemon files with the simulator's DGA on a simulated clock: points polled, pipeline, journal, filing; the DGA's judge counts."""
import json
import os
import pathlib
import shutil
import signal
import time

import e2e
import faultlab
from e2e import hydrolab, wait_until
from faultlab import iso

HOUR, DAY = 3600000, 86400000
POINTS = 40 if e2e.LONG else 6
READ_S = 300
RULES = ("accepted_twice", "wrong_hour", "wrong_value", "spacing", "same_day", "after_acceptance", "rate", "invented")
# Midnight in UTC-4. Summer time ends in Santiago on 5 April 2026, 03:00 UTC, and begins on 6 September, 04:00 UTC.
AUTUMN, SPRING = 1775275200000, 1788667200000 - DAY


class Lab:
    """Simulator and daemon on one simulated clock that goes from stage to stage; works of all points."""

    def __init__(self, name, start, faults=(), points=POINTS, zone="America/Santiago", adapter="", **setup):
        self.folder, self.start, self.points, self.adapter = hydrolab.folder_for(name), start, points, adapter
        self.clock, self.setup = self.folder / "clock", setup
        self.env = {**os.environ, "TZ": zone}
        self.sim = hydrolab.Sim(self.folder, "--points", points, "--threads", 1, "--mix", "1:1:1:0", "--period", f"{READ_S}s", "--clock", self.clock,
                                "--start", iso(start), "--origin", iso(start - 2 * HOUR), "--hang-max", "2s")
        for fault in faults:
            self.sim.fault(**fault)
        self.daemon = None

    @property
    def now(self):
        return self.sim.http.get("/sim/status")["now_ms"]

    def run(self, until, wait=True):
        """The daemon, started (again) on its data, that goes no further than `until`."""
        if self.daemon and self.daemon.alive():
            self.stop()
        first = self.daemon is None
        self.daemon = hydrolab.Daemon(self.folder / "hydrod", self.sim.port, extra=hydrolab.filing_config(self.sim.port, adapter=self.adapter), env=self.env,
                                      options=("--clock", f"sim:{self.clock}@{iso(self.start)}", "--until", iso(until if not first else self.start)))
        if first:
            self.daemon.import_from(self.sim, period=READ_S)
            hydrolab.set_up_filing(self.daemon, self.sim, starts=iso(self.start), **self.setup)
            return self.run(until, wait)
        if wait:
            wait_until(lambda: self.now >= until, 1800 if e2e.LONG else 240, f"the clock at {iso(until)}")
        return self.daemon

    def stop(self):
        assert self.daemon.stop(60) == 0, self.daemon.log_text()[-2000:]

    def kill(self, how=signal.SIGKILL):
        self.daemon.kill(how)
        self.sim.http.call("POST", "/sim/dga/death")

    def verdict(self, start=None, end=None):
        return self.sim.http.get(f"/sim/dga/verdict?from={start or self.start}&to={end or self.now}")

    def judge(self, start, end, allowed=()):
        """All due slots of the time are filed, no rule broken; the verdict."""
        verdict = self.verdict(start, end)
        broken = {rule: verdict[rule] for rule in RULES if verdict[rule] and rule not in allowed}
        assert not broken, (broken, verdict["violations"])
        assert verdict["due"] == self.points * (end - start) // HOUR, verdict["due"]
        assert verdict["filed"] == verdict["due"] - verdict["truly_missing"] and not verdict["unfiled"], (verdict["filed"], verdict["unfiled_slots"])
        return verdict

    def dga(self, path):
        return self.daemon.http.get("/api/v1/dga/" + path)

    def slots(self, query=""):
        found, cursor = [], None
        while True:
            page = self.dga(f"slots?limit=500{query}" + (f"&cursor={cursor}" if cursor else ""))
            found += page["items"]
            cursor = page.get("next")
            if not cursor:
                return found

    def end(self):
        self.stop()
        self.sim.stop()
        hydrolab.remove(self.folder)


def test_every_hour_of_summer_and_winter_time_is_filed_once_with_its_hour_and_value():
    changes = (AUTUMN, SPRING) if e2e.LONG else (AUTUMN,)
    filed = 0
    for start in changes:
        hours = 72 if e2e.LONG else 30
        lab = Lab("filing", start)
        lab.run(start + hours * HOUR + 55 * 60000)
        verdict = lab.judge(start, start + (hours + 1) * HOUR)
        assert verdict["late"] == 0 and verdict["not_nearest"] == 0, verdict
        slots = lab.slots()
        assert len(slots) == verdict["due"] and {slot["state"] for slot in slots} == {"filed"}, slots[:3]
        assert len({slot["receipt"] for slot in slots}) == len(slots)
        assert not lab.dga("alarms/")["items"], lab.dga("alarms/")
        day = lab.dga(f"works/{slots[0]['work']}/days?from={iso(start)}&to={iso(start + DAY)}")["items"][0]
        assert (day["due"], day["filed"], day["adds_up"]) == (24, 24, True), day
        assert lab.dga("verify")["good"]
        filed += verdict["filed"]
        lab.end()
    print(f"{filed} hours of {POINTS} works over the change of summer time: filed once each, hour and value right, none late")


def test_an_outage_a_late_backfill_and_kills_leave_nothing_unfiled_and_nothing_twice():
    start = AUTUMN
    lab = Lab("filing-faults", start, [
        {"kind": "outage", "provider": "dga", "from": start + 5 * HOUR, "until": start + 9 * HOUR},
        {"kind": "outage", "provider": "twin", "from": start + 12 * HOUR, "until": start + 17 * HOUR},
        {"kind": "outage", "provider": "nettra", "history": False, "from": start + 12 * HOUR, "until": start + 15 * HOUR},
        {"kind": "http_5xx", "provider": "dga", "probability": 0.02},
        {"kind": "dga_accept_cut", "probability": 0.03},
        {"kind": "dga_accept_hang", "probability": 0.01, "count": 3},
        {"kind": "dga_duplicate", "probability": 0.02, "value": 1},
    ])
    kills = 12 if e2e.LONG else 4
    end = start + 24 * HOUR
    for number in range(kills):
        at = start + HOUR + (end - start - HOUR) * number // kills
        daemon = lab.run(start + 6 * DAY, wait=False)
        wait_until(lambda at=at: lab.now >= at, 240, f"the clock at {iso(at)}")
        assert daemon.alive(), daemon.log_text()[-2000:]
        lab.kill()
    # The calendar of works ends: the days after are for what failed.
    lab.run(lab.now)
    for work in lab.dga("works/?limit=500")["items"]:
        lab.daemon.http.call("PATCH", f"/api/v1/dga/works/{work['code']}", {"ends": iso(max(end, lab.now))})
    until = max(end, lab.now) + 5 * DAY
    lab.run(until)
    verdict = lab.judge(start, end)
    assert verdict["truly_missing"] > 0 and verdict["late"] > 0 and verdict["over_lag"] == 0, verdict
    states = {slot["state"] for slot in lab.slots()}
    assert states <= {"filed", "missing"}, states
    assert lab.dga("verify")["good"]
    lab.end()
    print(f"outages, {kills} kills, lost answers: {verdict['filed']} of {verdict['due']} filed, {verdict['truly_missing']} without a reading, "
          f"{verdict['after_death']} asked again after a kill, none twice")


def test_nothing_is_sent_while_the_switch_is_off_or_a_work_is_in_shadow():
    start = AUTUMN
    lab = Lab("filing-switch", start, on=False)
    lab.run(start + 3 * HOUR)
    assert lab.verdict()["posts"] == 0
    assert not lab.dga("kill-switch")["on"] and {slot["state"] for slot in lab.slots()} == {"queued"}, lab.slots()[:2]
    shadowed = sorted(work["code"] for work in lab.dga("works/?limit=500")["items"])[0]
    lab.daemon.http.call("PATCH", f"/api/v1/dga/works/{shadowed}", {"mode": "shadow"})
    hydrolab.switch_filing(lab.daemon, True)
    lab.run(start + 8 * HOUR)
    before = lab.verdict(start, start + 8 * HOUR)
    assert before["broken"] == 0 and before["unfiled"] == 8, (before["violations"], before["unfiled_slots"])
    assert {slot["work"] for slot in before["unfiled_slots"]} == {shadowed}
    assert {slot["state"] for slot in lab.slots(f"&work={shadowed}") if hydrolab.parse_time(slot["due"]) > start + 3 * HOUR} == {"shadow"}
    hydrolab.switch_filing(lab.daemon, False)
    at = lab.now
    lab.run(start + 11 * HOUR)
    after = lab.verdict(start, start + 11 * HOUR)
    assert after["posts"] == before["posts"], (at, before["posts"], after["posts"])
    lab.end()
    print(f"switch off: 0 sent; on: the backlog of three hours and each new hour, {before['filed']} filed; a work in shadow: 0 sent; off again: 0 sent")


def test_a_restored_backup_holds_until_a_person_says_so_and_then_files_nothing_twice():
    start = AUTUMN
    lab = Lab("filing-restore", start)
    lab.run(start + 3 * HOUR + 55 * 60000)
    lab.stop()
    data, backup = lab.folder / "hydrod" / "data", lab.folder / "backup"
    shutil.copytree(data, backup)
    lab.run(start + 6 * HOUR + 55 * 60000)
    assert lab.verdict()["filed"] == 7 * lab.points
    lab.stop()
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    posts = lab.verdict()["posts"]
    lab.run(start + 9 * HOUR)
    assert lab.dga("status")["on_hold"] and lab.verdict()["posts"] == posts
    lab.daemon.http.call("POST", "/api/v1/dga/hold/leave", {"reason": "the backup of the morning, checked"})
    lab.run(start + 2 * DAY)
    verdict = lab.judge(start, start + 2 * DAY - HOUR, allowed=("after_acceptance",))
    # What was filed between backup and restore is asked once more, on the next day; the duplicate's answer brings the receipt.
    assert verdict["after_acceptance"] == 3 * lab.points, verdict
    others = [slot for slot in lab.slots(f"&to={iso(start + DAY)}") if slot["state"] != "filed"]
    assert not others, [lab.dga(f"slots/{slot['work']}/{slot['due']}") for slot in others[:2]]
    lab.end()
    print(f"restored backup: on hold, 0 sent; after the hold {verdict['filed']} filed, {verdict['after_acceptance']} asked again on the next day as unknown")


def old_system_files(lab, index, measured_ms):
    """A measurement under the local summer hour, as the system before did."""
    point = lab.sim.http.get(f"/sim/points?offset={index}&limit=1")["points"][0]
    reading = [r for r in lab.sim.http.get(f"/sim/truth/{index}?from={measured_ms - HOUR}&to={measured_ms}")["readings"]][-1]["true"]
    label = time.gmtime(measured_ms / 1000 - 3 * 3600)
    total = reading["pulses"] * point["params"]["litres_per_pulse"] / 1000 + point["params"]["offset"]
    body = {"autenticacion": {"password": "x", "rutEmpresa": hydrolab.rut(76200000), "rutUsuario": hydrolab.rut(12345000)},
            "medicionSubterranea": {"caudal": f"{reading['flow']:.2f}", "fechaMedicion": time.strftime("%Y-%m-%d", label), "horaMedicion": time.strftime("%H:%M:%S", label),
                                    "nivelFreaticoDelPozo": f"{point['params']['sensor_depth'] - reading['level']:.2f}", "totalizador": str(int(total))}}
    status, answer, _ = lab.sim.http.raw("POST", "/dga/api/v1/mediciones/subterraneas", json.dumps(body), "application/json",
                                         {"X-Sim-Foreign": "1", "codigoObra": f"OB-0901-{index + 1}", "timeStampOrigen": time.strftime("%Y-%m-%dT%H:%M:%S-0000", label)})
    assert status == 200, answer
    return json.loads(answer)["data"]["numeroComprobante"]


def test_a_slot_that_the_old_system_filed_under_summer_time_is_told_and_never_overwritten():
    start = AUTUMN
    lab = Lab("filing-cutover", start)
    # Filed before as the hour of 03:00 UTC under the summer label: the very slot of 04:00 UTC in UTC-4.
    receipt = old_system_files(lab, 0, start - HOUR)
    lab.run(start + 3 * HOUR)
    slot = lab.dga(f"slots/OB-0901-1/{iso(start)}")
    assert slot["state"] == "filed_differs" and slot["receipt"] == receipt, slot
    alarms = [alarm for alarm in lab.dga("alarms/")["items"] if alarm["kind"] == "differs"]
    assert len(alarms) == 1 and alarms[0]["work"] == "OB-0901-1", alarms
    lab.judge(start, start + 2 * HOUR)
    lab.run(start + 2 * DAY)
    assert lab.dga(f"slots/OB-0901-1/{iso(start)}")["attempts"] == 1
    lab.judge(start, start + 2 * DAY - HOUR)
    lab.end()
    print("cut-over in summer: the first slot is the old system's hour before: filed_differs, alarm, sent once; all others filed")


def runner_of(pid):
    """The process of an isolated plugin of a daemon; None while there is none."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue
        if name.endswith("(hydro-runner") and rest.split()[1] == str(pid):
            return int(folder.name)
    return None


def test_an_adapter_that_dies_in_its_own_process_costs_no_slot_and_no_second_filing():
    start, kills = AUTUMN, 0
    lab = Lab("filing-apart", start, adapter="isolation = 'process', ")
    lab.run(start + 50 * HOUR, wait=False)
    while kills < 3 and lab.now < start + 22 * HOUR:
        pid = runner_of(lab.daemon.process.pid) if lab.now > start + (3 + 4 * kills) * HOUR else None
        if pid:
            os.kill(pid, signal.SIGKILL)
            kills += 1
        time.sleep(0.2)
    wait_until(lambda: lab.now >= start + 50 * HOUR, 240, "the end")
    # At most the answer over which it died may be asked for again, on the next day.
    verdict = lab.judge(start, start + 24 * HOUR, allowed=("after_acceptance",))
    assert kills >= 1 and verdict["after_acceptance"] <= kills, (kills, verdict["after_acceptance"])
    assert not lab.dga("alarms/")["items"], lab.dga("alarms/")
    assert lab.dga("verify")["good"]
    lab.end()
    print(f"adapter in its own process killed {kills} times: {verdict['filed']} of {verdict['due']} filed, {verdict['after_acceptance']} asked again on the next day")


e2e.main(globals())
