#!/usr/bin/env python3
"""Figures of filing: the real engine, ledger and dga plugin over HTTP against the simulator's DGA, whose judge counts. One JSON line per figure.

  bench_filing.py [month] [hour] [rate]     default: month and hour
  --works N --days D                        of `month` (120 works, 15 days)
  --centres N --step MS                     control centres, and how far the clock goes at a time (5 s); both as the works need if not given
  --full                                    `month` with 10,000 works and 30 days, and `rate`
  --dir DIR                                 where the data goes (a new folder in HYDRO_TMP or /tmp)
  --seed N                                  of faults and kills (1)
  --keep                                    leaves the data there
"""
import argparse
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "scripts" / "dev"), str(HERE.parent / "sim")]
os.environ.setdefault("HYDRO_SIM", "")
import hydrolab  # noqa: E402
from simtest import Clock  # noqa: E402

MINUTE, HOUR, DAY = 60000, 3600000, 86400000
START = 1774411200000  # 2026-03-25T04:00:00Z, midnight in UTC-4; summer time ends in Santiago on 5 April
DRAIN_DAYS = 9
LEASE = 60000
RULES = ("accepted_twice", "wrong_hour", "wrong_value", "spacing", "same_day", "after_acceptance", "rate")


def say(text):
    print(text, file=sys.stderr, flush=True)


def figure(name, value, unit, goal=None, equal=False, reference=None, reference_name=None, n=1):
    met = None if goal is None else value == goal if equal else value <= goal
    ratio = None if not reference else value / reference
    print(json.dumps({"bench": "filing", "name": name, "value": value, "unit": unit, "reference": reference, "reference_name": reference_name,
                      "ratio": ratio, "goal": goal, "met": met, "n": n}), flush=True)
    return met is not False


class Lab:
    """The simulator, and one filing_host after another, on one clock file and one ledger."""

    def __init__(self, folder, works, centres, start, faults=(), rate=1, period="5m"):
        self.folder, self.works, self.centres, self.rate, self.start = pathlib.Path(folder), works, centres, rate, start
        self.faults = self.folder / "faults.json"
        self.faults.write_text(json.dumps(list(faults)))
        self.clock = Clock(str(self.folder / "clock"), start)
        self.sim_options = ["--points", works, "--mix", "1:0:0:0", "--threads", 1, "--period", period, "--retention", "90d", "--clock", self.folder / "clock",
                            "--faults", self.faults, "--hang-max", "20s", "--dga-rate", max(1, round(rate)), "--skew", "off"]
        self.sim = hydrolab.Sim(self.folder, *self.sim_options)
        self.sim.http.timeout = 900
        self.host, self.log = None, open(self.folder / "host.log", "ab")

    def launch(self, until, end=0, step=1, *more):
        """Until that time; end: of compliance, then the whole ledger is verified as well."""
        build = hydrolab.build_dir()
        options = ["--dir", self.folder, "--dga", self.sim.port, "--plugins", build / "plugins", "--runner", build / "bin" / "hydro-runner", "--works", self.works,
                   "--centres", self.centres, "--rate", self.rate, "--start", self.start, "--end", end, "--until", until, "--lease", LEASE, "--timeout", 3000, "--step", step, *more]
        if end:
            options.append("--verify")
        command = [build / "bin" / "filing_host", *options, "--", *self.sim_options]
        self.host = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=self.log, text=True, env={**os.environ, "TZ": "America/Santiago"})
        line = self.host.stdout.readline()
        if line != "ready\n":
            raise hydrolab.Failed(f"filing_host said {line!r}:\n" + (self.folder / "host.log").read_text(errors="replace")[-2000:])

    def end_of_host(self):
        """What the host says when its clock has come to the end."""
        out = self.host.stdout.read()
        if self.host.wait() != 0:
            raise hydrolab.Failed(f"filing_host ended with {self.host.returncode}:\n" + (self.folder / "host.log").read_text(errors="replace")[-2000:])
        return json.loads(out)

    def verdict(self, start=0, end=0, limit=10):
        return self.sim.http.get(f"/sim/dga/verdict?from={start}&to={end}&limit={limit}")

    def death(self):
        self.sim.http.call("POST", "/sim/dga/death")

    def db_bytes(self):
        """Of filing.db once the host has closed it, without pages that packing has freed and that are used again."""
        db = sqlite3.connect(self.folder / "filing.db")
        pages, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
        db.close()
        return (pages - free) * size

    def close(self):
        if self.host and self.host.poll() is None:
            self.host.kill()
            self.host.wait()
        self.sim.kill()
        self.clock.close()
        self.log.close()


