# SPDX-License-Identifier: MIT
"""Each fault on demand: what it does to answers and readings, and that the truth can be told from what was served."""
import http.client
import json
import os
import socket
import tempfile
import unittest

from simtest import DAY, HOUR, MINUTE, START_MS, Case, Sim, iso


class Requests(Case):
    args = ("--points", "40", "--hang-max", "300ms")

    def test_5xx_401_404_429_empty_and_html(self):
        point = self.sim.point("nettra")
        for fault, status in (({"kind": "http_5xx", "status": 502}, 502), ({"kind": "unauthorized"}, 401), ({"kind": "not_found"}, 404),
                              ({"kind": "rate_limit", "delay": "7s"}, 429), ({"kind": "empty"}, 200), ({"kind": "not_json"}, 200)):
            self.sim.fault(provider="nettra", count=1, **fault)
            answer = self.sim.nettra(point)
            self.assertEqual(answer.status, status, fault)
            if fault["kind"] == "rate_limit":
                self.assertEqual(answer.headers["Retry-After"], "7")
            if fault["kind"] == "empty":
                self.assertEqual(answer.json(), [])
            if fault["kind"] == "not_json":
                self.assertRaises(ValueError, answer.json)
        self.assertEqual(self.sim.served(point)["pulses"]["count"], 0)
        self.assertEqual(len(self.sim.nettra(point).json()), 1)

    def test_empty_has_each_providers_form(self):
        self.sim.fault(kind="empty")
        self.assertEqual(self.sim.twin(self.sim.point("twin"), token="x").json(), {})
        self.assertEqual(self.sim.novus(self.sim.point("novus"), query="last_item").json(), {"status": True, "result": []})

    def test_a_hang_never_answers_and_is_cut_at_last(self):
        point = self.sim.point("nettra")
        self.sim.fault(kind="hang", count=1)
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionResetError)):
            self.sim.nettra(point)
        totals = self.sim.get("/sim/served").json()
        self.assertEqual((totals["requests"]["nettra"], totals["measurements"]), ({"hang": 1}, 0))

    def test_a_cut_sends_half_of_the_announced_length(self):
        point = self.sim.point("nettra")
        whole = self.sim.nettra(point, limit=50).body
        self.sim.fault(kind="cut", count=1)
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.sim.nettra(point, limit=50)
        self.assertEqual(caught.exception.partial, whole[:len(whole) // 2])
        self.assertEqual(self.sim.get("/sim/served").json()["requests"]["nettra"]["cut"], 1)

    def test_out_of_order_shuffles_a_history(self):
        point = self.sim.point("twin")
        before = self.sim.pulses(point, START_MS - HOUR, START_MS)
        self.sim.fault(kind="out_of_order")
        after = self.sim.pulses(point, START_MS - HOUR, START_MS)
        self.assertNotEqual(before, after)
        self.assertEqual(before, sorted(after))

    def test_probability_count_window_and_points_bound_a_fault(self):
        points = self.sim.points("nettra", 3)
        self.sim.fault(kind="http_5xx", probability=0.3, point=points[0]["point"])
        failed = sum(self.sim.nettra(points[0]).status == 503 for _ in range(200))
        self.assertTrue(30 < failed < 90, failed)
        self.assertEqual(self.sim.nettra(points[1]).status, 200)
        self.sim.request("DELETE", "/sim/faults")
        self.sim.fault(kind="http_5xx", points=[points[0]["point"], points[1]["point"]], **{"from": "+10m", "until": "+20m"})
        self.assertEqual([self.sim.nettra(p).status for p in points], [200, 200, 200])
        self.clock.advance(10 * MINUTE)
        self.assertEqual([self.sim.nettra(p).status for p in points], [503, 503, 200])
        self.clock.advance(10 * MINUTE)
        self.assertEqual([self.sim.nettra(p).status for p in points], [200, 200, 200])
        self.sim.fault(kind="http_5xx", provider="twin")
        self.assertEqual(self.sim.nettra(points[0]).status, 200)

    def test_an_outage_with_history_hides_nothing_afterwards(self):
        point = self.sim.point("nettra")
        self.sim.fault(kind="outage", provider="nettra", **{"from": START_MS, "until": START_MS + 6 * HOUR})
        self.clock.advance(3 * HOUR)
        self.assertEqual(self.sim.nettra(point).status, 503)
        self.clock.advance(3 * HOUR)
        rows = self.sim.nettra(point, "flow", startDate=iso(START_MS + 1), limit=1000).json()
        self.assertEqual(len(rows), 360)

    def test_an_outage_without_history_leaves_a_gap(self):
        point = self.sim.point("nettra")
        self.sim.fault(kind="outage", provider="nettra", history=False, mode="cut", **{"from": START_MS, "until": START_MS + 6 * HOUR})
        self.clock.advance(3 * HOUR)
        with self.assertRaises(http.client.IncompleteRead):
            self.sim.nettra(point)
        self.clock.advance(3 * HOUR + 10 * MINUTE)
        rows = self.sim.nettra(point, "flow", startDate=iso(START_MS), limit=1000).json()
        self.assertLessEqual(len(rows), 11)
        lost = [r for r in self.sim.truth(point, START_MS, START_MS + 7 * HOUR) if r.get("lost")]
        self.assertEqual(len(lost), 360)


class Data(Case):
    args = ("--points", "40", "--token-life", "30d")

    def rows(self, kind, point, **args):
        """Truth of the next two hours under a fault of one hour."""
        self.sim.fault(kind=kind, point=point["point"], **{"from": START_MS + 30 * MINUTE, "until": START_MS + 90 * MINUTE, **args})
        self.clock.set(START_MS + 2 * HOUR)
        rows = self.sim.truth(point, START_MS, START_MS + 2 * HOUR)
        return rows, [r for r in rows if kind in r.get("events", ())]

    def served_pulses(self, r):
        return r.get("served", r["true"])["pulses"]

    def check_shown(self, point, rows):
        """What the provider shows is what the truth says it served."""
        shown = self.sim.pulses(point, START_MS, START_MS + 4 * HOUR)
        self.assertEqual(shown, [(r.get("served_ts", r["ts"]), self.served_pulses(r)) for r in rows])

    def test_negative_status(self):
        point = self.sim.point("novus")
        rows, hit = self.rows("negative_status", point)
        self.assertEqual(len(hit), 60)
        self.assertTrue(all(-5 <= v <= -1 for r in hit for v in r["served"].values()))
        values = [r["value"] for r in self.sim.novus(point, "flow", start_date=iso(START_MS), end_date=iso(START_MS + 2 * HOUR), qty=500).json()["result"]]
        self.assertEqual(sorted(values), sorted(r.get("served", r["true"])["flow"] for r in rows))

    def test_negative_status_of_one_metric(self):
        _, hit = self.rows("negative_status", self.sim.point("novus"), metric="level", value=3)
        self.assertTrue(all(r["served"] == {**r["true"], "level": -3} for r in hit))

    def test_disconnected_and_zero(self):
        point = self.sim.point("twin")
        rows, hit = self.rows("disconnected", point)
        self.assertTrue(all(set(r["served"].values()) == {0} for r in hit))
        self.check_shown(point, rows)
        other = self.sim.points("twin", 2)[1]
        _, hit = self.rows("zero", other)
        self.assertTrue(all(r["served"] == {**r["true"], "pulses": 0} for r in hit) and len(hit) == 60)

    def test_duplicate_rows_come_twice(self):
        point = self.sim.point("twin")
        rows, hit = self.rows("duplicate", point)
        shown = self.sim.pulses(point, START_MS, START_MS + 2 * HOUR)
        self.assertEqual((len(rows), len(hit), len(shown)), (120, 60, 180))
        self.assertEqual(sorted(set(shown)), [(r["ts"], r["true"]["pulses"]) for r in rows])
        self.assertEqual(self.sim.served(point)["pulses"]["count"], 120)

    def test_late_by_a_delay(self):
        point = self.sim.point("twin")
        self.sim.fault(kind="late", point=point["point"], delay="30m")
        self.assertEqual(self.sim.pulses(point, START_MS - 2 * HOUR, START_MS)[-1][0] // MINUTE, (START_MS - 30 * MINUTE) // MINUTE - 1)
        (row,) = self.sim.twin(point, ["flow"]).json()[point["options"]["keys"]["flow"]]
        self.assertLessEqual(row["ts"], START_MS - 30 * MINUTE)

    def test_late_until_the_windows_end_arrives_at_once(self):
        point = self.sim.point("twin")
        self.sim.fault(kind="late", point=point["point"], **{"from": START_MS, "until": START_MS + HOUR})
        self.clock.set(START_MS + HOUR - 1)
        self.assertEqual(self.sim.pulses(point, START_MS, START_MS + HOUR), [])
        self.clock.set(START_MS + HOUR)
        self.assertEqual(len(self.sim.pulses(point, START_MS, START_MS + HOUR)), 60)

    def test_missing_readings_never_existed(self):
        point = self.sim.point("twin")
        rows, hit = self.rows("missing", point, probability=0.5)
        self.assertTrue(15 < len(hit) < 45 and all(r["lost"] for r in hit))
        self.assertEqual([t for t, _ in self.sim.pulses(point, START_MS, START_MS + 2 * HOUR)], [r["ts"] for r in rows if not r.get("lost")])

    def test_jitter_is_below_one_percent(self):
        point = self.sim.point("twin")
        rows, hit = self.rows("jitter", point)
        self.assertEqual(len(hit), 60)
        for r in hit:
            self.assertTrue(0.99 * r["true"]["pulses"] < r["served"]["pulses"] < r["true"]["pulses"])
        self.check_shown(point, rows)

    def test_truncated_loses_more_than_90_percent(self):
        _, hit = self.rows("truncated", self.sim.point("twin"))
        self.assertTrue(hit and all(r["served"]["pulses"] == r["true"]["pulses"] // 100 for r in hit))

    def test_frozen_stands_while_water_flows(self):
        point = max(self.sim.points("twin"), key=lambda p: self.sim.truth(p, START_MS - HOUR, START_MS)[0]["true"]["flow"])
        rows, hit = self.rows("frozen", point, length=20)
        self.assertEqual(len(hit), 60)
        self.assertLessEqual(len({self.served_pulses(r) for r in hit}), 4)
        self.assertGreater(hit[-1]["true"]["pulses"], hit[0]["true"]["pulses"])
        self.check_shown(point, rows)

    def test_clock_ahead_moves_the_timestamps(self):
        point = self.sim.point("twin")
        rows, hit = self.rows("clock_ahead", point, delay="90m")
        self.assertTrue(len(hit) == 60 and all(r["served_ts"] == r["ts"] + 90 * MINUTE for r in hit))
        self.assertEqual(sorted(t for t, _ in self.sim.pulses(point, START_MS, START_MS + 4 * HOUR)), sorted(r.get("served_ts", r["ts"]) for r in rows))

    def event(self, kind, **args):
        point = self.sim.point("twin")
        rows, hit = self.rows(kind, point, **args)
        self.assertEqual(len(hit), 1)
        at = rows.index(hit[0])
        self.assertTrue(30 <= at <= 90, at)
        self.check_shown(point, rows)
        return rows, at, [self.served_pulses(r) for r in rows]

    def test_counter_reset(self):
        rows, at, shown = self.event("counter_reset")
        run = rows[-1]["true"]["pulses"] - rows[at]["true"]["pulses"]
        self.assertEqual(shown[at - 1], rows[at - 1]["true"]["pulses"])
        self.assertTrue(shown[at] <= rows[at]["true"]["pulses"] - rows[at - 1]["true"]["pulses"])
        self.assertEqual(shown[-1] - shown[at], run)

    def test_meter_replacement(self):
        _, at, shown = self.event("meter_replacement", value=17)
        self.assertTrue(17 <= shown[at] < 1000 < shown[at - 1])

    def test_rollback(self):
        _, at, shown = self.event("rollback", value=0.5)
        self.assertAlmostEqual(shown[at], shown[at - 1] / 2, delta=1000)

    def test_rollover(self):
        rows, at, shown = self.event("rollover")
        power = 10 ** len(str(rows[at]["true"]["pulses"]))
        self.assertTrue(power - 1000 < shown[at - 1] < power and shown[at] < 1000)
        self.assertEqual(sum((b - a) % power for a, b in zip(shown, shown[1:])), rows[-1]["true"]["pulses"] - rows[0]["true"]["pulses"])

    def test_jump(self):
        rows, at, shown = self.event("jump", value=123456)
        self.assertEqual([s - r["true"]["pulses"] for s, r in zip(shown, rows)], [0] * at + [123456] * (len(rows) - at))

    def test_events_follow_each_other(self):
        point = self.sim.point("twin")
        for kind, hour in (("jump", 1), ("counter_reset", 2), ("rollback", 3)):
            self.sim.fault(kind=kind, point=point["point"], **{"from": START_MS + hour * HOUR})
        self.clock.advance(4 * HOUR)
        rows = self.sim.truth(point, START_MS, START_MS + 4 * HOUR)
        self.assertEqual([r["events"] for r in rows if "events" in r], [["jump"], ["counter_reset"], ["rollback"]])

    def test_what_was_served_stays_when_the_fault_is_ended(self):
        point = self.sim.point("twin")
        fault = self.sim.fault(kind="jitter", point=point["point"], **{"from": START_MS})
        self.clock.advance(HOUR)
        before = self.sim.pulses(point, START_MS, START_MS + HOUR)
        self.assertEqual(self.sim.request("DELETE", "/sim/faults/%d" % fault).status, 200)
        self.clock.advance(HOUR)
        self.assertEqual(self.sim.pulses(point, START_MS, START_MS + HOUR), before)
        rows = self.sim.truth(point, START_MS, START_MS + 2 * HOUR)
        self.assertEqual(len([r for r in rows if "events" in r]), 60)
        self.sim.request("DELETE", "/sim/faults/%d?forget=1" % fault)
        self.assertNotEqual(self.sim.pulses(point, START_MS, START_MS + HOUR), before)
        self.assertEqual(self.sim.get("/sim/faults").json(), [])


class Control(Case):
    def test_wrong_faults_are_refused_with_the_members_name(self):
        for fault, word in (({"kind": "nonsense"}, "kind"), ({}, "kind"), ({"kind": "hang", "probability": 2}, "probability"),
                            ({"kind": "hang", "from": "noon"}, "from"), ({"kind": "hang", "surprise": 1}, "surprise"), ({"kind": "late"}, "delay"), ({"kind": "rollback", "value": -9e12}, "value"),
                            ({"kind": "hang", "points": [3, 1]}, "points"), ([{"kind": "hang"}, 7], "object"), ({"kind": "hang", "provider": "x"}, "provider")):
            answer = self.sim.request("POST", "/sim/faults", fault)
            self.assertEqual(answer.status, 400)
            self.assertIn(word, answer.json()["message"])
        self.assertEqual(self.sim.request("POST", "/sim/faults", "{").status, 400)
        self.assertEqual(self.sim.get("/sim/faults").json(), [])
        self.assertEqual(self.sim.request("DELETE", "/sim/faults/9").status, 404)

    def test_faults_are_listed_with_their_hits(self):
        self.sim.fault(kind="empty", provider="nettra", count=2)
        for _ in range(3):
            self.sim.nettra(self.sim.point("nettra"))
        (fault,) = self.sim.get("/sim/faults").json()
        self.assertEqual((fault["kind"], fault["services"], fault["hits"], fault["seen"]), ("empty", ["nettra"], 2, 3))

    def test_the_readme_has_each_kind(self):
        with open(os.path.join(os.path.dirname(__file__), "README.md"), encoding="utf-8") as f:
            readme = f.read()
        for kind in self.sim.get("/sim/faults/kinds").json():
            self.assertIn("`%s`" % kind["kind"], readme)

    def test_extreme_numbers_are_taken_or_refused(self):
        point = self.sim.point("twin")
        for kind, value in (("truncated", 8e15), ("jump", 8e15), ("jump", -8e15), ("counter_reset", 8e15), ("negative_status", 8e15), ("meter_replacement", -8e15)):
            self.sim.fault(kind=kind, value=value)
        self.sim.fault(kind="clock_ahead", delay=8 * 10**15, **{"from": -8 * 10**15, "until": 8 * 10**15})
        big = 2**63 - 1
        for start, end in ((0, big), (big, 0), (big, big), (0, 0)):
            self.assertEqual(self.sim.twin(point, startTs=start, endTs=end, limit=2**31 - 1).status, 200)
            self.assertEqual(self.sim.get("/sim/truth/0", **{"from": start - 2**63 if start == 0 else start, "to": end, "limit": 10}).status, 200)
        self.assertEqual(self.sim.twin(point, startTs=0, endTs=big + 1).status, 400)

    def test_broken_requests_harm_nobody(self):
        for junk in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET /twin/tdata/v1/telemetry/DEVICE/%00/values/timeseries HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"POST /sim/faults HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n[[[[[", b"\xff" * 4000):
            with socket.create_connection(("127.0.0.1", self.sim.port)) as s:
                s.sendall(junk)
        self.assertEqual(self.sim.get("/sim/status").status, 200)
        self.assertEqual(self.sim.request("POST", "/sim/faults", "x" * (2 << 20)).status, 413)


class File(unittest.TestCase):
    def test_faults_of_a_file_hold_from_the_start(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump([{"kind": "not_found", "provider": "nettra"}, {"kind": "empty", "provider": "novus"}], f)
            f.flush()
            sim = Sim("--points", "10", "--faults", f.name)
            self.assertEqual(sim.nettra(sim.point("nettra")).status, 404)
            self.assertEqual(len(sim.get("/sim/faults").json()), 2)
            sim.stop()


if __name__ == "__main__":
    unittest.main()
