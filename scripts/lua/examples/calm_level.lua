-- SPDX-License-Identifier: MIT
-- A level sensor in a noisy well: spikes and fast changes flagged, a calmed copy beside what was read.
return pipeline {
  name = "calm_level",
  samples = { { max_change = 2 } },

  build = function (point)
    return {
      spike { "level", least = 0.5 },
      rate_of_change { "level", per_hour = point.max_change or 5 },
      smooth { "level", to = "level_calm", weight = 0.25 },
      gap { "level", longer = "3h" },
    }
  end,

  selftest = function (t)
    local readings = {}
    for i = 1, 10 do
      readings[i] = { level = 10 + (i % 2) * 0.1 }
    end
    readings[9].level = 25
    local r = t:run { params = {}, readings = readings }
    t:clean(r[8], "level")
    t:flagged(r[9], "level", "spike")
    t:equal(r[9].level, 25, 0, "what was read stays")
    t:check(r[9].level_calm < 15, "the calmed copy follows slowly")
  end,
}
