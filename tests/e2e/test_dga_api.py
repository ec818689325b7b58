#!/usr/bin/env python3
"""What a person uses of filing, against a real daemon that files with the simulated DGA on a simulated clock: REST, hydroctl, reports, imports."""
import csv
import io
import json
import shutil
import subprocess
import zipfile

import e2e
import faultlab
from browser import Browser
from e2e import hydrolab, wait_until

HOUR = 3600000
T0 = 1767240000000  # 2026-01-01T00:00 at UTC-4
WORKS = 6
DGA = "/api/v1/dga/"


class Lab:
    """Simulator and daemon on one simulated clock. Work OB-0901-(i+1) is that of point i."""

    def __init__(self):
        self.folder = hydrolab.folder_for("dga-api")
        self.clock = self.folder / "clock"
        self.sim = hydrolab.Sim(self.folder, "--points", WORKS, "--threads", 1, "--mix", "1:0:0:0", "--period", "300s", "--clock", self.clock,
                                "--start", faultlab.iso(T0), "--origin", faultlab.iso(T0 - HOUR))
        self.daemon = None

    def go_to(self, until):
        if self.daemon:
            assert self.daemon.stop() == 0, self.daemon.log_text()[-2000:]
            shutil.copy(self.folder / "hydrod" / "data" / "filing.db", self.folder / "backup.db")
        self.start(until)
        wait_until(lambda: self.sim.http.get("/sim/status")["now_ms"] >= until, 90, f"the clock at {faultlab.iso(until)}")
        wait_until(lambda: self.status()["in_flight"] == 0, 30, "calls that end")

    def start(self, until):
        extra = f"  filing = {{ adapters = {{ dga = {{ plugin = 'dga', options = {{ base_url = 'http://127.0.0.1:{self.sim.port}/dga/api/v1/mediciones/' }} }} }} }},"
        self.daemon = hydrolab.Daemon(self.folder / "hydrod", self.sim.port, extra=extra,
                                      options=("--clock", f"sim:{self.clock}@{faultlab.iso(T0)}", "--until", faultlab.iso(until)))
        if not self.daemon.points():
            self.daemon.import_from(self.sim, period=300)

    def call(self, method, path, value=None, expect=None, content_type="application/json"):
        return self.daemon.http.call(method, DGA + path, value, content_type=content_type, expect=expect)

    def get(self, path):
        return self.call("GET", path)

    def raw(self, path):
        status, data, headers = self.daemon.http.raw("GET", DGA + path)
        assert status == 200, (status, data[:500])
        return data, headers

    def status(self):
        return self.get("status")

    def ctl(self, *arguments, code=0, text=None):
        run = subprocess.run([str(hydrolab.build_dir() / "bin" / "hydroctl"), "--url", f"http://127.0.0.1:{self.daemon.port}", "--key", self.daemon.key, "dga",
                              *map(str, arguments)], capture_output=True, text=True, timeout=60, input=text or "")
        assert run.returncode == code, f"{arguments}: {run.returncode}\n{run.stdout}{run.stderr}"
        return run.stdout + run.stderr


LAB = None


def lab():
    global LAB
    if LAB is None:
        LAB = Lab()
        LAB.go_to(T0 + 60000)
    return LAB


def refusal(method, path, value, status, content_type="application/json"):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    code, data, _ = lab().daemon.http.raw(method, DGA + path, body, content_type)
    assert code == status, (code, data[:800])
    return json.loads(data)


def test_filing_begins_switched_off_and_empty():
    status = lab().status()
    assert not status["on"] and not status["on_hold"], status
    assert status["adapters"][0]["name"] == "dga" and status["adapters"][0]["valid_from"] == "2025-07-31", status
    assert lab().get("kill-switch") == {"on": False, "on_hold": False}
    assert "filing: off" in lab().ctl("status", code=1)


