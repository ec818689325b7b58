-- Configuration of hydrod as a system service; see hydro.lua(5). Paths are those of deploy/systemd/hydrod.service.
return {
  data_dir = "/var/lib/hydrod",
  key_file = "/var/lib/hydrod-key/key", -- keep a copy of it apart from the data: without it what is sealed cannot be read

  listen = { address = "127.0.0.1", port = 8000 }, -- TLS and the outside world: a reverse proxy before it

  plugins = { dirs = { "@HYDRO_PLUGIN_DIR@" } },
  -- To change pipelines, copy the folder and its neighbour lib/ to /etc/hydrod and name it here; edits by files, not over REST.
  pipelines = { dir = "@HYDRO_PIPELINE_DIR@", edit = "refuse" },

  -- An instance of a plugin under a name that points refer to; `hydro-runner --probe FILE.so` lists its options.
  providers = {
    twin = { options = { base_url = "https://api.twindimension.com/tdata/v1" }, concurrency = 32 },
    -- nettra = { options = { base_url = "https://…" }, concurrency = 32 },
    -- novus = { options = { base_url = "https://…" }, rate = 20 },
  },

  -- Filing with the DGA: off until `hydroctl dga kill-switch on`, and then for works in mode live alone.
  -- filing = { adapters = { dga = {} } },
}
