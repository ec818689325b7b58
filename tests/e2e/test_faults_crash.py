#!/usr/bin/env python3
"""kill -9 and cuts of power at random moments under load: what was told is there afterwards, none twice, and nothing that was served is lost."""
import contextlib
import itertools
import os
import random
import time

import e2e
import faultlab
from e2e import hydrolab, wait_until

POINTS = 60
MANUAL = 4
KILLS = 200 if e2e.LONG else 4
CUTS = 100 if e2e.LONG else 4
SEED = int(os.environ.get("HYDRO_SEED", time.time()))


class Bench:
    """A simulator with quick loggers, a folder for the daemon, and all that the daemons on it ever told."""

    def __init__(self, name):
        self.folder = hydrolab.folder_for(name)
        self.home = self.folder / "hydrod"
        self.start = int(time.time() * 1000) - 600000
        self.sim = hydrolab.Sim(self.folder, "--points", POINTS, "--threads", 1, "--period", "2s", "--skew", "off", "--origin", faultlab.iso(self.start))
        self.daemon = self.daemon_on()
        assert self.daemon.import_from(self.sim, period=1, join="500ms") == POINTS
        self.ids = [point["id"] for point in self.daemon.points().values()]
        for number in range(MANUAL):
            self.daemon.http.call("POST", "/api/v1/points/", {"name": f"by hand {number}", "provider": "twin", "active": False, "pipeline": "well",
                                                              "options": {"device": f"by-hand-{number}", "keys": {"level": "1"}}})
        self.manual = [point["id"] for name, point in self.daemon.points().items() if name.startswith("by hand")]
        self.since = self.start - 40 * 86400000  # readings by hand lie before those of the loggers
        self.numbers = itertools.count(1)
        self.random = random.Random(SEED)
        self.seen, self.acked, self.ready_s = {}, {}, []

    def daemon_on(self, **options):
        return hydrolab.Daemon(self.home, self.sim.port, extra="  journal = { segment_bytes = '2MiB' }, history = { merge_after = '2s', merge_pending = '8MiB' },", **options)

    def watch(self):
        sample = self.random.sample(self.ids, 6)
        return faultlab.Watcher(self.daemon, sample, self.manual, self.since, self.numbers)

    def keep(self, watcher):
        watcher.end()
        self.seen.update(watcher.seen)
        self.acked.update(watcher.acked)

    def finish(self):
        """The daemon runs: all that was ever told, and all that was ever served, is there."""
        problems = faultlab.check_kept(self.daemon, self.seen, self.acked, 0, self.since)
        assert not problems, (len(problems), problems[:10])
        served = hydrolab.served_accounts(self.sim, POINTS)
        readings, lost = hydrolab.count_lost(self.daemon, served, join_ms=500)
        assert not lost, (len(lost), lost[:10])
        end = int(time.time() * 1000) - 5000
        behind = lambda: faultlab.compare_all(self.daemon, self.sim, range(POINTS), self.start, end, 500)[1]
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not behind(), 60, "the newest readings of all points")
        values, problems = faultlab.compare_all(self.daemon, self.sim, range(POINTS), self.start, end, 500)
        assert not problems, (len(problems), problems[:10])
        assert self.daemon.stop() == 0, self.daemon.log_text()[-2000:]
        self.sim.stop()
        databases = faultlab.databases_intact(self.home / "data")
        hydrolab.remove(self.folder)
        return f"{readings} readings served, 0 lost; {values} values as served; {len(self.seen)} rows seen and {len(self.acked)} acknowledged by hand, all there; {databases} databases intact"


def test_kill_9_at_random_moments_loses_nothing_that_was_told():
    bench = Bench("kill")
    young = 0
    for number in range(KILLS):
        watcher = bench.watch()
        time.sleep(bench.random.uniform(0.2, 1.5))
        bench.daemon.kill()
        bench.keep(watcher)
        if bench.random.random() < 0.25:  # and once more while it starts
            bench.daemon = bench.daemon_on(wait=0)
            time.sleep(bench.random.uniform(0, 0.4))
            bench.daemon.kill()
            young += 1
        begin = time.monotonic()
        bench.daemon = bench.daemon_on()
        bench.ready_s.append(time.monotonic() - begin)
        problems = faultlab.check_kept(bench.daemon, watcher.seen, watcher.acked, watcher.lsn, bench.since)
        assert not problems, (f"seed {SEED}, kill {number}", len(problems), problems[:10])
    slowest = max(bench.ready_s)
    print(f"kill -9: {KILLS} kills under load and {young} while starting (seed {SEED}), ready again within {slowest:.2f} s; {bench.finish()}")


def test_restarts_after_cuts_of_power_lose_nothing_that_was_told():
    shim = hydrolab.build_dir() / "bin" / "powercut.so"
    if not shim.exists():
        raise e2e.Skip("powercut.so is not built with sanitizers")
    bench = Bench("cut")
    bench.daemon.stop()
    cuts = young = told = 0
    for number in range(CUTS):
        early = bench.random.random() < 0.2
        at = bench.random.randint(1, 12) if early else bench.random.randint(20, 300)
        env = dict(os.environ, LD_PRELOAD=str(shim), HYDRO_CUT_ROOT=str(bench.home / "data"), HYDRO_CUT_AT=str(at),
                   HYDRO_CUT_KEEP=str(bench.random.choice((0, 0, 30, 70))), HYDRO_CUT_SEED=str(bench.random.randrange(1 << 30)))
        what = f"seed {SEED}, cut {number} at sync {at}, keep {env['HYDRO_CUT_KEEP']} %"
        bench.daemon = bench.daemon_on(env=env, wait=0)
        try:
            bench.daemon.attach(60)
        except (hydrolab.Failed, FileNotFoundError):
            assert bench.daemon.process.poll() == 99, (what, bench.daemon.log_text()[-2000:])
            young += 1
        else:
            # What was told of the run before is looked for in each run: most of it reads through recovery.
            watcher = bench.watch()
            wait_until(lambda: not bench.daemon.alive(), 120, f"the cut ({what})")
            assert bench.daemon.process.returncode == 99, (what, bench.daemon.process.returncode, bench.daemon.log_text()[-2000:])
            bench.keep(watcher)
            cuts += 1
            told += len(watcher.seen) + len(watcher.acked)
            faultlab.databases_intact(bench.home / "data")
            bench.daemon = bench.daemon_on()
            problems = faultlab.check_kept(bench.daemon, watcher.seen, watcher.acked, watcher.lsn, bench.since)
            assert not problems, (what, len(problems), problems[:10])
            bench.daemon.kill()
    bench.daemon = bench.daemon_on()
    print(f"power cuts: {cuts} under load and {young} while starting (seed {SEED}), {told} rows told before them; {bench.finish()}")


e2e.main(globals())