def test_a_rut_is_checked_by_its_digit_and_a_password_is_never_shown():
    bad = refusal("POST", "centres/", {"name": "Centro", "identifier": "76086428-6"}, 400)
    assert any(row["field"] == "identifier" for row in bad["errors"]), bad
    centre = lab().call("POST", "centres/", {"name": "Centro Norte", "identifier": "76086428-5", "calls_per_s": 5}, expect=201)
    assert centre["registered_at"] is None and centre["state"] == "running", centre
    lab().call("POST", "informants/", {"name": "Ana Soto", "identifier": "12531909-2"}, expect=201)
    assert "yes" not in lab().ctl("informants", "list")
    out = lab().ctl("informants", "password", "Ana Soto", "-", text="una clave secreta\n")
    assert "has_password" in out and "secreta" not in out, out
    informant = lab().get("informants/")["items"][0]
    assert informant["has_password"] and "password" not in informant, informant


def test_a_certificate_is_kept_with_its_end():
    path = hydrolab.ROOT / "tests" / "fuzz" / "corpus" / "pem" / "certificate"
    assert "CN=dga.ejemplo.example" in lab().ctl("certificates", "add", path, "--name", "dga.pem", "--centre", "Centro Norte")
    kept = lab().get("certificates/")["items"][0]
    assert kept["not_after"] == "2126-11-02T04:33:28Z" and kept["state"] == "good" and kept["centre"], kept
    refusal("POST", "certificates/", b"hola", 400, "application/x-pem-file")
    assert "dga.pem" in lab().ctl("certificates", "list")
    lab().ctl("certificates", "remove", kept["id"])
    assert lab().get("certificates/")["items"] == []


def test_works_come_from_csv_with_errors_by_line_and_live_wants_a_registration():
    points = lab().sim.http.raw("GET", "/sim/works.csv?centre=Centro%20Norte&informant=12531909-2&mode=live&starts=2026-01-01&client=Agricola")[1]
    path = lab().folder / "works.csv"
    path.write_bytes(points)
    out = lab().ctl("works", "import", path, "--dry", code=1)
    assert f"{path}:2: centre: \"Centro Norte\" has no registration recorded: no work of it may be live" in out, out
    assert lab().get("works/")["total"] == 0
    assert "registered_at" in lab().ctl("centres", "set", "Centro Norte", "registration=Res. 123", "registered_at=2026-01-01T00:00:00Z")
    out = lab().ctl("works", "import", path, "--dry")
    assert f"{WORKS} lines: {WORKS} created, 0 updated, 0 do not fit; nothing was stored, as asked" in out, out
    out = lab().ctl("works", "import", path)
    assert f"{WORKS} created" in out, out
    page = lab().get("works/?limit=4&mode=live")
    assert page["total"] == WORKS and len(page["items"]) == 4 and page["next"], page
    assert len(lab().get(f"works/?limit=4&cursor={page['next']}")["items"]) == WORKS - 4
    bad = refusal("POST", "works/", {"code": "OB-0901-99", "kind": "subteranea", "standard": "mayor", "optons": {}}, 400)
    assert any(row["field"] == "optons" and "did you mean" in row["detail"] for row in bad["errors"]), bad
    bad = refusal("POST", "works/", {"code": "OB-0901-99", "kind": "subteranea", "standard": "mayr"}, 400)
    assert {row["field"] for row in bad["errors"]} == {"kind", "standard"} and "subterranea" in bad["errors"][0]["detail"], bad


def test_a_work_is_changed_under_its_version():
    status, _, headers = lab().daemon.http.raw("GET", DGA + "works/OB-0901-6")
    assert status == 200
    tag = headers["ETag"]
    changed, _, _ = lab().daemon.http.raw("PATCH", DGA + "works/OB-0901-6", b'{"mode":"shadow","region":"RM"}', "application/json", {"If-Match": tag})
    assert changed == 200
    stale, _, _ = lab().daemon.http.raw("PATCH", DGA + "works/OB-0901-6", b'{"mode":"live"}', "application/json", {"If-Match": tag})
    assert stale == 412
    assert "shadow" in lab().ctl("works", "list", "--mode", "shadow")
    assert "OB-0901-6" in lab().ctl("works", "show", "OB-0901-6")


