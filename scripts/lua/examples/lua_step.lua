-- SPDX-License-Identifier: MIT
-- Steps written in Lua: what declarative steps do not say. A step function sees its arguments and the script's top-level
-- locals; numbers of the point come by `point`, numbers to remember by `state`.
local NIGHT_FLOW = 0.5 -- l/s

local function leak(m, state, point)
  if not m.flow then
    return
  end
  -- Readings in a row without a pause: water that never stops is a leak.
  if m.flow > (point.night_flow or NIGHT_FLOW) then
    state.running = (state.running or 0) + 1
  else
    state.running = 0
  end
  m.hours_running = state.running * point.period / 3600
  if m.hours_running >= (point.leak_hours or 24) then
    m:flag("flow", "leak")
    m:quality("flow", 0.9)
  end
end

return pipeline {
  name = "lua_step",
  samples = { { leak_hours = 2 } },

  build = function (point)
    return {
      lua { id = "leak", state = { "running" }, leak },
      function (m, state, point)
        if m.flow and m.level and m.flow > 0 and m.level <= 0 then
          m:flag("level", "pumping_dry")
        end
      end,
    }
  end,

  selftest = function (t)
    local r = t:run { params = { leak_hours = 2 }, readings = { { flow = 3 }, { flow = 3, level = 0 }, { flow = 0.1 } } }
    t:equal(r[1].hours_running, 1)
    t:equal(r[2].hours_running, 2)
    t:flagged(r[2], "flow", "leak")
    t:flagged(r[2], "level", "pumping_dry")
    t:equal(r[3].hours_running, 0)
  end,
}
