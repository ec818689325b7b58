# SPDX-License-Identifier: MIT
"""The regulator's API by DOMAIN §2, with its ledger."""
import copy
import http.client
import os
import re
import tempfile
import unittest

from simtest import START_MS, Case, Sim

BASE = "/dga/api/v1/mediciones/"
WORK = "OB-0101-7"
BODY = {
    "autenticacion": {"password": "not-a-secret", "rutEmpresa": "76086428-5", "rutUsuario": "12531909-2"},
    "medicionSubterranea": {"caudal": "25.70", "fechaMedicion": "2026-01-01", "horaMedicion": "14:00:00", "nivelFreaticoDelPozo": "3.00", "totalizador": "1234500"},
}
FLOWMETER = {"autenticacion": BODY["autenticacion"],
             "medicionSuperficialFlujometro": {"caudal": "1.05", "fechaMedicion": "2026-01-01", "horaMedicion": "14:00:00", "totalizador": "0"}}
CHANNEL = {"autenticacion": BODY["autenticacion"],
           "medicionSuperficial": {"alturaLimnimetrica": "120", "caudal": "110.00", "fechaMedicion": "2026-01-01", "horaMedicion": "14:00:00"}}
HEADERS = {"codigoObra": WORK, "timeStampOrigen": "2026-01-01T14:00:05-0000", "Content-Type": "application/json"}


def changed(**fields):
    body = copy.deepcopy(BODY)
    body["medicionSubterranea"].update(fields)
    return body