def test_the_switch_takes_a_reason_and_then_every_hour_is_filed():
    refusal("PUT", "kill-switch", {"on": True}, 400)
    lab().ctl("kill-switch", "on", code=2)
    assert "on" in lab().ctl("kill-switch", "on", "--reason", "inicio de la transmisión")
    # One work is refused by the DGA as not its informant's: it is held.
    lab().sim.http.call("POST", "/sim/dga/informant?work=OB-0901-5&rut=76498451-K", {})
    lab().go_to(T0 + 6 * HOUR + 3000000)
    slots = lab().get("slots/?limit=1000")["items"]
    filed = [s for s in slots if s["state"] == "filed"]
    assert len(filed) >= 4 * 5, [(s["work"], s["due"], s["state"], s["cause"]) for s in slots]
    assert all(s["receipt"] and s["filed_at"] for s in filed)
    assert {s["state"] for s in slots if s["work"] == "OB-0901-6"} == {"shadow"}, slots
    assert any(s["state"] == "held" for s in slots if s["work"] == "OB-0901-5"), slots
    verdict = lab().sim.http.get("/sim/dga/verdict")
    assert verdict["broken"] == 0, verdict


def one_filed():
    return next(s for s in lab().get("slots/?state=filed&work=OB-0901-1")["items"])


def test_slots_are_found_by_work_state_and_day_in_pages():
    assert lab().get("slots/?day=2025-12-31")["items"] == []
    today = lab().get("slots/?day=2026-01-01&state=filed,shadow&limit=1000")["items"]
    pages, cursor = [], None
    while True:
        page = lab().get("slots/?day=2026-01-01&state=filed,shadow&limit=7" + (f"&cursor={cursor}" if cursor else ""))
        pages += page["items"]
        cursor = page["next"]
        if not cursor:
            break
    assert pages == today, (len(pages), len(today))
    newest = lab().get("slots/?work=OB-0901-1&order=desc&limit=1")["items"][0]["due"]
    assert newest == max(s["due"] for s in today if s["work"] == "OB-0901-1")
    refusal_status, data, _ = lab().daemon.http.raw("GET", DGA + "slots/?state=nonsense")
    assert refusal_status == 400 and b"nonsense" in data
    assert "OB-0901-1" in lab().ctl("slots", "--work", "OB-0901-1", "--day", "2026-01-01")


def test_a_slot_tells_all_that_happened_to_it_without_a_password():
    slot = one_filed()
    data, _ = lab().raw(f"slots/OB-0901-1/{slot['due']}")
    full = json.loads(data)
    states = [row["to"] for row in full["audit"]]
    assert states[0] == "queued" and "claimed" in states and "sending" in states and "filed" in states, states
    assert full["payload"]["horaMedicion"].endswith(":00:00"), full["payload"]
    assert full["deadline"] and full["limit"], full
    assert b"una clave secreta" not in data
    out = lab().ctl("show", "OB-0901-1", slot["due"])
    assert "queued" in out and slot["receipt"] in out, out
    assert "OB-0901-1" in lab().ctl("show", "OB-0901-1", "2026-01-01 00:00") and "2026-01-01T04:00:00Z" in lab().ctl("show", "OB-0901-1", "2026-01-01T00:00")
    status, _, _ = lab().daemon.http.raw("GET", DGA + "slots/OB-0901-1/2026-01-01T00:30:00Z")
    assert status == 404


def test_a_receipt_is_searched_exported_and_proved():
    slot = one_filed()
    found = lab().get(f"receipts/?receipt={slot['receipt']}")["items"]
    assert [s["due"] for s in found] == [slot["due"]], found
    data, headers = lab().raw("receipts/?format=csv&day=2026-01-01")
    assert headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert slot["receipt"] in {row["comprobante"] for row in rows}
    proof = lab().get(f"receipts/{slot['receipt']}/proof")["items"][0]
    assert proof["chain"]["good"] and proof["payload"] and any(row["to"] == "filed" for row in proof["audit"]), proof
    out = lab().ctl("verify", slot["receipt"])
    assert "chain: whole" in out and "horaMedicion" in out, out
    whole = lab().ctl("verify")
    assert "chain: whole" in whole
    parts = lab().ctl("verify", "--limit", "2")
    assert parts.startswith(whole), f"answer by answer it comes to the same: {parts}"
    assert f"\n2 of {WORKS + 1} works, " in parts and f"\n{WORKS + 1} of {WORKS + 1} works, " in parts, parts
    assert "no slot has the receipt" in lab().ctl("verify", "nosuchreceipt", code=1)


