-- SPDX-License-Identifier: MIT
-- A work measured by several meters on one logger: pulses_1, pulses_2 … or total_1, total_2 …, and their sum.
local water = use "water"

local METERS_MAX = 6

return pipeline {
  name = "several_meters",
  description = "Work measured by several meters of one logger: their totals and the sum",

  samples = { { meters = 2, litres_per_pulse = { 10, 100 }, offset = { 0, 50 } }, { meters = 3 }, {} },

  build = function (point)
    local n = math.min(math.max(point.meters or 2, 1), METERS_MAX)
    local litres, offset, steps, totals = point.litres_per_pulse or {}, point.offset or {}, {}, {}
    for i = 1, n do
      local total = "total_" .. i
      totals[i] = total
      if litres[i] then
        water.add(steps, counter { from = "pulses_" .. i, to = total, litres_per_pulse = litres[i], offset = offset[i], max_per_hour = point.max_m3h })
      else
        water.add(steps, counter { from = total, to = total, litres_per_pulse = 1000, offset = offset[i], max_per_hour = point.max_m3h })
      end
    end
    water.add(steps, sum { of = totals, to = "total" })
    water.add(steps, rate { from = "total", to = "flow", max_gap = "2h" })
    water.judged(steps, point)
    water.detected(steps, point)
    water.filed(steps, point)
    return steps
  end,

  selftest = function (t)
    local r = t:run {
      params = { meters = 2, litres_per_pulse = { 10, 100 }, offset = { 0, 50 } },
      readings = {
        { pulses_1 = 1000, pulses_2 = 1000 }, { pulses_1 = 2800, pulses_2 = 1180 }, { pulses_1 = 2900 },
      },
    }
    t:equal(r[1].total, 160, 1e-9, "10 + 100 + 50")
    t:equal(r[2].total, 196, 1e-9, "28 + 118 + 50")
    t:equal(r[2].flow, 10, 1e-9, "36 m3 in an hour")
    t:check(r[2].fileable)
    t:equal(r[3].total, nil, 0, "no sum of what is not there")
    t:check(not r[3].fileable, "and nothing to file")
  end,
}
