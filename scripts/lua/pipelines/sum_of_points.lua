-- SPDX-License-Identifier: MIT
-- A work measured by several points, each with a logger of its own: a derived point, provider "derived", whose options say
-- sources = { total_1 = "<id>/total", flow_1 = "<id>/flow", total_2 = … }. No sum is made of what is not all there.
local water = use "water"

local POINTS_MAX = 8

return pipeline {
  name = "sum_of_points",
  description = "Work measured by several points: the sum of their totals and flows",

  samples = { { points = 2, flow_granted = 30, volume_granted = 500000 }, { points = 3 }, {} },

  build = function (point)
    local n = math.min(math.max(point.points or 2, 1), POINTS_MAX)
    local totals, flows = {}, {}
    for i = 1, n do
      totals[i] = "total_" .. i
      flows[i] = "flow_" .. i
    end
    local steps = { sum { of = totals, to = "total" }, sum { of = flows, to = "flow" } }
    water.granted(steps, point)
    water.yearly(steps, point)
    water.detected(steps, point)
    water.filed(steps, point)
    return steps
  end,

  selftest = function (t)
    local r = t:run {
      params = { points = 2, flow_granted = 10 },
      readings = { { total_1 = 100, total_2 = 50, flow_1 = 4, flow_2 = 8 }, { total_1 = 110, flow_1 = 4 }, { total_1 = 120, total_2 = 55 } },
    }
    t:equal(r[1].total, 150)
    t:equal(r[1].flow, 12)
    t:flagged(r[1], "flow", "above_granted")
    t:check(r[1].fileable)
    t:equal(r[2].total, nil, 0, "one of them is silent: no sum")
    t:equal(r[2].flow, nil, 0)
    t:check(not r[2].fileable, "and nothing to file")
    t:equal(r[3].total, 175)
    t:equal(r[3].flow, nil, 0)
  end,
}
