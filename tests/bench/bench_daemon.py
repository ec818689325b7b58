#!/usr/bin/env python3
"""Figures of the real daemon with the simulator over HTTP: freshness, recovery, scale. One JSON line per figure.

  bench_daemon.py freshness | recovery [KILLS] | scale [--no-merge] [--logger SECONDS] [POINTS]

scale goes on until history was merged once, with a million points and the defaults half an hour after the start; with --no-merge
until each point was polled once. Each point has a row every SECONDS (50: 20,000 measurements/s of a million points; 17: 58,800) and is
polled each six rows.
"""
import argparse
import json
import math
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "dev"))
import hydrolab  # noqa: E402


def say(text):
    print(text, file=sys.stderr, flush=True)


def figure(bench, name, value, unit, goal=None, reference=None, reference_name=None, n=1):
    met = None if goal is None or value is None else value <= goal
    ratio = None if not reference or value is None else value / reference
    print(json.dumps({"bench": bench, "name": name, "value": value, "unit": unit, "reference": reference, "reference_name": reference_name,
                      "ratio": ratio, "goal": goal, "met": met, "n": n}), flush=True)


def sync_p99_ms(folder, seconds=3):
    """The machine's own limit: 4 KiB written and synced in a loop on the same disk."""
    path, times = folder / "sync", []
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"\0" * 4096)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        os.pwrite(fd, os.urandom(4096), 0)
        os.fdatasync(fd)
        times.append((time.perf_counter() - start) * 1000)
    os.close(fd)
    path.unlink()
    return sorted(times)[int(len(times) * 0.99)]


def buckets(daemon):
    found = {}
    for name, value in daemon.metrics().items():
        if name.startswith("hydro_freshness_seconds_bucket"):
            bound = name.split('le="')[1].split('"')[0]
            found[float("inf") if bound == "+Inf" else float(bound)] = value
    return found


def quantile(before, after, q):
    """Upper bound in ms of the bucket that holds the quantile of what came between, and how many came."""
    counts = sorted((bound, after[bound] - before.get(bound, 0)) for bound in after)
    total = counts[-1][1]
    for bound, count in counts:
        if total and count >= q * total:
            return bound * 1000, int(total)
    return None, int(total)


def rate(daemon, seconds):
    start, at = daemon.metrics()["hydro_measurements_total"], time.monotonic()
    time.sleep(seconds)
    return (daemon.metrics()["hydro_measurements_total"] - start) / (time.monotonic() - at)


def from_now():
    """Loggers that begin now: no past to catch up with, so the rate is what the points give from the start."""
    return "--origin", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def freshness_run(name, points, logger_period, poll_period, mix, warm, seconds, goal, join=None):
    folder = hydrolab.folder_for("bench")
    sim = daemon = None
    try:
        sim = hydrolab.Sim(folder, "--points", points, "--threads", 1, "--mix", mix, "--period", f"{logger_period}s", *(("--skew", "off") if join else ()), *from_now())
        daemon = hydrolab.Daemon(folder / "hydrod", sim.port)
        daemon.import_from(sim, period=poll_period, join=join)
        say(f"{name}: warming up for {warm} s")
        time.sleep(warm)
        reference = sync_p99_ms(folder)
        before = buckets(daemon)
        per_second = rate(daemon, seconds)
        value, batches = quantile(before, buckets(daemon), 0.99)
        figure("freshness", name + "_p99", value, "ms", goal, reference, "4 KiB written and synced on the same disk, p99", batches)
        figure("freshness", name + "_rate", per_second, "measurements/s", n=int(per_second * seconds))
    finally:
        for process in (daemon, sim):
            if process:
                process.kill()
        hydrolab.remove(folder)


def freshness():
    freshness_run("1000_points_each_minute", 1000, 60, 60, "64:60:48:0", 90, 60, 20)
    freshness_run("20000_measurements_a_second", 20000, 1, 15, "1:0:0:0", 20, 60, 100, join="0s")


