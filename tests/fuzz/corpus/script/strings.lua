local s = ("a"):rep(100):gsub("%w", "%0%0"):format() local t = {3,1,2} table.sort(t, function (a, b) return a > b end)
return pipeline { name = "t", build = function (point) local n = point.list[2].a for w in s:gmatch("(a+)") do n = n .. w end
return { counter { from = n:sub(1, 2), to = "total" }, lua { state = {"x"}, function (m, state) state.x = m.flow m:flag("*", "spike") end } } end }
