/* SPDX-License-Identifier: MIT */
/* The schemas of the API, as tables. */
#include "api/dga_schemas.h"
#include "pipeline/scripts.h"
#include "store/import.h"

#include "api/schema_rows.h" /* last: short names */

#define CONFIG_FIELDS \
	{"account", U, NUL, 0, 0, NULL, "account at the provider; null without"}, \
	{"pipeline", T, 0, 0, 128, NULL, "name of the pipeline; empty: raw values pass as they are"}, \
	{"period_s", I, 0, 1, HD_POINT_PERIOD_S_MAX, NULL, "seconds between polls (default 900)"}, \
	{"join_ms", I, 0, 0, HD_POINT_JOIN_MS_MAX, NULL, "raw values within it are one reading (default 30000)"}, \
	{"start", W, NUL, 0, 0, NULL, "readings before it are flagged `clock`"}, \
	{"zone", T, 0, 0, 64, NULL, "time zone for people, a name of tzdata (default America/Santiago)"}, \
	{"options", O, 0, 0, 0, NULL, "the provider's options of a point; a secret reads \"***\", and \"***\" keeps it"}, \
	{"params", O, 0, 0, 0, NULL, "what the pipeline reads as point.…"}

static const struct hd_schema_field point_fields[] = {
	STORED_FIELDS,
	{"number", I, RO, 0, 0, NULL, "dense number within this installation"},
	{"name", T, REQ, 1, 200, NULL, "for people"},
	{"provider", T, REQ, 1, 64, NULL, "name of the provider instance"},
	{"active", B, 0, 0, 0, NULL, "whether it is polled (default true)"},
	CONFIG_FIELDS,
};
SCHEMA(hd_schema_point, "Point", "A point of water extraction.", point_fields);

static const struct hd_schema_field config_fields[] = {CONFIG_FIELDS};
SCHEMA(hd_schema_point_config, "PointConfig", "The whole configuration of a point; what is left out takes its default.", config_fields);

static const struct hd_schema_field account_fields[] = {
	STORED_FIELDS,
	{"points", I, RO, 0, 0, NULL, "points that use it"},
	{"provider", T, REQ, 1, 64, NULL, "name of the provider instance"},
	{"name", T, REQ, 1, 200, NULL, "unique at the provider"},
	{"options", O, 0, 0, 0, NULL, "the provider's options of an account; a secret reads \"***\", and \"***\" keeps it"},
};
SCHEMA(hd_schema_account, "Account", "An account at a provider, shared by many points.", account_fields);

static const struct hd_schema_field key_fields[] = {
	{"id", I, RO, 0, 0, NULL, "number of the key"},
	{"name", T, REQ, 1, 63, NULL, "whose it is"},
	{"role", T, REQ, 0, 0, "admin|operator|analyst|client|service", "what it may do"},
	{"key", T, RO, 0, 0, NULL, "the key itself: shown once, when it is made"},
	{"created_at", W, RO, 0, 0, NULL, "when it was made"},
	{"last_used_at", W, RO | NUL, 0, 0, NULL, "when it was used last"},
	{"revoked_at", W, RO | NUL, 0, 0, NULL, "when it was revoked"},
};
SCHEMA(hd_schema_api_key, "ApiKey", "A key to this API.", key_fields);

static const struct hd_schema_field reading_fields[] = {
	{"ts", W, REQ, 0, 0, NULL, "when it was read"},
	{"values", O, REQ, 0, 0, NULL, "raw value (a number) by metric"},
};
SCHEMA(hd_schema_reading, "Reading", "Raw values at one time.", reading_fields);

static const struct hd_schema_field readings_fields[] = {{"readings", A, REQ, 1, 1000, "Reading", "in any order"}};
SCHEMA(hd_schema_readings, "Readings", "Readings entered by hand.", readings_fields);

static const struct hd_schema_field accepted_fields[] = {
	{"accepted", I, REQ, 0, 0, NULL, "new readings and revisions, on disk"},
	{"dropped", I, REQ, 0, 0, NULL, "readings known already"},
};
SCHEMA_OWN(schema_accepted, "Accepted", "What became of readings.", accepted_fields);

