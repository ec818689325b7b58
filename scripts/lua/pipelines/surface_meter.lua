-- SPDX-License-Identifier: MIT
-- A surface intake with a flow meter: flow and total, no level.
local water = use "water"

return pipeline {
  name = "surface_meter",
  description = "Surface intake with flow meter: total and flow",

  samples = { { flow_granted = 150, max_m3h = 700 }, { litres_per_pulse = 100, flow_unit = "m3/h" }, {} },

  build = function (point)
    local steps = {}
    water.counted(steps, point)
    water.flow(steps, point)
    water.judged(steps, point)
    if point.flow_from ~= "total" then
      -- The meter gives both: what it says it passed and what it counted must agree.
      water.add(steps, balance { flow = "flow", total = "total", window = "24h", tolerance = 0.10 })
    end
    water.detected(steps, point)
    water.filed(steps, point)
    return steps
  end,

  selftest = function (t)
    local r = t:run {
      params = { flow_granted = 100, flow_unit = "m3/h" },
      readings = { { total = 1000, flow = 360 }, { total = 1360, flow = 360 }, { total = 1720, flow = 720 } },
    }
    t:equal(r[2].flow, 100, 1e-9, "m3/h to l/s")
    t:equal(r[2].total, 1360)
    t:clean(r[2], "flow")
    t:flagged(r[3], "flow", "above_granted")
    t:check(r[3].fileable, "filed as read")
  end,
}
