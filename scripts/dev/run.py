#!/usr/bin/env python3
"""Behind scripts/run.sh: the simulator and hydrod together, and the summary of what came through."""
import argparse
import json
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hydrolab  # noqa: E402


def parse():
    parser = argparse.ArgumentParser(prog="scripts/run.sh", description="Builds hydrod and runs it on the embedded store with the simulators of the "
                                     "providers and the DGA, which replay real data.")
    parser.add_argument("--seconds", type=float, help="run that long, then print a summary; otherwise until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="the summary as one line of JSON on standard output")
    parser.add_argument("--points", type=int, default=1000, help="number of points (1000)")
    parser.add_argument("--period", type=int, default=60, help="poll period in seconds (60)")
    parser.add_argument("--port", type=int, default=8000, help="port of the API; 0 = any free one (8000, with --seconds 0)")
    parser.add_argument("--data", type=pathlib.Path, help="keep the data in this folder (default: a new one, removed at the end)")
    parser.add_argument("--filing", choices=("live", "shadow", "off"), default="live", help="what the points' works do: file with the simulated DGA (live)")
    parser.add_argument("--seal", choices=("secrets", "all"), default="secrets", help="what is sealed at rest")
    return parser.parse_args()


HOUR_MS, LAG_MS = 3600000, 7 * 86400000
POINTS_A_CENTRE = 100  # a centre makes one call a second


def filing_settings(seconds):
    """As the daemon's defaults, but a run of seconds does not wait for turns spread over the hour. The kernel's word on the clock is of no use to a simulator."""
    short = f", send_from = '1ms', send_until = '{max(1, int(seconds / 3))}s'" if seconds is not None else ""
    return "clock_sync = false" + short


def say(text):
    print(text, file=sys.stderr, flush=True)


def summary(daemon, sim, points, since, filing):
    served = hydrolab.served_accounts(sim, points)
    readings, lost = hydrolab.count_lost(daemon, served)
    metrics = daemon.metrics()
    # By the DGA's own books. Filing has lost what it filed wrongly (another hour, values never read, twice, against the sending rules) and what
    # is not filed although its lag is over; a slot whose time has not run out is not lost, it waits.
    now = sim.http.get("/sim/status")["now_ms"]
    verdict = sim.http.get(f"/sim/dga/verdict?from={since}&to={now}")
    overdue = sim.http.get(f"/sim/dga/verdict?from={since}&to={max(since, now - LAG_MS)}")["unfiled"]
    wrong = [(row["work"], row["rule"], row["slot"]) for row in verdict["violations"]]
    filing_lost = verdict["broken"] + verdict["invented"] + overdue
    return {
        "points": points, "readings": readings,
        "measurements": int(metrics.get("hydro_measurements_total", 0)), "stored": int(metrics.get("hydro_journal_synced_lsn", 0)),
        "filed": verdict["taken"], "lost": len(lost) + filing_lost, "p99_freshness_ms": round(metrics.get("hydro_freshness_p99_seconds", 0) * 1000, 3),
        "filing": {"works": points if filing else 0, "due": verdict["due"] if filing else 0, "waiting": verdict["unfiled"] if filing else 0, "late": verdict["late"], "lost": filing_lost},
    }, lost + wrong


def wait_until(end, daemon, sim):
    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.append(True))
    last_line = 0
    while not stop and (end is None or time.monotonic() < end):
        time.sleep(0.2)
        for process in (daemon, sim):
            if not process.alive():
                raise hydrolab.Failed(f"{process.name} ended by itself:\n" + process.log_text()[-3000:])
        if time.monotonic() - last_line > 10:
            last_line = time.monotonic()
            say(f"  {int(daemon.metrics().get('hydro_measurements_total', 0))} measurements so far")


def main():
    options = parse()
    folder = options.data or hydrolab.folder_for("run")
    folder.mkdir(parents=True, exist_ok=True)
    port = options.port if options.seconds is None else (0 if options.port == 8000 else options.port)
    sim = daemon = None
    try:
        sim = hydrolab.Sim(folder, "--points", options.points, "--threads", 1)
        daemon = hydrolab.Daemon(folder / "hydrod", sim.port, port=port, extra=f"  seal = '{options.seal}',\n" + hydrolab.filing_config(sim.port, filing_settings(options.seconds)))
        have = daemon.http.get("/api/v1/points/?limit=1")["total"]
        since = int(time.time() * 1000) // HOUR_MS * HOUR_MS  # a new point is asked for the hour before: its last round hour can be filed
        if not have:
            daemon.import_from(sim, period=options.period)
            if options.filing != "off":
                hydrolab.set_up_filing(daemon, sim, hydrolab.iso(since), mode=options.filing, centres=-(-options.points // POINTS_A_CENTRE))
        say(f"hydrod runs with {options.points} points on real series, replayed by the simulator on port {sim.port}.")
        say(f"  look:     http://127.0.0.1:{daemon.port}/")
        if options.filing != "off":
            say(f"  filing:   http://127.0.0.1:{daemon.port}/api/v1/dga/status, `hydroctl dga status`; the DGA's own books: http://127.0.0.1:{sim.port}/sim/dga/verdict")
        say(f"  API key:  {daemon.folder / 'admin.key'}")
        say(f"  command:  HYDRO_URL=http://127.0.0.1:{daemon.port} HYDRO_API_KEY_FILE={daemon.folder / 'admin.key'} {hydrolab.build_dir() / 'bin' / 'hydroctl'} status")
        say(f"  logs:     {daemon.log_path}, {sim.log_path}")
        if options.seconds is None:
            say("Ctrl-C ends it.")
        wait_until(None if options.seconds is None else time.monotonic() + options.seconds, daemon, sim)
        result, lost = summary(daemon, sim, options.points, since, options.filing == "live")
        if options.json:
            print(json.dumps(result), flush=True)
        else:
            say("  ".join(f"{key}: {value}" for key, value in result.items()))
        for row in lost[:20]:
            say("lost: " + " ".join(map(str, row)))
        daemon.stop()
        return 1 if result["lost"] or not result["readings"] else 0
    except hydrolab.Failed as failed:
        say(f"error: {failed}")
        return 2
    finally:
        for process in (daemon, sim):
            if process and process.alive():
                process.kill()
        if not options.data:
            hydrolab.remove(folder)


if __name__ == "__main__":
    sys.exit(main())
