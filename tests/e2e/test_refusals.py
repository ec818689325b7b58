#!/usr/bin/env python3
"""Bad configuration starts nothing half and says file, line and reason."""
import subprocess

import e2e
from e2e import hydrolab


def start(text, *options):
    folder = hydrolab.folder_for("refuse")
    config = folder / "hydro.lua"
    config.write_text(text.replace("@", str(folder)))
    run = subprocess.run([str(hydrolab.build_dir() / "bin" / "hydrod"), "--config", str(config), *options], capture_output=True, text=True, timeout=60)
    made = sorted(p.name for p in folder.iterdir() if p.name != "hydro.lua")
    hydrolab.remove(folder)
    return run, made


PLUGINS = f"plugins = {{ dirs = {{ {str(hydrolab.build_dir() / 'plugins')!r} }} }},"


def test_a_wrong_key_is_refused_with_its_line_before_anything_is_made():
    run, made = start('return {\n  data_dir = "@/data",\n  lisen = { port = 0 },\n}')
    assert run.returncode == 1 and "hydro.lua:3: lisen" in run.stderr and "listen" in run.stderr, run.stderr
    assert made == []


def test_a_syntax_error_names_its_line():
    run, made = start('return {\n  data_dir = = 1,\n}')
    assert run.returncode == 1 and "hydro.lua:2:" in run.stderr, run.stderr
    assert made == []


def test_a_missing_file_is_named():
    run = subprocess.run([str(hydrolab.build_dir() / "bin" / "hydrod"), "--config", "/no/such/hydro.lua"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "/no/such/hydro.lua" in run.stderr


def test_a_wrong_option_of_a_provider_names_provider_and_option():
    run, _ = start(f'return {{ data_dir = "@/data", key_file = "@/key", {PLUGINS} listen = {{ port = 0 }},\n providers = {{ twin = {{ options = {{ base_ulr = "http://x" }} }} }} }}', "--check")
    assert run.returncode == 1 and "providers.twin" in run.stderr and "base_ulr" in run.stderr and "base_url" in run.stderr, run.stderr


def test_an_unknown_plugin_is_named_with_the_folders_searched():
    run, _ = start(f'return {{ data_dir = "@/data", key_file = "@/key", {PLUGINS} listen = {{ port = 0 }},\n providers = {{ x = {{ plugin = "nothere" }} }} }}', "--check")
    assert run.returncode == 1 and "nothere" in run.stderr, run.stderr


def test_a_key_inside_of_the_data_folder_is_refused():
    run, _ = start('return { data_dir = "@/data", key_file = "@/data/key", listen = { port = 0 } }')
    assert run.returncode == 1 and "key_file" in run.stderr, run.stderr


def test_wrong_usage_exits_with_two():
    run = subprocess.run([str(hydrolab.build_dir() / "bin" / "hydrod"), "--no-such"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2 and "--help" in run.stderr


def test_a_second_daemon_on_the_same_folder_is_refused():
    folder = hydrolab.folder_for("twice")
    sim = hydrolab.Sim(folder, "--points", 1, "--threads", 1)
    daemon = hydrolab.Daemon(folder / "hydrod", sim.port)
    try:
        run = subprocess.run([str(hydrolab.build_dir() / "bin" / "hydrod"), "--config", str(daemon.config)], capture_output=True, text=True, timeout=60)
        assert run.returncode == 1 and "LOCK" in run.stderr, run.stderr
        assert daemon.http.get("/health")["status"] == "ok"
    finally:
        daemon.stop()
        sim.stop()
        hydrolab.remove(folder)


e2e.main(globals())
