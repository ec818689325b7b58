---@meta
-- SPDX-License-Identifier: MIT
-- For the Lua language server: completion, hover and checks while a pipeline is written. Not run by the daemon.
-- In .luarc.json: { "runtime.version": "Lua 5.4", "workspace.library": ["scripts/lua"] }

---One reading as a step sees it. Metrics are numbers or nil: `m.flow`, `m.level = nil` takes one out.
---@class hydro.Measurement
---@field ts integer logger's time, ms since 1970 UTC (read only)
---@field flow number? l/s
---@field level number? m, water column above the sensor
---@field total number? m3
---@field water_table number? m, from ground to water
---@field pulses number?
---@field stage number? cm
---@field battery number? V
---@field volume number? m3
---@field [string] number?
local m = {}
---Flags a metric, or the whole measurement with "*". A name outside the scheme (a-z 0-9 _) is kept as it is, with quality 0.5; a script has room for a limited number of them.
---@param metric string
---@param flag hydro.Flag|string
function m:flag(metric, flag) end
---@param metric string
---@param quality number 0 … 1
function m:quality(metric, quality) end
---What the provider said, before any step.
---@param metric string
---@return number?
function m:raw(metric) end

---@alias hydro.Flag
---| "status_code" | "out_of_range" | "above_granted" | "frozen" | "ingest_error" | "truncated" | "noise" | "jump"
---| "gap" | "unjudged" | "pumping_dry" | "spike" | "rate_of_change" | "extrapolated" | "anomaly" | "balance" | "budget"

---The point's params by name, and:
---@class hydro.Point
---@field id string
---@field name string
---@field period integer poll period in seconds
---@field zone string tzdata name
---@field [string] any

---Declared slots of the step, numbers or nil, kept for the point through reloads and restarts.
---@alias hydro.State table<string, number?>

---@alias hydro.StepFunction fun(m: hydro.Measurement, state: hydro.State, point: hydro.Point)
---@class hydro.Step

---@alias hydro.Standard "mayor" | "medio" | "menor" | "muy_pequeno"

---@class hydro.Result
---@field quality table<string, number>
---@field flags table<string, table<string, true>>
---@field unprocessed boolean
---@field fileable boolean it passed a `file` step
---@field [string] number?

---@class hydro.Test
local t = {}
---Runs readings through the pipeline from fresh state; without `ts` they are an hour apart.
---@param run { params: table?, readings: table[] }
---@return hydro.Result[]
function t:run(run) end
---@param tolerance number?
---@param what string?
function t:equal(got, expected, tolerance, what) end
---@param what string?
function t:check(condition, what) end
---@param metric string
---@param flag string
function t:flagged(result, metric, flag) end
---@param metric string
---@param flag string? without one: no flag at all
function t:clean(result, metric, flag) end

---@class hydro.Pipeline
---@field name string as the file is called
---@field description string?
---@field build fun(point: hydro.Point): (hydro.Step|hydro.StepFunction)[]
---@field selftest fun(t: hydro.Test)?
---@field samples table[]? params of points that checks build
---@field state_version integer?

---@param p hydro.Pipeline
---@return hydro.Pipeline
function pipeline(p) end
---A library of the folder `lib`; at the top of a script only.
---@param name string
---@return any
function use(name) end
---@param step { id: string?, state: string[]?, [1]: hydro.StepFunction }
---@return hydro.Step
function lua(step) end

-- Durations are "90s" "15m" "2h" "1d" or seconds. `id` names a step whose state shall outlive a change of its target.

---@param o { from: string, to: string?, volume: string?, litres_per_pulse: number?, offset: number?, max_per_hour: number?, confirm: integer?, noise: number?, truncated: number?, disconnected: string|number?, digits: integer?, id: string? }
---@return hydro.Step
function counter(o) end
---@param o { from: string?, to: string?, max_gap: string|number?, id: string? }
---@return hydro.Step
function rate(o) end
---@param o { [1]: string?, from: string?, to: string?, factor: number?, divisor: number?, offset: number?, id: string? }
---@return hydro.Step
function scale(o) end
---@param o { [1]: string?, metric: string?, as: string?, from: string, to: string, id: string? }
---@return hydro.Step
function convert(o) end
---@param o { from: string?, to: string?, sensor_depth: number, id: string? }
---@return hydro.Step
function depth(o) end
---A rating table of pairs {stage, flow}; or several, each with the date it holds from ("2025-01-01": midnight at UTC-4).
---@param o { from: string?, to: string?, table: number[][]?, tables: { from: string, table: number[][] }[]?, id: string? }
---@return hydro.Step
function curve(o) end
---@param o { of: string[], to: string, id: string? }
---@return hydro.Step
function sum(o) end
---@param o { [1]: string?, of: string?, min: number?, max: number?, tolerance: number?, granted: boolean?, fail_min: number?, fail_max: number?, id: string? }
---@return hydro.Step
function range(o) end
---@param o { [1]: string?, of: string?, moving: string?, readings: integer?, resolution: number?, id: string? }
---@return hydro.Step
function frozen(o) end
---@param o { [1]: string?, of: string?, longer: string|number?, id: string? }
---@return hydro.Step
function gap(o) end
---@param o { [1]: string?, of: string?, per_hour: number, id: string? }
---@return hydro.Step
function rate_of_change(o) end
---@param o { [1]: string?, of: string?, sigmas: number?, least: number, id: string? }
---@return hydro.Step
function spike(o) end
---QARTOD's spike test: |x[n] - (x[n-1] + x[n+1]) / 2| against `suspect` and `fail`, judged when the next reading is there.
---@param o { [1]: string?, of: string?, suspect: number, fail: number?, max_gap: string|number?, unjudged: boolean?, id: string? }
---@return hydro.Step
function spike_average(o) end
---@param o { flow: string?, level: string?, min: number?, id: string? }
---@return hydro.Step
function dry(o) end
---@param o { flow: string?, total: string?, window: string|number?, tolerance: number?, id: string? }
---@return hydro.Step
function balance(o) end
---The year's volume against the right; the year begins at UTC-4 in `month`.
---@param o { [1]: string?, total: string?, to: string?, yearly: number, used: number?, tolerance: number?, month: integer?, id: string? }
---@return hydro.Step
function budget(o) end
---@param o { [1]: string?, of: string?, to: string, band: number, id: string? }
---@return hydro.Step
function dead_band(o) end
---@param o { [1]: string?, of: string?, to: string, weight: number?, id: string? }
---@return hydro.Step
function smooth(o) end
---A detector's judgement: an instance of `analytics` in hydro.lua. What it did not see is flagged `unannotated`.
---@param o { [1]: string?, analytics: string?, on: string, range: number[]?, score: string?, id: string? }
---@return hydro.Step
function detect(o) end
---@param o string[]|{ sinks: string[] } names of sinks
---@return hydro.Step
function to(o) end
---Lets the measurement be filed with the regulator; without it nothing is. `level` is `water_table` (m) or `stage` (cm).
---@param o { [1]: string?, regulator: string?, standard: hydro.Standard?, flow: string?, total: string?, level: string?, min_quality: number?, id: string? }
---@return hydro.Step
function file(o) end
