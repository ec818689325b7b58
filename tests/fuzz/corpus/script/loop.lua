return pipeline { name = "t", build = function (point) return { function (m, state, point) while true do pcall(error) end end } end }