def month_faults(days):
    """2 % of all answers a 5xx, 1 % taken and not answered, 1 % filed by another system before, half a day of outage; and what the loggers do."""
    out = START + days * DAY // 3 // HOUR * HOUR
    return [
        {"kind": "outage", "provider": "dga", "from": out, "until": out + 12 * HOUR},
        {"kind": "http_5xx", "provider": "dga", "probability": 0.02},
        {"kind": "dga_accept_hang", "probability": 0.01, "count": 8},
        {"kind": "dga_accept_cut", "probability": 0.01},
        {"kind": "dga_duplicate", "probability": 0.0005},
        {"kind": "dga_duplicate", "probability": 0.0095, "value": 1},
        {"kind": "missing", "probability": 0.002, "length": 24},
        {"kind": "late", "probability": 0.002, "length": 24, "delay": "7h"},
    ]


def interrupt(lab, drawn, until, end, step, kills, stops):
    """Kills and stops the host at drawn moments of simulated time; returns when the last host is left to run to the end."""
    span = end - lab.start
    moments = sorted([(lab.start + int(span * drawn.uniform(0.02, 0.99)), "kill") for _ in range(kills)] +
                     [(lab.start + int(span * drawn.uniform(0.1, 0.9)), "stop") for _ in range(stops)])
    for at, what in moments:
        while lab.clock.get() < at:
            if lab.host.poll() is not None:
                raise hydrolab.Failed("filing_host ended by itself:\n" + (lab.folder / "host.log").read_text(errors="replace")[-2000:])
            time.sleep(0.002)
        time.sleep(drawn.uniform(0, 0.02))
        if what == "stop":
            lab.host.send_signal(signal.SIGSTOP)
            lab.death()
            lab.clock.advance(LEASE + drawn.randrange(MINUTE, 30 * MINUTE))
            lab.host.send_signal(signal.SIGCONT)
        else:
            lab.host.kill()
            lab.host.wait()
            lab.death()
            lab.launch(until, end, step)
        day = (lab.clock.get() - lab.start) / DAY
        say(f"  {what} on day {day:.1f}")


def month(folder, works, days, seed, centres, step):
    drawn = random.Random(seed)
    end = START + days * DAY
    until = end + DRAIN_DAYS * DAY
    lab = Lab(folder, works, centres, START, month_faults(days))
    begin = time.monotonic()
    try:
        lab.launch(until, end, step)
        interrupt(lab, drawn, until, end, step, 20, 2)
        result = lab.end_of_host()
        took = time.monotonic() - begin
        verdict = lab.verdict(START, end)
        say(json.dumps(result))
        say(json.dumps(verdict))
        due = verdict["due"]
        good = figure("filed", verdict["filed"], "slots", due - verdict["truly_missing"], equal=True, n=due)
        good &= figure("invented", verdict["invented"], "slots", 0, n=due)
        for rule in RULES:
            good &= figure(rule, verdict[rule], "violations", 0, n=verdict["posts"] + verdict["gets"] if rule == "rate" else verdict["posts"])
        good &= figure("chains_broken", int(result["chains"] != "good"), "chains", 0, n=result["rows"])
        figure("truly_missing", verdict["truly_missing"], "slots", n=due)
        figure("late_share", verdict["late"] / max(verdict["taken"], 1), "of those taken", n=verdict["taken"])
        figure("over_lag", verdict["over_lag"], "slots", n=verdict["taken"])
        figure("resent_after_death", verdict["after_death"], "slots", n=22)
        figure("bytes_per_filed_slot", lab.db_bytes() / max(verdict["filed"], 1), "B", 700, n=verdict["filed"])
        figure("duration", took, "s", n=verdict["posts"] + verdict["gets"])
        figure("host_memory", result["rss_mib"], "MiB", n=works)
        return good
    finally:
        lab.close()


