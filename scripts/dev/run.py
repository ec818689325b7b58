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
    parser.add_argument("--seal", choices=("secrets", "all"), default="secrets", help="what is sealed at rest")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def summary(daemon, sim, points):
    served = hydrolab.served_accounts(sim, points)
    readings, lost = hydrolab.count_lost(daemon, served)
    metrics = daemon.metrics()
    filed = sum(value for name, value in metrics.items() if name.startswith("hydro_filing_filed_total"))
    return {
        "points": points, "readings": readings,
        "measurements": int(metrics.get("hydro_measurements_total", 0)), "stored": int(metrics.get("hydro_journal_synced_lsn", 0)),
        "filed": int(filed), "lost": len(lost), "p99_freshness_ms": round(metrics.get("hydro_freshness_p99_seconds", 0) * 1000, 3),
    }, lost


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
        daemon = hydrolab.Daemon(folder / "hydrod", sim.port, port=port, extra=f"  seal = '{options.seal}',")
        have = daemon.http.get("/api/v1/points/?limit=1")["total"]
        if not have:
            daemon.import_from(sim, period=options.period)
        say(f"hydrod runs with {options.points} points on real series, replayed by the simulator on port {sim.port}.")
        say(f"  look:     http://127.0.0.1:{daemon.port}/")
        say(f"  API key:  {daemon.folder / 'admin.key'}")
        say(f"  command:  HYDRO_URL=http://127.0.0.1:{daemon.port} HYDRO_API_KEY_FILE={daemon.folder / 'admin.key'} {hydrolab.build_dir() / 'bin' / 'hydroctl'} status")
        say(f"  logs:     {daemon.log_path}, {sim.log_path}")
        if options.seconds is None:
            say("Ctrl-C ends it.")
        wait_until(None if options.seconds is None else time.monotonic() + options.seconds, daemon, sim)
        result, lost = summary(daemon, sim, options.points)
        if options.json:
            print(json.dumps(result), flush=True)
        else:
            say("  ".join(f"{key}: {value}" for key, value in result.items()))
        for name, metric, ts in lost[:20]:
            say(f"lost: {name} {metric} {ts}")
        daemon.stop()
        return 1 if lost or not result["readings"] else 0
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