def test_days_add_up_and_compliance_counts_what_was_due():
    days = lab().get("works/OB-0901-1/days?day=2026-01-01")["items"]
    assert days[0]["adds_up"] and days[0]["due"] == days[0]["filed"] + days[0]["explained"] + days[0]["open"], days
    all_works = lab().get("compliance?day=2026-01-01")
    assert len(all_works["items"]) == WORKS, all_works
    first = next(row for row in all_works["items"] if row["key"] == "OB-0901-1")
    assert first["due"] == first["filed"] + first["missing"] + first["waiting"] + first["queued"] + first["unknown"] + first["refused"] + first["held"], first
    assert first["on_time_share"] is not None and first["next_due"], first
    held = next(row for row in all_works["items"] if row["key"] == "OB-0901-5")
    assert held["held"] >= 1 and held["causes"], held
    assert lab().get("compliance?day=2026-01-01&by=client")["items"][0]["key"] == "Agricola"
    assert "OB-0901-5" in lab().ctl("compliance", "--day", "2026-01-01")


def test_a_held_work_is_an_alarm_and_is_released_with_a_reason():
    alarms = lab().get("alarms/")["items"]
    held = next(a for a in alarms if a["work"] == "OB-0901-5")
    lab().ctl("acknowledge", held["number"])
    assert next(a for a in lab().get("alarms/")["items"] if a["number"] == held["number"])["seen_by"]
    assert lab().get("works/OB-0901-5")["held_since"]
    lab().ctl("release", "OB-0901-5", code=2)
    lab().sim.http.call("POST", "/sim/dga/informant?work=OB-0901-5&rut=12531909-2", {})
    lab().ctl("release", "OB-0901-5", "--reason", "informante corregido en la DGA")
    assert not lab().get("works/OB-0901-5")["held_since"]
    assert "OB-0901-5" not in {a["work"] for a in lab().get("alarms/")["items"] if a["kind"] == held["kind"]}


def test_the_monthly_report_is_a_page_a_pdf_and_a_csv():
    slot = one_filed()
    page, headers = lab().raw("reports/monthly?month=2026-01&client=Agricola")
    assert headers["Content-Type"].startswith("text/html") and slot["receipt"].encode() in page
    pdf, headers = lab().raw("reports/monthly?month=2026-01&format=pdf")
    assert headers["Content-Type"] == "application/pdf" and pdf.startswith(b"%PDF")
    before = len(lab().get("receipts/?limit=1000")["items"])  # the work that was released may still be filing
    table, _ = lab().raw("reports/monthly?month=2026-01&format=csv")
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    filed = len([row for row in rows if row["state"] == "filed"])
    assert before <= filed <= len(lab().get("receipts/?limit=1000")["items"]), (before, filed)
    out = lab().folder / "report.pdf"
    lab().ctl("report", "2026-01", "--format", "pdf", "--out", out)
    assert out.read_bytes().startswith(b"%PDF")
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "-layout", str(out), "-"], capture_output=True, text=True, check=True).stdout
        assert "Informe mensual de la transmisión a la DGA" in text and slot["receipt"] in text and "Sin medición" in text, text
    assert "which month" in lab().ctl("report", code=2)
    status, data, _ = lab().daemon.http.raw("GET", DGA + "reports/monthly?month=2026-13")
    assert status == 400 and b"month" in data


def test_what_may_be_filed_by_sheet_is_a_spreadsheet_and_is_marked_by_hand():
    work = dict(lab().get("works/OB-0901-4"))
    medio = {key: work[key] for key in ("kind", "client", "point", "centre", "informant")} | {
        "code": "OB-0902-1", "standard": "medio", "mode": "live", "by_sheet": True, "starts": "2026-01-01T04:00:00Z", "at_s": 0}
    refusal("POST", "works/", medio | {"standard": "mayor"}, 400)
    lab().call("POST", "works/", medio, expect=201)
    lab().go_to(T0 + 26 * HOUR)
    slots = lab().get("slots/?work=OB-0902-1")["items"]
    assert slots and all(s["state"] not in ("filed", "unknown") for s in slots), slots
    data, headers = lab().raw("sheet?month=2026-01")
    assert "spreadsheetml" in headers["Content-Type"]
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        text = (book.read("xl/sharedStrings.xml") + book.read("xl/worksheets/sheet1.xml")).decode()
    assert "OB-0902-1" in text and "horaMedicion" in text, text
    out = lab().ctl("by-hand", "OB-0902-1", slots[-1]["due"], "abc123", "--reason", "formulario web")
    assert "by_hand" in out, out
    assert lab().get("receipts/?receipt=abc123")["items"][0]["state"] == "by_hand"