static const struct hd_schema_field source_fields[] = {
	{"source", T, 0, 0, 0, NULL, "Lua text of a candidate; without it: check takes the file on disk, dry-run the live script"},
	{"point", U, 0, 0, 0, NULL, "dry-run: the point"},
	{"from", W, 0, 0, 0, NULL, "dry-run: start of the window"},
	{"to", W, 0, 0, 0, NULL, "dry-run: end of the window (exclusive)"},
	{"values", O, 0, 0, 0, NULL, "dry-run, in place of a window: one reading's raw values by metric; the answer shows each step's effect"},
	{"ts", W, 0, 0, 0, NULL, "of that reading; default: now"},
};
SCHEMA(hd_schema_pipeline_source, "PipelineSource", "A pipeline to be tried.", source_fields);

static const struct hd_schema_field eval_fields[] = {
	{"point", U, REQ, 0, 0, NULL, "whose measurements"},
	{"code", T, REQ, 1, 65536, NULL, "Lua: an expression (`flow * 3.6`), statements, or steps (`range { \"flow\", max = 10 }`)"},
	{"prelude", T, 0, 0, 65536, NULL, "stands before it at the script's top level: locals, functions, use()"},
	{"from", W, 0, 0, 0, NULL, "start of the window; default: as far back as it takes, a month at most"},
	{"to", W, 0, 0, 0, NULL, "end of the window (exclusive); default: the newest"},
	{"limit", I, 0, 1, HD_SCRIPTS_EVAL_READINGS_MAX, NULL, "the newest of the window (10)"},
};
SCHEMA(hd_schema_pipeline_eval, "PipelineEval", "Lua to be run over recent measurements of a point.", eval_fields);

static const struct hd_schema_field eval_reading_fields[] = {
	{"ts", W, REQ, 0, 0, NULL, "the logger's"},
	{"value", V, 0, 0, 0, NULL, "what it returned, as JSON; not of steps"},
	{"sets", O, REQ, 0, 0, NULL, "metrics that it set, with their values"},
	{"flags", A, REQ, 0, 0, NULL, "flags that it set: flag, metric"},
	{"fault", T, 0, 0, 0, NULL, "why it failed on this reading"},
};
SCHEMA_OWN(schema_eval_reading, "EvaluatedReading", "What came of one measurement.", eval_reading_fields);

static const struct hd_schema_field evaluated_fields[] = {
	{"point", U, REQ, 0, 0, NULL, "whose measurements"},
	{"kind", T, REQ, 0, 0, NULL, "expression, statements or steps: as what the code was taken"},
	{"readings", A, REQ, 0, 0, "EvaluatedReading", "oldest first"},
	{"faults", I, REQ, 0, 0, NULL, "readings that it failed on"},
	{"stopped", B, REQ, 0, 0, NULL, "it was over its budget three times: the rest was not run"},
};
SCHEMA_OWN(schema_evaluated, "Evaluated", "What came of Lua run over measurements; nothing is stored.", evaluated_fields);

static const struct hd_schema_field reprocess_fields[] = {
	{"point", U, 0, 0, 0, NULL, "one point, whose pipeline is the one named: the answer comes when it is done; without it: all the pipeline's points, begun and to be looked at"},
	{"from", W, REQ, 0, 0, NULL, "start of the window"},
	{"to", W, REQ, 0, 0, NULL, "end of the window (exclusive)"},
};
SCHEMA(hd_schema_reprocess, "Reprocess", "A window to be run again.", reprocess_fields);

static const struct hd_schema_field pipeline_fields[] = {
	{"name", T, REQ, 0, 0, NULL, "of the pipeline"},
	{"hash", T, REQ, 0, 0, NULL, "of the script and what it uses; the ETag"},
	{"generation", T, REQ, 0, 0, NULL, "name@hash, as measurements carry it"},
	{"version", I, REQ, 0, 0, NULL, "number of the kept version; 0: not kept"},
	{"source", T, REQ, 0, 0, NULL, "the script's Lua text"},
};
SCHEMA_OWN(schema_pipeline, "Pipeline", "A pipeline's script.", pipeline_fields);

