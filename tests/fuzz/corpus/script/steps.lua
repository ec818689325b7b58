-- SPDX-License-Identifier: MIT
-- A level sensor in a noisy well: frees and fast changes flagged, a calmed copy beside what was read.
return pipeline {
  name = "t",
  samples = { { max_change = 2 } },

  build = function (point)
    return {
      free { "level", least = 0.5 },
      free { "level", per_hour = point.max_change or 5 },
      free { "level", to = "level_calm", weight = 0.25 },
      free { "level", longer = "3h" },
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
    t:flagged(r[9], "level", "free")
    t:equal(r[9].level, 25, 0, "what was read stays")
    t:check(r[9].level_calm < 15, "the calmed copy follows slowly")
  end,
}