def test_failures_of_transmission_are_told_with_their_time_and_cause():
    report = lab().get("failure-report?month=2026-01")
    assert report["total"] == len(report["items"]), report
    lab().ctl("failure-report", "2026-01")
    assert lab().raw("failure-report?month=2026-01&format=pdf")[0].startswith(b"%PDF")


def test_a_centre_is_stopped_forecast_and_goes_on():
    assert "stopped" in lab().ctl("centres", "stop", "Centro Norte", "--reason", "mantención")
    assert "running" in lab().ctl("centres", "resume", "76086428-5", "--reason", "listo")
    forecast = json.loads(lab().ctl("--json", "centres", "forecast", "Centro Norte"))
    assert forecast["fresh_per_hour"] > 0 and forecast["drains"], forecast
    said = lab().ctl("centres", "set", "Centro Norte", "calls_per_s=0.001", code=1)
    assert "4 calls an hour" in said and "now: 18000 calls an hour" in said and "force=true" in said, said
    assert lab().get("centres/")["items"][0]["calls_per_s"] == 5
    lab().ctl("centres", "set", "Centro Norte", "calls_per_s=0.001", "--force")
    lab().ctl("centres", "set", "Centro Norte", "calls_per_s=0.0011")  # better than it was, if not good
    assert lab().get("centres/")["items"][0]["calls_per_s"] == 0.0011
    lab().ctl("centres", "set", "Centro Norte", "calls_per_s=5")


def test_the_cut_over_tells_the_slot_that_collides_and_compares_with_the_old_system():
    plan = lab().get("cutover/OB-0901-6?at=2026-01-15T10:00:00-04:00")
    assert not plan["safe"] and plan["collisions"][0]["due"] == "2026-01-15T14:00:00Z" and plan["safe_from"] == "2026-04-05T04:00:00Z", plan
    assert lab().get("cutover/OB-0901-6?at=2026-07-15T10:00:00-04:00")["safe"]
    ours = [s for s in lab().get("slots/?work=OB-0901-6&state=shadow")["items"]][:3]
    lines = ["code,due,receipt,flow,total,level"]
    lines += [f"OB-0901-6,{s['due']},old{i},{s['values']['flow']:.2f},{s['values']['total'] + (9 if i == 2 else 0):.0f},{s['values']['level']:.2f}" for i, s in enumerate(ours)]
    path = lab().folder / "old.csv"
    path.write_text("\n".join(lines + ["OB-9999-1,2026-01-01T05:00:00Z,x,,,"]))
    assert f"{path}:5: code: there is no work" in lab().ctl("cutover", "import", path, code=1)
    path.write_text("\n".join(lines))
    lab().ctl("cutover", "import", path, "--source", "antiguo")
    compared = lab().get("cutover/OB-0901-6/compare?month=2026-01&differences=false")
    assert compared["outcomes"]["same"] == 2 and compared["outcomes"]["differs"] == 1, compared
    assert "differs" in lab().ctl("cutover", "compare", "OB-0901-6", "--month", "2026-01")


def test_what_the_old_system_filed_is_asked_for_by_get():
    slot = lab().get("slots/?work=OB-0901-6&state=shadow&order=desc&limit=1")["items"][0]
    payload = lab().get(f"slots/OB-0901-6/{slot['due']}")["payload"]
    body = {"autenticacion": {"password": "otra", "rutEmpresa": "76498451-K", "rutUsuario": "12531909-2"}, "medicionSubterranea": payload | {"totalizador": "7"}}
    status, data, _ = lab().sim.http.raw("POST", "/dga/api/v1/mediciones/subterraneas", json.dumps(body).encode(), "application/json",
                                         {"codigoObra": "OB-0901-6", "timeStampOrigen": "2026-01-02T02:00:00-0000"})
    assert status == 200, data
    receipt = json.loads(data)["data"]["numeroComprobante"]
    line = f"code,due,receipt\nOB-0901-6,{slot['due']},{receipt}\n"
    lab().call("POST", "cutover/receipts?source=antiguo", line.encode(), content_type="text/csv")
    window = f"from={slot['due']}"
    assert lab().get(f"cutover/OB-0901-6/compare?{window}")["items"][0]["outcome"] == "open"
    assert json.loads(lab().ctl("--json", "cutover", "compare", "OB-0901-6", "--ask", "--from", slot["due"]))["queued"] == 1
    row = wait_until(lambda: next((r for r in lab().get(f"cutover/OB-0901-6/compare?{window}")["items"] if r["outcome"] != "open"), None), 20, "the answer to the GET")
    assert row["outcome"] == "differs" and "totalizador" in row["text"], row


