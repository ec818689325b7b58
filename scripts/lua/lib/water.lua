-- SPDX-License-Identifier: MIT
-- What the ready pipelines share. Each function adds steps for what the point has; none keeps anything.
local water = {}

function water.add(steps, step)
  steps[#steps + 1] = step
end

-- total in m3: from pulses where litres_per_pulse is known, else the meter's own total in m3, by the same rules.
function water.counted(steps, point)
  local litres = point.litres_per_pulse
  water.add(steps, counter {
    from = litres and "pulses" or "total",
    to = "total",
    litres_per_pulse = litres or 1000,
    offset = point.offset,
    max_per_hour = point.max_m3h,
  })
end

-- flow in l/s: the meter's, or from the total with flow_from = "total".
function water.flow(steps, point)
  if point.flow_from == "total" then
    water.add(steps, rate { from = "total", to = "flow", max_gap = "2h" })
  elseif point.flow_unit then
    water.add(steps, convert { "flow", from = point.flow_unit, to = "l/s" })
  end
end

-- level in m: (raw + level_offset) / level_divisor.
function water.level(steps, point)
  if point.level_offset or point.level_divisor then
    water.add(steps, scale { "level", offset = point.level_offset, divisor = point.level_divisor })
  end
end

-- Flags a flow above the right; it stays as read.
function water.granted(steps, point)
  if point.flow_granted then
    water.add(steps, range { "flow", min = 0, max = point.flow_granted, tolerance = 0.10 })
  end
end

-- Flags the total once more than the year's right was taken.
function water.yearly(steps, point)
  if point.volume_granted then
    water.add(steps, budget { "total", to = "volume_year", yearly = point.volume_granted, used = point.volume_used, month = point.year_from })
  end
end

function water.judged(steps, point)
  water.granted(steps, point)
  water.yearly(steps, point)
  water.add(steps, frozen { "total", readings = 4, moving = "flow" })
end

-- A detector's judgement of the flow: `detect = "anomaly"` in the point's params names an instance of `analytics` in hydro.lua.
function water.detected(steps, point)
  if point.detect then
    water.add(steps, detect { point.detect, on = "flow", range = { 0, point.flow_granted } })
  end
end

-- What may be filed with the regulator. A point with `filed = false` (a control well, a trial) files nothing.
function water.filed(steps, point)
  if point.filed ~= false then
    water.add(steps, file { "dga", standard = point.standard })
  end
end

return water
