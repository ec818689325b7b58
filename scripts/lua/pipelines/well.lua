-- SPDX-License-Identifier: MIT
-- A groundwater well: a counter or total, a flow meter (or flow from the total), a level sensor.
local water = use "water"

return pipeline {
  name = "well",
  description = "Groundwater well: total, flow, level and water table",

  samples = {
    { litres_per_pulse = 10, sensor_depth = 80, flow_granted = 20 },
    { flow_from = "total", max_m3h = 200, level_offset = -2, level_divisor = 100, sensor_depth = 60 },
    { standard = "mayor", volume_granted = 250000, volume_used = 1200, year_from = 4 },
    { filed = false },
    {},
  },

  build = function (point)
    local steps = {}
    water.counted(steps, point)
    water.flow(steps, point)
    water.level(steps, point)
    if point.sensor_depth then
      water.add(steps, depth { from = "level", to = "water_table", sensor_depth = point.sensor_depth })
    end
    water.judged(steps, point)
    water.add(steps, dry { flow = "flow", level = "level", min = point.dry_level })
    water.detected(steps, point)
    water.filed(steps, point)
    return steps
  end,

  selftest = function (t)
    local r = t:run {
      params = { litres_per_pulse = 10, offset = 5, sensor_depth = 80, flow_granted = 20 },
      readings = {
        { pulses = 1000, flow = 4.0, level = 30.5 },
        { pulses = 2440, flow = 4.0, level = 30.0 },
        { pulses = 3880, flow = 25.0, level = 29.0 },
        { pulses = 5320, flow = 4.0, level = 0 },
      },
    }
    t:equal(r[1].total, 15, 1e-9, "pulses to m3, with the offset")
    t:equal(r[2].total, 29.4, 1e-9, "total")
    t:equal(r[2].water_table, 50, 1e-9, "water table")
    t:clean(r[2], "flow")
    t:flagged(r[3], "flow", "above_granted")
    t:equal(r[3].flow, 25, 0, "a flow above the right stays as read")
    t:check(r[3].fileable, "and is filed as read")
    t:flagged(r[4], "level", "pumping_dry")

    r = t:run {
      params = { flow_from = "total", level_offset = -2, level_divisor = 100 },
      readings = { { total = 100, level = 302 }, { total = 136, level = 402 }, { total = 0, level = 402 } },
    }
    t:equal(r[1].flow, nil, 0, "no flow from one reading")
    t:equal(r[2].flow, 10, 1e-9, "36 m3 in an hour")
    t:equal(r[2].level, 4, 1e-9, "level")
    t:equal(r[3].total, nil, 0, "zero after history is no datum")
    t:flagged(r[3], "total", "ingest_error")

    r = t:run {
      params = { volume_granted = 100, volume_used = 60 },
      readings = { { total = 1000 }, { total = 1039 }, { total = 1041 } },
    }
    t:equal(r[2].volume_year, 99, 1e-9)
    t:clean(r[2], "total")
    t:flagged(r[3], "total", "budget")

    r = t:run { params = { filed = false }, readings = { { total = 100, flow = 1 } } }
    t:check(not r[1].fileable, "a point that is not filed")
  end,
}