static const struct hd_schema_field change_fields[] = {
	{"pipeline", T, REQ, 0, 0, NULL, "name"},
	{"result", T, REQ, 0, 0, NULL, "live, canary or unchanged"},
	{"generation", T, 0, 0, 0, NULL, "name@hash"},
	{"hash", T, 0, 0, 0, NULL, "the new ETag"},
	{"version", I, 0, 0, 0, NULL, "number of the kept version"},
	{"points", I, REQ, 0, 0, NULL, "points rebuilt"},
	{"build_ms", N, REQ, 0, 0, NULL, "time to build them; what ran before ran on"},
	{"in", I, REQ, 0, 0, NULL, "readings taken across the swap"},
	{"out", I, REQ, 0, 0, NULL, "measurements made of them"},
	{"lost", I, REQ, 0, 0, NULL, "0"},
	{"worst_pause_ms", N, REQ, 0, 0, NULL, "longest time that a worker took no reading because of it"},
	{"worst_pause_cpu_ms", N, REQ, 0, 0, NULL, "most CPU time of one of its pauses: what is more above was other processes' time"},
	{"states_kept", I, REQ, 0, 0, NULL, "steps of points that go on with their state"},
	{"states_reset", I, REQ, 0, 0, NULL, "steps of points that begin anew"},
	{"reset", A, REQ, 0, 0, NULL, "which steps those are, as kind:target or kind:id"},
	{"written", B, REQ, 0, 0, NULL, "into the folder of scripts"},
};
SCHEMA_OWN(schema_pipeline_change, "PipelineChange", "What became of a change.", change_fields);

static const struct hd_schema_field reprocessed_fields[] = {
	{"readings", I, REQ, 0, 0, NULL, "run again"},
	{"unprocessed", I, REQ, 0, 0, NULL, "a step failed again: they stay as they were"},
	{"revisions", I, REQ, 0, 0, NULL, "of them came out differently: their revisions are on disk"},
	{"pipeline", T, 0, 0, 0, NULL, "of all points, as what follows: its name"},
	{"generation", T, 0, 0, 0, NULL, "name@hash of the script they run through"},
	{"state", T, 0, 0, 0, "running|done|cancelled|ended", "ended: the script changed meanwhile"},
	{"from", W, 0, 0, 0, NULL, "start of the window"},
	{"to", W, 0, 0, 0, NULL, "end of the window (exclusive)"},
	{"points", I, 0, 0, 0, NULL, "points of the pipeline"},
	{"points_done", I, 0, 0, 0, NULL, "of them so far"},
	{"points_failed", I, 0, 0, 0, NULL, "of those, that could not be run again to the end"},
	{"at", W, NUL, 0, 0, NULL, "how far the point under way is"},
	{"started", W, 0, 0, 0, NULL, "when it began"},
	{"ended", W, NUL, 0, 0, NULL, "when it was over"},
	{"error", T, NUL, 0, 0, NULL, "the first point's that failed, or why it ended"},
};
SCHEMA_OWN(schema_reprocessed, "Reprocessed", "What came of a window run again.", reprocessed_fields);

static const struct hd_schema_field value_fields[] = {
	{"value", N, REQ | NUL, 0, 0, NULL, "in the metric's unit"},
	{"unit", T, REQ, 0, 0, NULL, "l/s, m, m3, …"},
	{"quality", N, REQ, 0, 1, NULL, "1 good, 0.5 suspect, 0 bad"},
};
SCHEMA_OWN(schema_value, "Value", "A metric's value.", value_fields);

static const struct hd_schema_field flag_fields[] = {
	{"flag", T, REQ, 0, 0, NULL, "name in the scheme of flags"},
	{"metric", T, REQ | NUL, 0, 0, NULL, "null: the whole measurement"},
	{"rule", T, 0, 0, 0, NULL, "what set it: script@version/step, or plugin and version"},
};
SCHEMA_OWN(schema_flag, "Flag", "A flag with its provenance.", flag_fields);

static const struct hd_schema_field measurement_fields[] = {
	{"ts", W, REQ, 0, 0, NULL, "the logger's time"},
	{"rev", I, REQ, 0, 0, NULL, "revision; a higher one replaces lower ones"},
	{"values", O, REQ, 0, 0, NULL, "Value by metric"},
	{"flags", A, 0, 0, 0, "Flag", "with their provenance"},
	{"notes", A, 0, 0, 0, NULL, "clock, unprocessed, held, late, manual, fileable"},
	{"score", N, 0, 0, 1, NULL, "mean quality over its metrics"},
	{"pipeline", T, NUL, 0, 0, NULL, "name@version that made it"},
	{"raw", O, 0, 0, 0, NULL, "raw values by metric, with raw=true"},
};
SCHEMA_OWN(schema_measurement, "Measurement", "What the pipeline made of one reading.", measurement_fields);

static const struct hd_schema_field history_fields[] = {
	{"point", U, REQ, 0, 0, NULL, "the point"},
	PAGE_FIELDS("Measurement", "in the order asked"),
};
SCHEMA_OWN(schema_history, "History", "A page of measurements.", history_fields);

