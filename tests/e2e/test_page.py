#!/usr/bin/env python3
"""The page at / in a real browser: it asks for the key, then shows state, providers, points with latest values and a chart."""
import e2e
from browser import Browser
from e2e import Skip, hydrolab, wait_until

POINTS = 24
state = {}


def test_a_browser_shows_what_the_daemon_has():
    try:
        state["browser"] = browser = Browser()
    except FileNotFoundError as missing:
        raise Skip(str(missing)) from None
    state["folder"] = hydrolab.folder_for("page")
    state["sim"] = hydrolab.Sim(state["folder"], "--points", POINTS, "--threads", 1)
    state["daemon"] = daemon = hydrolab.Daemon(state["folder"] / "hydrod", state["sim"].port)
    daemon.import_from(state["sim"], period=10)
    wait_until(lambda: all(daemon.http.raw("GET", f"/api/v1/analytics/points/{p['id']}/realtime")[0] == 200 for p in daemon.points().values()), 60, "data of all")
    browser.open(f"http://127.0.0.1:{daemon.port}/")
    browser.wait("document.getElementById('state').textContent === 'en orden'")
    assert browser.run("document.documentElement.lang") == "es" and browser.run("document.getElementById('inside').hidden")
    browser.run("document.getElementById('key').value = 'wrong'; document.getElementById('login').requestSubmit()")
    browser.wait("document.getElementById('note').textContent !== ''")
    assert browser.run("document.getElementById('inside').hidden"), "a wrong key lets nobody in"
    browser.run(f"document.getElementById('key').value = {daemon.key!r}; document.getElementById('login').requestSubmit()")
    browser.wait("document.body.dataset.ready")
    assert browser.run("document.querySelectorAll('#providers tr').length") == 3
    text = browser.run("document.getElementById('inside').innerText")
    assert "20 de 24" in text and "SIM-0000001" in text and "l/s" in text, text
    assert daemon.key not in browser.run("document.documentElement.outerHTML"), "the key is not left in the page"


def test_a_point_opens_with_a_chart_that_has_axes_and_units():
    browser = state.get("browser")
    if not browser:
        raise Skip("chromium")
    browser.run("document.querySelectorAll('tr.pick')[1].click()")
    browser.wait("document.querySelectorAll('#chart path').length > 0")
    labels = browser.run("[...document.querySelectorAll('#chart text')].map(e => e.textContent)")
    assert labels[0] == "flow (l/s)" and sum(":" in label for label in labels) >= 2, labels
    assert "SIM-0000002" in browser.run("document.getElementById('title').textContent")
    assert browser.run("document.querySelectorAll('#rows tr').length") == 8
    for days, kind in ((7, "each"), (30, "hour"), (365, "day")):
        browser.run(f"document.getElementById('span').value = {days}; document.getElementById('span').onchange()")
        browser.wait(f"series.kind === '{kind}' && document.querySelectorAll('#chart path, #chart circle').length > 1")


def test_it_speaks_english_too_pages_and_forgets_the_key():
    browser = state.get("browser")
    if not browser:
        raise Skip("chromium")
    browser.run("document.getElementById('language').click()")
    browser.wait("document.getElementById('state').textContent === 'ok' && document.getElementById('total').textContent === '20 of 24'")
    browser.run("document.getElementById('more').click()")
    browser.wait("document.getElementById('total').textContent === '4 of 24'")
    browser.run("document.getElementById('name').value = 'SIM-0000003'; document.getElementById('search').requestSubmit()")
    browser.wait("document.getElementById('total').textContent === '1 of 1'")
    browser.run("document.getElementById('leave').click()")
    browser.wait("document.getElementById('inside').hidden && !sessionStorage.getItem('hydrod-key') && document.getElementById('state').textContent === 'ok'")
    assert not browser.errors, browser.errors


def test_all_is_put_away():
    if "browser" in state:
        state["browser"].close()
    if "daemon" in state:
        assert state["daemon"].stop() == 0
        state["sim"].stop()
        hydrolab.remove(state["folder"])


e2e.main(globals())