def recovery(kills):
    folder = hydrolab.folder_for("bench")
    sim = daemon = None
    took = []
    try:
        sim = hydrolab.Sim(folder, "--points", 1000, "--threads", 1, "--period", "10s", "--skew", "off")
        daemon = hydrolab.Daemon(folder / "hydrod", sim.port)
        daemon.import_from(sim, period=10, join="2s")
        time.sleep(15)
        for number in range(kills):
            time.sleep(random.uniform(0.2, 2))
            daemon.kill(signal.SIGKILL)
            start = time.monotonic()
            daemon = hydrolab.Daemon(folder / "hydrod", sim.port)
            took.append(time.monotonic() - start)
        took.sort()
        figure("recovery", "ready_after_kill_median", took[len(took) // 2], "s", 2, n=kills)
        figure("recovery", "ready_after_kill_worst", took[-1], "s", 2, n=kills)
    finally:
        for process in (daemon, sim):
            if process:
                process.kill()
        hydrolab.remove(folder)


def memory_mib(daemon):
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines())
    return (int(fields["RssAnon"].split()[0]) + int(fields["RssFile"].split()[0])) / 1024


def cpu_seconds(process):
    values = pathlib.Path(f"/proc/{process.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def device_written(folder):
    """Bytes that the folder's block device was given since the machine's start, whoever wrote them; nan where the system does not tell."""
    number = os.stat(folder).st_dev
    stat = pathlib.Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
    return int(stat.read_text().split()[6]) * 512 if stat.exists() else math.nan


def written(daemon, folder):
    """Bytes of step state, of the journal, of all files as the kernel counts them (whole folios), and of the device, since the start."""
    metrics = daemon.metrics()
    io = dict(line.split(": ") for line in pathlib.Path(f"/proc/{daemon.process.pid}/io").read_text().splitlines())
    return metrics["hydro_state_written_bytes_total"], metrics["hydro_journal_written_bytes_total"], int(io["write_bytes"]), device_written(folder)


def log_field(text, event, field):
    """Of the last line with that event, or None."""
    lines = [json.loads(line) for line in text.splitlines() if f'"event.action":"{event}"' in line]
    return lines[-1].get("hydro." + field) if lines else None


def wait_for_merge(daemon, most_s):
    """Memory, records behind, and p99 of freshness over 15 s, at their highest until history was merged for the first time."""
    end, highest, behind, slowest, merged = time.monotonic() + most_s, 0, 0, 0, 0
    while not merged and time.monotonic() < end:
        before = buckets(daemon)
        for _ in range(15):
            time.sleep(1)
            highest = max(highest, memory_mib(daemon))
        metrics = daemon.metrics()
        slowest = max(slowest, quantile(before, buckets(daemon), 0.99)[0] or 0)
        merged = int(metrics["hydro_history_merged_lsn"])
        behind = max(behind, metrics["hydro_state_behind_records"])
        say(f"  {int(metrics['hydro_measurements_total'])} measurements, at most {highest:.0f} MiB, {int(metrics['hydro_state_behind_records'])} records behind, "
            f"{merged} merged")
    return highest, behind, slowest


def scale(points, logger, merge):
    folder = hydrolab.folder_for("bench")
    sim = daemon = None
    poll = 6 * logger
    try:
        sim = hydrolab.Sim(folder, "--points", points, "--threads", 1, "--mix", "1:0:0:0", "--period", f"{logger}s", "--skew", "off", *from_now())
        daemon = hydrolab.Daemon(folder / "hydrod", sim.port)
        start = time.monotonic()
        daemon.http.timeout = 900
        daemon.import_from(sim, period=poll, join="5s")
        figure("scale", "import", time.monotonic() - start, "s", n=points)
        daemon.stop(120)
        for path in (folder / "hydrod" / "data" / "state").glob("*"):
            path.unlink()
        start = time.monotonic()
        daemon = hydrolab.Daemon(folder / "hydrod", sim.port, wait=300)
        figure("scale", "cold_first_start", time.monotonic() - start, "s", 20, n=points)
        say(f"every point is polled once in {poll} s…")
        highest, behind, slowest = wait_for_merge(daemon, 3600 if merge else poll + 30)
        before, used, at, bytes_before = buckets(daemon), cpu_seconds(daemon), time.monotonic(), written(daemon, folder)
        per_second = rate(daemon, 60)
        state, journal, dirtied, device = ((now - old) / (time.monotonic() - at) for now, old in zip(written(daemon, folder), bytes_before))
        behind = max(behind, daemon.metrics()["hydro_state_behind_records"])
        used = (cpu_seconds(daemon) - used) / (time.monotonic() - at)
        value, batches = quantile(before, buckets(daemon), 0.99)
        highest = max(highest, memory_mib(daemon))
        figure("scale", "memory", highest, "MiB (RssAnon + RssFile)", 1024, n=points)
        figure("scale", "rate", per_second, "measurements/s", n=int(per_second * 60))
        figure("scale", "freshness_p99", value, "ms", n=batches)
        figure("scale", "freshness_p99_worst", slowest, "ms over 15 s, until history was merged", n=points)
        figure("scale", "cpu", used, "cores", n=points)
        figure("scale", "state_written", state, "bytes/s of checkpoints", n=points)
        figure("scale", "journal_and_state_written", (journal + state) / per_second, "bytes/measurement, history aside", n=points)
        metrics = daemon.metrics()
        merged = metrics["hydro_history_merged_lsn"]
        figure("scale", "merge", metrics["hydro_history_merge_seconds"] or None, "s of one run", n=int(merged))
        history = metrics["hydro_history_written_bytes_total"] / merged if merged else None
        figure("scale", "history_written", history, "bytes/measurement merged, log and file", n=int(merged))
        figure("scale", "written", (journal + state) / per_second + history if merged else None, "bytes/measurement: journal, state, history", 100, n=points)
        figure("scale", "dirtied", dirtied / per_second, "bytes/measurement as the kernel counts, whole folios, in the same minute", n=points)
        figure("scale", "device_written", None if math.isnan(device) else device / per_second, "bytes/measurement that the device was given in the same minute, by all", n=points)
        figure("scale", "state_behind", behind, "records a crash would run again, at most", 1000000, n=points)
        daemon.kill(signal.SIGKILL)
        start = time.monotonic()
        daemon = hydrolab.Daemon(folder / "hydrod", sim.port, wait=300)
        figure("scale", "ready_after_kill", time.monotonic() - start, "s", 2, n=points)
        figure("scale", "run_again", log_field(daemon.log_text(), "recovered", "records"), "records", 1000000, n=points)
        daemon.stop(120)
        start = time.monotonic()
        daemon = hydrolab.Daemon(folder / "hydrod", sim.port, wait=300)
        figure("scale", "start_from_snapshot", time.monotonic() - start, "s", 2, n=points)
        say("\n".join(daemon.log_text().splitlines()[-6:]))
    finally:
        for process in (daemon, sim):
            if process:
                process.kill()
        hydrolab.remove(folder)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "freshness":
        freshness()
    elif what == "recovery":
        recovery(int(sys.argv[2]) if len(sys.argv) > 2 else 30)
    elif what == "scale":
        parser = argparse.ArgumentParser(prog="bench_daemon.py scale")
        parser.add_argument("points", type=int, nargs="?", default=1000000)
        parser.add_argument("--logger", type=int, default=50, metavar="SECONDS")
        parser.add_argument("--no-merge", action="store_true")
        args = parser.parse_args(sys.argv[2:])
        scale(args.points, args.logger, not args.no_merge)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
