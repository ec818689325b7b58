-- SPDX-License-Identifier: MIT
-- An open channel: stage, and flow by the rating curve of the section.
local water = use "water"

return pipeline {
  name = "open_channel",
  description = "Open channel: stage and flow by a rating curve",

  samples = {
    { curve = { { 0, 0 }, { 20, 35 }, { 60, 260 } }, flow_granted = 250 },
    { curve = { { 0, 0 }, { 20, 35 } }, stage_from = "level", level_offset = 0.05 },
    { curves = { { from = "2025-01-01", table = { { 0, 0 }, { 20, 35 } } }, { from = "2026-03-15", table = { { 0, 0 }, { 20, 31 } } } } },
    {},
  },

  build = function (point)
    local steps = {}
    if point.stage_from == "level" then
      water.add(steps, scale { from = "level", to = "stage", offset = point.level_offset, factor = 100 })
    elseif point.stage_offset then
      water.add(steps, scale { "stage", offset = point.stage_offset })
    end
    -- One rating table, or `curves`: several, each with the date from which it holds.
    if point.curve or point.curves then
      water.add(steps, curve { from = "stage", to = "flow", table = point.curve, tables = point.curves })
    end
    if point.max_cm_per_hour then
      water.add(steps, rate_of_change { "stage", per_hour = point.max_cm_per_hour })
    end
    water.granted(steps, point)
    water.detected(steps, point)
    water.filed(steps, point)
    return steps
  end,

  selftest = function (t)
    local curve = { { 0, 0 }, { 20, 35 }, { 60, 260 } }
    local r = t:run {
      params = { curve = curve, flow_granted = 250, max_cm_per_hour = 30 },
      readings = { { stage = 10 }, { stage = 20 }, { stage = 58 }, { stage = 64 } },
    }
    t:equal(r[1].flow, 17.5, 1e-9, "between two pairs")
    t:equal(r[2].flow, 35, 1e-9, "at a pair")
    t:clean(r[2], "flow")
    t:flagged(r[3], "stage", "rate_of_change")
    t:flagged(r[4], "flow", "extrapolated")
    t:check(r[4].fileable, "stage and flow are filed as they are")

    local curves = { { from = "2026-01-01", table = { { 0, 0 }, { 20, 40 } } }, { from = "2026-01-02", table = { { 0, 0 }, { 20, 30 } } } }
    r = t:run {
      params = { curves = curves },
      readings = {
        { ts = "2026-01-01T03:59:00Z", stage = 10 }, { ts = "2026-01-01T04:00:00Z", stage = 10 },
        { ts = "2026-01-02T03:59:00Z", stage = 10 }, { ts = "2026-01-02T04:00:00Z", stage = 10 },
      },
    }
    t:equal(r[1].flow, nil, 0, "no table holds yet: no flow is made up")
    t:equal(r[2].flow, 20, 1e-9, "from midnight at UTC-4")
    t:equal(r[3].flow, 20, 1e-9)
    t:equal(r[4].flow, 15, 1e-9, "the next table")

    r = t:run {
      params = { curve = curve, stage_from = "level", level_offset = 0.05 },
      readings = { { level = 0.15 } },
    }
    t:equal(r[1].stage, 20, 1e-9, "m to cm, with the offset")
    t:equal(r[1].flow, 35, 1e-9)
  end,
}