def test_the_page_shows_the_switch_todays_slots_alarms_and_works():
    try:
        browser = Browser()
    except FileNotFoundError as missing:
        raise e2e.Skip(str(missing)) from None
    browser.open(f"http://127.0.0.1:{lab().daemon.port}/")
    browser.wait("document.getElementById('state').textContent !== '…'")
    browser.run(f"document.getElementById('key').value = {lab().daemon.key!r}; document.getElementById('login').requestSubmit()")
    browser.wait("document.body.dataset.ready")
    assert browser.run("document.getElementById('dga-state').textContent") == "enviando"
    text = browser.run("document.getElementById('dga').innerText")
    assert "A tiempo hoy" in text and "OB-0901-1" in text and "UTC-4" in text, text
    browser.run("document.getElementById('dga-code').value = 'OB-0901-2'; document.getElementById('dga-search').requestSubmit()")
    browser.wait("document.querySelectorAll('#dga-works tr').length === 1")
    browser.run("document.querySelector('#dga-works tr').click()")
    browser.wait("document.querySelectorAll('#dga-slots tr').length > 5")
    assert "informada" in browser.run("document.getElementById('dga-slots').innerText")
    assert not browser.errors, browser.errors
    browser.close()


def test_roles_and_unknown_things_are_refused():
    key = lab().daemon.http.call("POST", "/api/v1/api-keys/", {"name": "lector", "role": "analyst"})["key"]
    reader = hydrolab.Http(lab().daemon.port, key)
    assert reader.raw("GET", DGA + "works/")[0] == 200
    for method, path, body in (("PUT", "kill-switch", b'{"on":false,"reason":"no"}'), ("PATCH", "works/OB-0901-1", b"{}"), ("GET", "informants/", None),
                               ("POST", "works/OB-0901-1/release", b'{"reason":"abc"}')):
        assert reader.raw(method, DGA + path, body, "application/json" if body else None)[0] == 403, path
    assert lab().daemon.http.raw("GET", DGA + "works/OB-0000-0")[0] == 404
    assert lab().daemon.http.raw("DELETE", DGA + "works/OB-0902-1")[0] == 204
    assert lab().daemon.http.raw("GET", DGA + "works/OB-0902-1")[0] == 404


def test_the_document_of_the_api_has_every_route_of_filing():
    paths = lab().daemon.http.get("/openapi.json")["paths"]
    assert len([path for path in paths if path.startswith(DGA)]) >= 30, [path for path in paths if path.startswith(DGA)]
    schema = lab().daemon.http.get("/openapi.json")["components"]["schemas"]["DgaWork"]
    assert {"code", "kind", "standard"} == set(schema["required"]), schema["required"]


def test_after_a_restore_filing_waits_for_a_person():
    until = lab().sim.http.get("/sim/status")["now_ms"]
    assert lab().daemon.stop() == 0
    data = lab().folder / "hydrod" / "data"
    for rest in data.glob("filing.db*"):
        rest.unlink()
    shutil.copy(lab().folder / "backup.db", data / "filing.db")
    lab().start(until)
    wait_until(lambda: lab().status()["on_hold"], 20, "the hold")
    assert "on hold" in lab().ctl("status", code=1)
    assert lab().ctl("hold", "leave", "--reason", "respaldo revisado")
    assert not lab().status()["on_hold"]
    assert "not on hold" in lab().ctl("hold", "leave", "--reason", "otra vez", code=1)


def test_all_is_put_away():
    assert lab().daemon.stop() == 0, lab().daemon.log_text()[-2000:]
    assert "una clave secreta" not in lab().daemon.log_text()
    lab().sim.stop()
    hydrolab.remove(lab().folder)


if __name__ == "__main__":
    e2e.main(globals())
