-- SPDX-License-Identifier: MIT
-- The smallest pipeline: raw flow and level pass, flow is checked.
return pipeline {
  name = "minimal",

  build = function (point)
    return {
      range { "flow", min = 0, max = point.flow_granted },
    }
  end,
}