def hour(folder):
    """An ordinary day of 1,000 works at one centre: the first hour's slots apart, all within the hour of their measurement."""
    hours = 12
    lab = Lab(folder, 1000, 1, START)
    try:
        lab.launch(START + hours * HOUR - 1)
        result = lab.end_of_host()
        verdict = lab.verdict(START, START + (hours - 1) * HOUR)
        good = figure("ordinary_hour_unfiled", verdict["unfiled"], "slots", 0, n=verdict["due"])
        good &= figure("ordinary_hour_late", verdict["late"], "slots", 0, n=verdict["taken"])
        good &= figure("ordinary_hour_broken", verdict["broken"], "violations", 0, n=verdict["posts"] + verdict["gets"])
        good &= figure("ordinary_hour_cpu", 100 * result["cpu_s"] / (result["simulated_ms"] / 1000), "% of a core", 2, n=result["posts"] + result["checks"])
        return good
    finally:
        lab.close()


def rate(folder):
    """100,000 works at 28 POST/s and their GETs, on a clock that goes as the real one."""
    seconds = 110
    lab = Lab(folder, 100000, 1, START, rate=200)
    spread = ("--send-from", 1, "--send-until", HOUR, "--no-sync")
    try:
        say("  100,000 works: the first ten minutes on a quick clock")
        lab.launch(START + 10 * MINUTE, 0, 1, *spread)
        lab.end_of_host()
        say(f"  {seconds} s at the real clock's pace")
        before = lab.verdict()
        lab.launch(lab.clock.get() + seconds * 1000, 0, 1, "--pace", *spread)
        result = lab.end_of_host()
        verdict = lab.verdict()
        posts, gets = verdict["posts"] - before["posts"], verdict["gets"] - before["gets"]
        good = figure("rate_cpu", 100 * result["cpu_s"] / (result["simulated_ms"] / 1000), "% of a core", 10, n=100000)
        figure("rate_posts", posts / seconds, "POST/s", n=posts)
        figure("rate_checks", gets / seconds, "GET/s", n=gets)
        good &= figure("rate_broken", verdict["broken"], "violations", 0, n=posts + gets)
        return good
    finally:
        lab.close()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("what", nargs="*", choices=("month", "hour", "rate", []))
    parser.add_argument("--works", type=int, default=120)
    parser.add_argument("--days", type=int, default=15)
    parser.add_argument("--centres", type=int, default=0)
    parser.add_argument("--step", type=int, default=5000)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--dir", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    o = parser.parse_args()
    if o.full:
        o.works, o.days = 10000, 30
    what = o.what or (["month", "hour", "rate"] if o.full else ["month", "hour"])
    # At one call a step and centre, and a step of several seconds, it takes more centres than six.
    centres = o.centres or max(6, -(-o.works * 2 * o.step // 1000 * 2 // 3600))
    good = True
    for name in what:
        folder = o.dir / name if o.dir else hydrolab.folder_for("filing")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            say(f"{name}: {folder}")
            good &= month(folder, o.works, o.days, o.seed, centres, o.step) if name == "month" else hour(folder) if name == "hour" else rate(folder)
        except hydrolab.Failed as failed:
            say(f"error: {failed}")
            good = False
        finally:
            if not o.keep:
                hydrolab.remove(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
