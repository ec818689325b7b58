# SPDX-License-Identifier: MIT
"""The providers' APIs in the shapes of DOMAIN §3, and the account of what was served."""
import base64
import csv
import io
import json
import subprocess
import unittest

from simtest import BINARY, DAY, HOUR, MINUTE, START_MS, Case, Sim, checksum, iso


class Twin(Case):
    def test_login_gives_a_jwt_with_its_end(self):
        point = self.sim.point("twin")
        head, claims, signature = self.sim.login(point).split(".")
        pad = lambda t: json.loads(base64.urlsafe_b64decode(t + "=" * (-len(t) % 4)))
        self.assertEqual(pad(head)["alg"], "HS256")
        self.assertEqual(pad(claims)["exp"], START_MS // 1000 + 3600)
        self.assertEqual(len(base64.urlsafe_b64decode(signature + "=")), 32)

    def test_wrong_credentials_are_401_and_none_400(self):
        path = "/twin/tdata/v1/login"
        self.assertEqual(self.sim.request("POST", path, {"username": "sim-twin-1", "password": "x"}).status, 401)
        self.assertEqual(self.sim.request("POST", path, {"username": "nobody", "password": "x"}).status, 401)
        self.assertEqual(self.sim.request("POST", path, "{").status, 400)
        self.assertEqual(self.sim.request("POST", path).status, 400)

    def test_token_unknown_expired_or_revoked_is_401(self):
        point = self.sim.point("twin")
        token = self.sim.login(point)
        self.assertEqual(self.sim.twin(point, token=token).status, 200)
        self.assertEqual(self.sim.twin(point, token=token[:-2] + "AA").status, 401)
        self.assertEqual(self.sim.twin(point, token="a.b.c").status, 401)
        self.assertEqual(self.sim.get("/twin/tdata/v1/telemetry/DEVICE/%s/values/timeseries" % point["options"]["device"]).status, 401)
        self.clock.advance(HOUR)
        self.assertEqual(self.sim.twin(point, token=token).status, 401)
        token = self.sim.login(point)
        self.sim.request("POST", "/sim/revoke")
        self.assertEqual(self.sim.twin(point, token=token).status, 401)

    def test_latest_has_one_string_value_for_each_key(self):
        point = self.sim.point("twin")
        answer = self.sim.twin(point).json()
        last = self.sim.truth(point, START_MS - MINUTE + 1, START_MS)[-1]
        self.assertEqual(set(answer), set(point["options"]["keys"].values()))
        for metric, key in point["options"]["keys"].items():
            (row,) = answer[key]
            self.assertIsInstance(row["value"], str)
            self.assertEqual(row["ts"], last["ts"])
            self.assertEqual(float(row["value"]), last["true"][metric])

    def test_history_pages_on_by_last_timestamp_and_ends_empty(self):
        point = self.sim.point("twin")
        key = point["options"]["keys"]["flow"]
        start, seen = START_MS - 5 * HOUR, []
        while True:
            answer = self.sim.twin(point, ["flow"], startTs=start, endTs=START_MS, asc="true").json()
            if not answer:
                break
            self.assertLessEqual(len(answer[key]), 100)
            seen += [r["ts"] for r in answer[key]]
            start = seen[-1] + 1
        self.assertEqual(seen, [r["ts"] for r in self.sim.truth(point, START_MS - 5 * HOUR, START_MS)])
        self.assertEqual(len(seen), 300)

    def test_history_without_asc_is_the_newest_first(self):
        point = self.sim.point("twin")
        rows = self.sim.twin(point, ["flow"], startTs=START_MS - DAY, endTs=START_MS, limit=3).json()[point["options"]["keys"]["flow"]]
        last = self.sim.truth(point, START_MS - 4 * MINUTE, START_MS)[-3:]
        self.assertEqual([r["ts"] for r in rows], [r["ts"] for r in reversed(last)])

    def test_retention_bounds_the_history(self):
        point = self.sim.point("twin")
        rows = self.sim.pulses(point, START_MS - 60 * DAY, START_MS - 29 * DAY)
        self.assertEqual(len(rows), 1440)
        self.assertGreaterEqual(rows[0][0], START_MS - 30 * DAY)

    def test_unknown_keys_are_left_out_and_unknown_devices_404(self):
        point = self.sim.point("twin")
        headers = {"Authorization": "Bearer " + self.sim.login(point)}
        path = "/twin/tdata/v1/telemetry/DEVICE/%s/values/timeseries?keys=%s"
        self.assertEqual(self.sim.get(path % (point["options"]["device"], "9999"), headers).json(), {})
        self.assertEqual(self.sim.get(path % ("0" * 20, "5001"), headers).status, 404)
        self.assertEqual(self.sim.get(path % (point["options"]["device"], "5001") + "&limit=x", headers).status, 400)


class Nettra(Case):
    def test_latest_is_one_row_with_the_variables_own_time(self):
        point = self.sim.point("nettra")
        last = self.sim.truth(point, START_MS - 2 * MINUTE, START_MS)[-1]
        (row,) = self.sim.nettra(point, "flow").json()
        self.assertEqual(row, {"datetime": iso(last["ts"]), "value": last["true"]["flow"]})

    def test_a_window_is_newest_first(self):
        point = self.sim.point("nettra")
        skew = point["skew_ms"][2]
        rows = self.sim.nettra(point, startDate=iso(START_MS - HOUR), endDate=iso(START_MS), limit=20).json()
        truth = self.sim.truth(point, START_MS - HOUR, START_MS - skew)[-20:]
        self.assertEqual([r["datetime"] for r in rows], [iso(r["ts"] + skew) for r in reversed(truth)])
        self.assertEqual([r["value"] for r in rows], [r["true"]["pulses"] for r in reversed(truth)])

    def test_dates_in_other_forms_mean_the_same(self):
        point = self.sim.point("nettra")
        forms = [iso(START_MS - HOUR), "20251231230000", str(START_MS - HOUR), str((START_MS - HOUR) // 1000)]
        answers = {self.sim.nettra(point, startDate=f, limit=10000).body for f in forms}
        self.assertEqual(len(answers), 1)

    def test_unknown_things_are_404_and_unknown_resources_empty(self):
        point = self.sim.point("nettra")
        self.assertEqual(self.sim.get("/nettra/v2/things/%s/resources/x" % ("0" * 40)).status, 404)
        self.assertEqual(self.sim.get("/nettra/v2/things/%s/resources/x" % point["options"]["thing"]).json(), [])


class Novus(Case):
    def test_last_item_has_the_newest_value(self):
        point = self.sim.point("novus")
        last = self.sim.truth(point, START_MS - 2 * MINUTE, START_MS)[-1]
        answer = self.sim.novus(point, "flow", query="last_item").json()
        self.assertTrue(answer["status"])
        (row,) = answer["result"]
        self.assertEqual((row["time"], row["value"]), (iso(last["ts"]), last["true"]["flow"]))

    def test_a_window_holds_all_in_no_order(self):
        point = self.sim.point("novus")
        rows = self.sim.novus(point, "flow", start_date=iso(START_MS - HOUR), end_date=iso(START_MS), qty=100).json()["result"]
        times = [r["time"] for r in rows]
        self.assertEqual(sorted(times), [iso(r["ts"]) for r in self.sim.truth(point, START_MS - HOUR, START_MS)])
        self.assertNotIn(times, (sorted(times), sorted(times, reverse=True)))
        self.assertEqual(times, [r["time"] for r in self.sim.novus(point, "flow", start_date=iso(START_MS - HOUR), end_date=iso(START_MS), qty=100).json()["result"]])

    def test_without_a_known_device_token_401(self):
        self.assertEqual(self.sim.get("/novus/data?variable=x&query=last_item").status, 401)
        self.assertEqual(self.sim.get("/novus/data?variable=x&query=last_item", {"authorization": "0" * 36}).status, 401)


class Json(Case):
    args = ("--points", "8", "--mix", "0:0:0:1")

    def test_latest_and_window(self):
        point = self.sim.point("http_json")
        base = "/json/devices/" + point["options"]["token"]
        truth = self.sim.truth(point, START_MS - HOUR, START_MS)
        rows = self.sim.get(base + "/readings", **{"from": iso(START_MS - HOUR), "to": START_MS}).json()["readings"]
        self.assertEqual([r["time"] for r in rows], [iso(r["ts"]) for r in truth])
        self.assertEqual([{m: r[m] for m in r if m != "time"} for r in rows], [r["true"] for r in truth])
        self.assertEqual(self.sim.get(base + "/latest").json()["readings"], rows[-1:])
        self.assertEqual(self.sim.get("/json/devices/00000000000000000000/latest").status, 404)


class World(Case):
    args = ("--points", "344")

    def test_the_mix_is_64_60_48(self):
        count = lambda p: len(self.sim.points(p))
        self.assertEqual((count("twin"), count("nettra"), count("novus")), (128, 120, 96))

    def test_tokens_are_all_different(self):
        secrets = [str(p["options"]) for p in self.sim.points()]
        self.assertEqual(len(set(secrets)), 344)

    def test_the_csv_says_what_the_list_says(self):
        rows = list(csv.DictReader(io.StringIO(self.sim.get("/sim/points.csv").body.decode())))
        points = self.sim.points()
        self.assertEqual(len(rows), len(points))
        for row, point in zip(rows, points):
            self.assertEqual((row["name"], row["provider"], row["account"], int(row["period"])),
                             (point["name"], point["provider"], point["account"], point["period_s"]))
            self.assertEqual((json.loads(row["options"]), json.loads(row["params"])), (point["options"], point["params"]))

    def test_the_csv_takes_a_poll_period_and_a_pipeline(self):
        answer = self.sim.get("/sim/points.csv", poll="15m", pipeline="other", offset=10, limit=5)
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        self.assertEqual([(r["name"], r["period"], r["pipeline"]) for r in rows], [("SIM-%07d" % n, "900", "other") for n in range(11, 16)])
        self.assertEqual(self.sim.get("/sim/points.csv", poll="soon").status, 400)

    def test_the_accounts_as_csv_carry_the_credentials(self):
        rows = list(csv.DictReader(io.StringIO(self.sim.get("/sim/accounts.csv").body.decode())))
        accounts = self.sim.get("/sim/accounts").json()
        self.assertEqual([(r["name"], r["provider"]) for r in rows], [(a["name"], a["provider"]) for a in accounts])
        self.assertEqual(json.loads(rows[0]["options"]), {"username": accounts[0]["username"], "password": accounts[0]["password"]})
        self.assertEqual(rows[1]["options"], "")

    def test_counter_and_flow_tell_the_same(self):
        for point in self.sim.points("twin", 12):
            rows = self.sim.truth(point, START_MS - 3 * DAY, START_MS)
            litres = sum(r["true"]["flow"] for r in rows[1:]) * 60
            counted = (rows[-1]["true"]["pulses"] - rows[0]["true"]["pulses"]) * point["params"]["litres_per_pulse"]
            self.assertAlmostEqual(litres, counted, delta=0.02 * litres + 2 * point["params"]["litres_per_pulse"] + 60 * 0.005 * len(rows))
            self.assertTrue(all(a["true"]["pulses"] <= b["true"]["pulses"] for a, b in zip(rows, rows[1:])))
            self.assertTrue(all(0 <= r["true"]["flow"] <= 1.01 * point["params"]["flow_granted"] for r in rows))
            self.assertTrue(all(0 < r["true"]["level"] < point["params"]["sensor_depth"] for r in rows))

    def test_loggers_have_their_own_phase(self):
        phases = {p["phase_ms"] for p in self.sim.points()}
        self.assertGreater(len(phases), 50)

    def test_the_account_knows_exactly_what_was_served(self):
        point = self.sim.point("twin")
        early = [t for t, _ in self.sim.pulses(point, START_MS - 5 * HOUR, START_MS - 4 * HOUR)]
        late = [t for t, _ in self.sim.pulses(point, START_MS - 2 * HOUR, START_MS - HOUR)]
        again = self.sim.pulses(point, START_MS - 2 * HOUR, START_MS - HOUR)
        self.sim.twin(point, ["flow"])
        served = self.sim.served(point)
        self.assertEqual(served["pulses"], {"count": 120, "checksum": checksum(early + late),
                                            "runs": [[early[0], early[-1], 60], [late[0], late[-1], 60]]})
        self.assertEqual((served["level"]["count"], served["flow"]["count"], served["measurements"]["count"]), (0, 1, 121))
        totals = self.sim.get("/sim/served").json()
        self.assertEqual((totals["measurements"], totals["values"], totals["repeats"]), (121, 121, len(again)))
        self.assertEqual(totals["requests"]["twin"]["200"], 5)
        line = self.sim.get("/sim/served.csv", first=0, last=0).body.decode().splitlines()[1]
        self.assertEqual(line, "SIM-0000001,0,121,%s" % served["measurements"]["checksum"])

    def test_filled_gaps_join_the_runs(self):
        point = self.sim.point("twin")
        for start, end in ((4, 3), (2, 1), (3, 2)):
            self.sim.pulses(point, START_MS - start * HOUR, START_MS - end * HOUR)
        self.assertEqual([r[2] for r in self.sim.served(point)["pulses"]["runs"]], [180])


class Seeds(unittest.TestCase):
    def read(self, *args):
        sim = Sim("--points", "10", *args)
        point = sim.points()[3]
        result = (point["options"], sim.truth(point, START_MS - HOUR, START_MS))
        sim.stop()
        return result

    def test_the_seed_alone_decides(self):
        self.assertEqual(self.read("--seed", "7"), self.read("--seed", "7"))
        self.assertNotEqual(self.read("--seed", "7"), self.read("--seed", "8"))
        self.assertEqual(self.read("--seed", "7"), self.read("--seed", "7", "--points", "100000"))

    def test_a_million_points_cost_little_memory(self):
        sim = Sim("--points", "1000000")
        last = sim.get("/sim/points", offset=999999).json()["points"][0]
        self.assertEqual(last["name"], "SIM-1000000")
        self.assertEqual(len(sim.truth(last, START_MS - HOUR, START_MS)), 60)
        with open("/proc/%d/status" % sim.process.pid) as f:
            rss = next(int(l.split()[1]) for l in f if l.startswith("RssAnon"))
        sim.stop()
        if "asan" not in BINARY and "tsan" not in BINARY:
            self.assertLess(rss, 100 * 1024)

    def test_periods_and_accounts_can_be_set(self):
        sim = Sim("--points", "40", "--period", "twin=1s,nettra=1h", "--accounts", "3")
        self.assertEqual({p["provider"]: p["period_s"] for p in sim.points()}, {"twin": 1, "nettra": 3600, "novus": 60})
        points = sim.points("twin")
        self.assertEqual({p["account"] for p in points}, {"sim-twin-1", "sim-twin-2", "sim-twin-3"})
        other = next(p for p in points if p["account"] != points[0]["account"])
        self.assertEqual(sim.twin(other, token=sim.login(points[0])).status, 404)
        sim.stop()

    def test_wrong_options_are_refused_with_their_name(self):
        for args, word in ((("--nonsense",), "--nonsense"), (("--points", "0"), "--points"), (("--period", "x"), "--period"),
                           (("--data", "/nonexistent"), "/nonexistent"), (("--faults", "/nonexistent"), "/nonexistent"), (("--mix", "1"), "--mix")):
            result = subprocess.run([BINARY, *args], capture_output=True, text=True)
            self.assertEqual(result.returncode, 1)
            self.assertIn(word, result.stderr)
        self.assertIn("--dga-ledger", subprocess.run([BINARY, "--help"], capture_output=True, text=True).stdout)

    def test_without_a_clock_file_time_is_real(self):
        sim = Sim("--points", "4", clock=False)
        self.assertFalse(sim.get("/sim/status").json()["simulated"])
        self.assertEqual(sim.get("/sim/nonsense").status, 404)
        self.assertEqual(sim.get("/").status, 404)
        sim.stop()


if __name__ == "__main__":
    unittest.main()
