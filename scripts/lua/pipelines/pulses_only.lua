-- SPDX-License-Identifier: MIT
-- A meter that gives pulses and nothing else: total and flow come from them.
local water = use "water"

return pipeline {
  name = "pulses_only",
  description = "Meter with pulses only: total, and flow from it",

  samples = { { litres_per_pulse = 100, max_m3h = 60, flow_granted = 15 }, {} },

  build = function (point)
    local steps = {
      counter { from = "pulses", to = "total", litres_per_pulse = point.litres_per_pulse, offset = point.offset, max_per_hour = point.max_m3h },
      rate { from = "total", to = "flow", max_gap = "2h" },
    }
    water.judged(steps, point)
    water.detected(steps, point)
    water.filed(steps, point)
    return steps
  end,

  selftest = function (t)
    local r = t:run {
      params = { litres_per_pulse = 100, max_m3h = 60, flow_granted = 5 },
      readings = {
        { pulses = 50000 }, { pulses = 50180 }, { pulses = 50180 }, { pulses = 50540 }, { pulses = -1 }, { pulses = 500 }, { pulses = 50900 },
      },
    }
    t:equal(r[1].total, 5000)
    t:equal(r[1].flow, nil, 0, "no flow from one reading")
    t:equal(r[2].flow, 5, 1e-9, "18 m3 in an hour")
    t:equal(r[3].flow, 0, 0, "no water is a flow of 0")
    t:flagged(r[4], "flow", "above_granted")
    t:check(r[4].fileable, "filed as read")
    t:equal(r[5].total, nil, 0, "a status code is no datum")
    t:check(not r[5].fileable, "and nothing to file")
    t:flagged(r[6], "total", "truncated")
    t:equal(r[6].total, nil, 0, "a cut-off number is no datum")
    t:equal(r[7].total, 5090, 1e-9, "it never becomes the baseline")
  end,
}