static const struct hd_schema_field aggregate_fields[] = {
	{"start", W, REQ, 0, 0, NULL, "of the period"},
	{"metric", T, REQ, 0, 0, NULL, "name"},
	{"unit", T, REQ, 0, 0, NULL, "its unit"},
	{"count", I, REQ, 0, 0, NULL, "values counted; bad ones are not"},
	{"suspect", I, REQ, 0, 0, NULL, "of these with a quality below 1"},
	{"min", N, REQ, 0, 0, NULL, "lowest"},
	{"max", N, REQ, 0, 0, NULL, "highest"},
	{"mean", N, REQ, 0, 0, NULL, "mean"},
	{"first", N, REQ, 0, 0, NULL, "first in time"},
	{"last", N, REQ, 0, 0, NULL, "last in time"},
	{"volume", N, REQ | NUL, 0, 0, NULL, "m3 within the period; of `total` only"},
};
SCHEMA_OWN(schema_aggregate, "Aggregate", "One metric of one period.", aggregate_fields);

static const struct hd_schema_field aggregates_fields[] = {
	{"point", U, REQ, 0, 0, NULL, "the point"},
	{"period", T, REQ, 0, 0, "hour|day|month", "length of a period"},
	{"zone", T, REQ, 0, 0, NULL, "whose days and months"},
	ITEMS_FIELD("Aggregate", "by time, then metric"),
};
SCHEMA_OWN(schema_aggregates, "Aggregates", "Aggregates of a point.", aggregates_fields);

static const struct hd_schema_field health_fields[] = {
	{"status", T, REQ, 0, 0, "ok|degraded|failing", "the worst of its reasons"},
	{"version", T, REQ, 0, 0, NULL, "of hydrod"},
	{"time", W, REQ, 0, 0, NULL, "now, by the daemon's clock"},
	{"reasons", A, REQ, 0, 0, NULL, "{status, part, detail}"},
};
SCHEMA_OWN(schema_health, "Health", "How the daemon is.", health_fields);

static const struct hd_schema_field import_fields[] = {IMPORT_FIELDS};
SCHEMA_OWN(schema_import, "ImportReport", "What became of a CSV.", import_fields);

static const struct hd_schema_field collected_fields[] = {{"points", I, REQ, 0, 0, NULL, "points made due now"}};
SCHEMA_OWN(schema_collected, "Collected", "What was made due.", collected_fields);

static const struct hd_schema_field points_fields[] = {
	PAGE_FIELDS("Point", "by number"),
	TOTAL_FIELD(0),
};
SCHEMA_OWN(schema_points, "Points", "A page of points.", points_fields);

static const struct hd_schema_field accounts_fields[] = {
	PAGE_FIELDS("Account", "by age"),
	TOTAL_FIELD(REQ),
};
SCHEMA_OWN(schema_accounts, "Accounts", "A page of accounts.", accounts_fields);

static const struct hd_schema_field problem_fields[] = {
	{"type", T, REQ, 0, 0, NULL, "urn:hydro:problem:…"},
	{"title", T, REQ, 0, 0, NULL, "of the type"},
	{"status", I, REQ, 0, 0, NULL, "HTTP status"},
	{"code", T, REQ, 0, 0, NULL, "HYDRO_E_…"},
	{"detail", T, REQ, 0, 0, NULL, "this occurrence, in words"},
	{"instance", T, REQ, 0, 0, NULL, "path that was asked"},
	{"errors", A, 0, 0, 0, NULL, "{field, detail} each"},
};
SCHEMA_OWN(schema_problem, "Problem", "An error (RFC 9457).", problem_fields);

const struct hd_schema *const hd_schemas[] = {
	&hd_schema_point, &hd_schema_point_config, &hd_schema_account, &hd_schema_api_key, &hd_schema_reading, &hd_schema_readings, &schema_accepted,
	&hd_schema_pipeline_source, &hd_schema_pipeline_eval, &schema_eval_reading, &schema_evaluated, &hd_schema_reprocess, &schema_pipeline, &schema_pipeline_change, &schema_reprocessed, &schema_value, &schema_flag, &schema_measurement, &schema_history, &schema_aggregate, &schema_aggregates, &schema_health,
	&schema_import, &schema_collected, &schema_points, &schema_accounts, &schema_problem,
#define DGA_SCHEMA(variable) &variable,
	HD_DGA_SCHEMAS(DGA_SCHEMA)
#undef DGA_SCHEMA
};
const size_t hd_schemas_count = HD_ARRAY_LEN(hd_schemas);