class Dga(Case):
    args = ("--points", "4", "--hang-max", "300ms")

    def post(self, body=BODY, path="subterraneas", **headers):
        return self.sim.request("POST", BASE + path, body, {k: v for k, v in {**HEADERS, **headers}.items() if v is not None})

    def read(self, receipt, path="subterraneas", work=WORK):
        return self.sim.get(BASE + path, codigoObra=work, numeroComprobante=receipt)

    def ledger(self):
        return self.sim.get("/sim/dga/ledger").json()

    def file(self, **args):
        return self.post(**args).json()["data"]["numeroComprobante"]

    def test_a_filing_gets_00_and_a_receipt_that_get_shows(self):
        answer = self.post()
        self.assertEqual(answer.status, 200)
        data = answer.json()
        self.assertEqual((data["status"], data["message"]), ("00", "Medición subterránea ingresada correctamente"))
        receipt = data["data"]["numeroComprobante"]
        self.assertRegex(receipt, "^[A-Za-z0-9]{32}$")
        self.assertEqual(self.read(receipt).json()["data"], {"caudal": "25.7", "fechaMedicion": "01-01-2026", "horaMedicion": "14:00:00",
                                                              "nivelFreaticoDelPozo": "3", "totalizador": "1234500"})
        (event,) = self.ledger()["events"]
        self.assertEqual((event["outcome"], event["receipt"], event["arrival_ms"], event["flow"]), ("filed", receipt, START_MS, "25.70"))

    def test_the_other_kinds(self):
        receipt = self.file(body=FLOWMETER, path="superficiales/flujometro")
        self.assertEqual(self.read(receipt, "superficiales/flujometro").json()["data"]["totalizador"], "0")
        receipt = self.file(body=CHANNEL, path="superficiales", codigoObra="OR-0101-8")
        self.assertEqual(self.read(receipt, "superficiales", "OR-0101-8").json()["data"]["alturaLimnimetrica"], "120")
        self.assertEqual(self.read(receipt, "superficiales/flujometro", "OR-0101-8").status, 404)

    def test_a_later_version_of_the_manual_beside_this_one(self):
        body = changed()
        body["medicionSubterranea"]["nivelFreatico"] = body["medicionSubterranea"].pop("nivelFreaticoDelPozo")
        self.assertIn("nivelFreatico", self.post(BODY, "v2/subterraneas").json()["message"])
        receipt = self.file(body=body, path="v2/subterraneas")
        self.assertEqual(self.read(receipt, "v2/subterraneas").json()["data"]["nivelFreatico"], "3")
        self.assertEqual(self.read(receipt).json()["data"]["nivelFreaticoDelPozo"], "3")
        self.assertIn(receipt, self.post(BODY).json()["message"])

    def test_the_same_hour_again_is_a_duplicate_with_the_receipt(self):
        receipt = self.file()
        for body in (BODY, changed(caudal="1.00")):
            answer = self.post(body)
            self.assertEqual(answer.status, 400)
            message = answer.json()["message"]
            self.assertTrue(message.startswith("Ya existe un registro en esa fecha, hora para la obra. Comprobante: "))
            self.assertEqual(re.search(r"comprobante:\s*([A-Za-z0-9]+)", message, re.I).group(1), receipt)
        self.assertEqual(self.read(receipt).json()["data"]["caudal"], "25.7")
        self.assertEqual((self.ledger()["filed"], self.ledger()["duplicate"]), (1, 2))
        self.assertEqual(self.post(changed(horaMedicion="15:00:00")).status, 200)
        self.assertEqual(self.post(codigoObra="OB-0101-8").status, 200)

    def test_another_informant_is_refused(self):
        self.sim.request("POST", "/sim/dga/informant?work=%s&rut=76498451-K" % WORK)
        answer = self.post()
        self.assertEqual((answer.status, answer.json()["message"]), (400, "Usuario no es el informante registrado en la Obra"))
        self.assertEqual(self.ledger()["not_informant"], 1)

    def test_wrong_formats_are_refused_by_name(self):
        for fields in ({"caudal": "25.7"}, {"caudal": "25,70"}, {"caudal": ""}, {"caudal": 25.7}, {"totalizador": "1.0"}, {"totalizador": "1" * 16},
                       {"totalizador": ""}, {"fechaMedicion": "01-01-2026"}, {"fechaMedicion": "2026-02-30"}, {"horaMedicion": "24:00:00"},
                       {"horaMedicion": "14:00"}, {"nivelFreaticoDelPozo": "3"}):
            answer = self.post(changed(**fields))
            self.assertEqual(answer.status, 400, fields)
            self.assertIn(next(iter(fields)), answer.json()["message"])
        self.assertEqual(self.post(changed(nivelFreaticoDelPozo="")).status, 200)
        for headers in ({"codigoObra": "OB-101-7"}, {"codigoObra": None}, {"timeStampOrigen": "2026-01-01 14:00"}, {"timeStampOrigen": None}, {"Content-Type": "text/plain"}):
            self.assertEqual(self.post(**headers).status, 400, headers)
        for rut in ("76086428-6", "76.086.428-5", "76498451-k", "1-9"):
            body = copy.deepcopy(BODY)
            body["autenticacion"]["rutEmpresa"] = rut
            self.assertIn("rutEmpresa", self.post(body).json()["message"])
        for junk in ("", "{", "[]", "{}", '{"autenticacion":7}'):
            self.assertEqual(self.post(junk).status, 400)
        self.assertEqual(self.ledger()["filed"], 1)

    def test_accepted_but_never_answered(self):
        for kind, error in (("dga_accept_hang", (http.client.RemoteDisconnected, ConnectionResetError)), ("dga_accept_cut", http.client.IncompleteRead)):
            self.sim.fault(kind=kind, count=1)
            work = "OB-0101-%d" % len(kind)
            with self.assertRaises(error):
                self.post(codigoObra=work)
            self.assertIn("Comprobante", self.post(codigoObra=work).json()["message"])

    def test_failures_before_acceptance_leave_no_trace(self):
        self.sim.fault(kind="http_5xx", provider="dga", count=1)
        self.assertEqual(self.post().status, 503)
        for kind in ("hang", "cut"):
            self.sim.fault(kind=kind, provider="dga", count=1)
            with self.assertRaises((http.client.HTTPException, ConnectionResetError)):
                self.post()
        self.sim.fault(kind="not_json", provider="dga", count=1)
        self.assertRaises(ValueError, self.post().json)
        self.assertEqual(self.ledger()["total"], 0)
        self.assertEqual(self.post().status, 200)

    def test_00_without_receipt(self):
        self.sim.fault(kind="dga_no_receipt", count=1)
        answer = self.post().json()
        self.assertEqual((answer["status"], answer["data"]), ("00", {}))
        self.assertEqual(self.ledger()["filed"], 1)

    def test_00_but_not_stored(self):
        self.sim.fault(kind="dga_not_stored", count=1)
        self.assertEqual(self.read(self.file()).status, 404)

    def test_duplicates_of_another_system(self):
        for value, flow in ((1, "25.7"), (0, "1.11")):
            self.sim.fault(kind="dga_duplicate", value=value, count=1)
            work = "OB-0101-%d" % (value + 1)
            receipt = self.post(codigoObra=work).json()["message"].split()[-1]
            self.assertEqual(self.read(receipt, work=work).json()["data"]["caudal"], flow)

    def test_other_messages_statuses_and_the_block(self):
        for kind, status in (("dga_not_informant", 400), ("dga_message", 400), ("dga_other_status", 200)):
            self.sim.fault(kind=kind, count=1)
            answer = self.post()
            self.assertEqual(answer.status, status)
            self.assertNotEqual(answer.json()["status"], "00")
        receipt = self.file()
        self.sim.fault(kind="dga_block")
        self.assertEqual((self.post().status, self.read(receipt).status), (403, 403))
        self.assertEqual(self.ledger()["refused"], 3)

    def test_the_judge_sees_each_post_also_those_that_fail(self):
        verdict = self.sim.get("/sim/dga/verdict").json()
        self.assertEqual((verdict["broken"], verdict["posts"], verdict["due"]), (0, 0, 0))
        self.sim.fault(kind="http_5xx", provider="dga", count=1)
        self.post()
        self.clock.advance(600000)
        receipt = self.file()
        self.clock.advance(1000)
        self.read(receipt)
        verdict = self.sim.get("/sim/dga/verdict", **{"from": START_MS, "to": START_MS + 3600000}).json()
        self.assertEqual((verdict["posts"], verdict["gets"], verdict["taken"], verdict["same_day"], verdict["wrong_hour"]), (2, 1, 1, 1, 1))
        self.assertEqual((verdict["due"], verdict["unfiled"]), (4, 4))
        self.assertEqual({(v["rule"], v["work"], v["slot"]) for v in verdict["violations"]},
                         {("same_day", WORK, "2026-01-01T18:00:00Z"), ("wrong_hour", WORK, "2026-01-01T18:00:00Z")})
        self.assertEqual(self.sim.request("POST", "/sim/dga/death").status, 200)

    def test_get_needs_the_receipt_and_the_work(self):
        receipt = self.file()
        self.assertEqual(self.sim.get(BASE + "subterraneas", codigoObra=WORK).status, 400)
        self.assertEqual(self.read("x" * 32).status, 404)
        self.assertEqual(self.read(receipt, work="OB-0101-9").status, 404)


class LedgerFile(unittest.TestCase):
    def test_the_books_outlive_a_restart(self):
        with tempfile.TemporaryDirectory(prefix="hydro-sim-test-") as folder:
            file = os.path.join(folder, "ledger")
            sim = Sim("--points", "4", "--dga-ledger", file)
            receipt = sim.request("POST", BASE + "subterraneas", BODY, HEADERS).json()["data"]["numeroComprobante"]
            sim.stop()
            sim = Sim("--points", "4", "--dga-ledger", file)
            self.assertIn(receipt, sim.request("POST", BASE + "subterraneas", BODY, HEADERS).json()["message"])
            self.assertEqual(sim.get(BASE + "subterraneas", codigoObra=WORK, numeroComprobante=receipt).json()["data"]["caudal"], "25.7")
            sim.stop()


if __name__ == "__main__":
    unittest.main()
