/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "lua/lua.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(worker, a_full_journal_holds_the_batch_until_it_is_taken_whole)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	rig.refuse = 5;
	for (int i = 0; i < 10; i++)
		cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + i * RIG_MIN, HD_METRIC_FLOW, i), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig.stored->count, 10u);
	cr_assert_eq(rig.acked, 10u);
	struct hd_pipeline_status status;
	hd_pipeline_status(rig.pipeline, UINT32_MAX, &status);
	cr_assert_geq(status.waits, 1u);
	cr_assert_eq(status.samples, 10u);
	rig_close(&rig);
}

Test(worker, nothing_is_acknowledged_or_shown_before_it_is_synced)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	rig.hold_back = true;
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, HD_METRIC_FLOW, 1), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, HD_METRIC_FLOW, 1), HYDRO_OK); /* known, but not yet on disk */
	struct hd_latest_value latest;
	(void)pthread_mutex_lock(&rig.lock);
	while (!rig.waiting_count)
		(void)pthread_cond_wait(&rig.changed, &rig.lock);
	cr_assert_eq(rig.acked, 0u);
	(void)pthread_mutex_unlock(&rig.lock);
	cr_assert_not(hd_latest_get(hd_pipeline_latest(rig.pipeline), 0, &latest));
	rig_sync(&rig);
	rig_settle(&rig, 0);
	rig_sync(&rig);
	(void)pthread_mutex_lock(&rig.lock);
	while (rig.acked < 2)
		(void)pthread_cond_wait(&rig.changed, &rig.lock);
	(void)pthread_mutex_unlock(&rig.lock);
	cr_assert(hd_latest_get(hd_pipeline_latest(rig.pipeline), 0, &latest));
	rig_close(&rig);
}

static void block_job(void *arg, struct hd_worker *w)
{
	(void)w;
	struct rig *rig = arg;
	(void)pthread_mutex_lock(&rig->lock);
	rig->events = 100;
	(void)pthread_cond_broadcast(&rig->changed);
	while (rig->events)
		(void)pthread_cond_wait(&rig->changed, &rig->lock);
	(void)pthread_mutex_unlock(&rig->lock);
}

static void count_job(void *arg, struct hd_worker *w)
{
	(void)w;
	__atomic_add_fetch((unsigned *)arg, 1, __ATOMIC_RELAXED);
}

Test(worker, a_full_queue_takes_no_more_jobs_and_runs_those_it_took)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	uint32_t worker = hd_pipeline_worker_of(rig.pipeline, 0);
	unsigned ran = 0, posted = 0;
	cr_assert(hd_pipeline_post(rig.pipeline, worker, block_job, &rig));
	(void)pthread_mutex_lock(&rig.lock);
	while (rig.events != 100)
		(void)pthread_cond_wait(&rig.changed, &rig.lock);
	(void)pthread_mutex_unlock(&rig.lock);
	while (hd_pipeline_post(rig.pipeline, worker, count_job, &ran))
		posted++;
	cr_assert_eq(posted, 1024u);
	(void)pthread_mutex_lock(&rig.lock);
	rig.events = 0;
	(void)pthread_cond_broadcast(&rig.changed);
	(void)pthread_mutex_unlock(&rig.lock);
	cr_assert_eq(hd_pipeline_drain(rig.pipeline, 5000, NULL), HYDRO_OK);
	cr_assert_eq(ran, posted);
	cr_assert_not(hd_pipeline_post(rig.pipeline, worker, count_job, &ran));
	rig_close(&rig);
}

Test(worker, a_drain_without_a_journal_ends_in_time_and_acknowledges_nothing)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	rig.refuse = 1000000;
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, HD_METRIC_FLOW, 1), HYDRO_OK);
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(hd_pipeline_drain(rig.pipeline, 50, &err), HYDRO_E_TIMEOUT);
	cr_assert_eq(rig.acked, 0u);
	rig.refuse = 0;
	rig_close(&rig);
}

Test(worker, readings_of_many_points_and_shapes_stay_in_order_of_time)
{
	struct rig rig;
	const uint32_t points = 300;
	rig_open(&rig, points, "well", NULL);
	struct hd_plans *plans = NULL;
	cr_assert_eq(hd_plans_new(&plans), HYDRO_OK);
	for (uint32_t i = 0; i < points; i++) {
		struct hd_spec spec = {.script = "well@1"};
		rig_step(&spec, "counter", "sn", "from", "pulses", "litres_per_pulse", 1000.0);
		if (i % 3)
			rig_step(&spec, "rate", "");
		if (i % 3 == 2)
			rig_step(&spec, "range", "sn", "of", "flow", "max", 0.1);
		cr_assert_eq(hd_plans_put(plans, i, rig_compile(&rig, &spec)), HYDRO_OK);
		hd_spec_done(&spec);
	}
	struct hd_swap_report report;
	cr_assert_eq(hd_pipeline_swap(rig.pipeline, plans, &report, NULL), HYDRO_OK);
	cr_assert_eq(report.points, points);
	for (int h = 0; h < 4; h++)
		for (uint32_t i = 0; i < points; i++)
			cr_assert_eq(rig_feed1(&rig, i, RIG_T0 + h * RIG_HOUR, HD_METRIC_PULSES, 100.0 + h * (double)(i + 1)), HYDRO_OK);
	for (uint32_t i = 0; i < points; i++)
		rig_settle(&rig, i);
	for (uint32_t i = 0; i < points; i++) {
		const struct hd_sample *sample = rig_sample(&rig, i, RIG_T0 + 3 * RIG_HOUR);
		cr_assert_float_eq(rig_value(sample, HD_METRIC_TOTAL), 100.0 + 3.0 * (i + 1), 1e-9);
		cr_assert(i % 3 ? fabs(rig_value(sample, HD_METRIC_FLOW) - (i + 1) / 3.6) < 1e-9 : isnan(rig_value(sample, HD_METRIC_FLOW)));
		cr_assert_eq(rig_has_flag(sample, HD_METRIC_FLOW, HD_FLAG_OUT_OF_RANGE), i % 3 == 2);
	}
	rig_close(&rig);
}

/* ---- Lua steps, by a function in the place of Lua ---- */

static int pretend_lua(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
		       const struct hd_point *point, struct hd_lua_fault *fault)
{
	(void)arg, (void)worker, (void)script, (void)function;
	double level;
	HD_ASSERT(point && point->index == 0);
	if (!view->get(view->arg, HD_METRIC_LEVEL, &level))
		return HYDRO_OK;
	if (level < 0) {
		(void)strcpy(fault->text, "over its budget");
		return level < -1 ? HYDRO_E_LIMIT : HYDRO_E_INVALID;
	}
	slots[0] = isnan(slots[0]) ? 1 : slots[0] + 1;
	(void)view->set(view->arg, HD_METRIC_BATTERY, slots[0]);
	(void)view->set(view->arg, HD_METRIC_STAGE, (double)NAN);
	if (level > 10)
		(void)view->flag(view->arg, HD_METRIC_LEVEL, HD_FLAG_SPIKE, "spike");
	return HYDRO_OK;
}

static void open_lua(struct rig *rig, struct hd_spec *spec)
{
	static const char *const slots[] = {"n"};
	rig_open(rig, 1, "well", NULL);
	hd_pipeline_close(&rig->pipeline);
	rig->config.call_lua = pretend_lua;
	rig_restart(rig);
	*spec = (struct hd_spec){.script = "well@1"};
	struct hd_spec_step step = {.kind = HD_SPEC_KIND_LUA, .id = "", .line = 12, .slot_count = 1, .slots = slots};
	cr_assert_eq(hd_spec_add(spec, &step, NULL), HYDRO_OK);
	(void)rig_plan(rig, spec, 1);
}

static int feed_level(struct rig *rig, int minute, double level)
{
	hydro_raw raws[] = {{RIG_T0 + minute * RIG_MIN, level, HD_METRIC_LEVEL, 0}, {RIG_T0 + minute * RIG_MIN, 3, HD_METRIC_STAGE, 0}};
	int rc = rig_feed(rig, 0, raws, 2, HD_FEED_LIVE);
	rig_settle(rig, 0);
	return rc;
}

Test(worker, a_lua_step_reads_sets_clears_flags_and_remembers)
{
	struct rig rig;
	struct hd_spec spec;
	open_lua(&rig, &spec);
	cr_assert_eq(feed_level(&rig, 0, 5), HYDRO_OK);
	cr_assert_eq(feed_level(&rig, 1, 15), HYDRO_OK);
	const struct hd_sample *sample = rig_sample(&rig, 0, RIG_T0 + RIG_MIN);
	cr_assert_eq(rig_value(sample, HD_METRIC_BATTERY), 2.0);
	cr_assert(isnan(rig_value(sample, HD_METRIC_STAGE)));
	cr_assert(rig_has_flag(sample, HD_METRIC_LEVEL, HD_FLAG_SPIKE));
	cr_assert_str_eq(hd_names_get(rig.names, HD_NAME_RULE, sample->flags[0].rule), "well@1/lua:1");
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(worker, a_lua_step_over_its_budget_leaves_raw_values_and_is_switched_off_after_three)
{
	struct rig rig;
	struct hd_spec spec;
	open_lua(&rig, &spec);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(feed_level(&rig, i, -5), HYDRO_OK);
		const struct hd_sample *sample = rig_sample(&rig, 0, RIG_T0 + i * RIG_MIN);
		cr_assert(sample->bits & HD_SAMPLE_UNPROCESSED);
		cr_assert(rig_has_flag(sample, 0, HD_FLAG_UNPROCESSED));
		cr_assert_eq(sample->value_count, 0);
		cr_assert_eq(sample->raw_count, 2);
	}
	cr_assert_str_eq(rig.last_event, "step_off");
	cr_assert_eq(feed_level(&rig, 3, -5), HYDRO_OK);
	cr_assert_eq(rig_value(rig_sample(&rig, 0, RIG_T0 + 3 * RIG_MIN), HD_METRIC_LEVEL), -5.0);
	struct hd_pipeline_status status;
	hd_pipeline_status(rig.pipeline, UINT32_MAX, &status);
	cr_assert_eq(status.overruns, 3u);
	cr_assert_eq(status.steps_off, 1u);
	hd_spec_done(&spec);
	rig_close(&rig);
}

Test(worker, a_lua_error_leaves_raw_values_and_no_strike)
{
	struct rig rig;
	struct hd_spec spec;
	open_lua(&rig, &spec);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(feed_level(&rig, i, -1), HYDRO_OK);
	cr_assert_eq(feed_level(&rig, 5, 2), HYDRO_OK);
	cr_assert_eq(rig_value(rig_sample(&rig, 0, RIG_T0 + 5 * RIG_MIN), HD_METRIC_BATTERY), 1.0);
	struct hd_pipeline_status status;
	hd_pipeline_status(rig.pipeline, UINT32_MAX, &status);
	cr_assert_eq(status.lua_errors, 5u);
	cr_assert_eq(status.steps_off, 0u);
	hd_spec_done(&spec);
	rig_close(&rig);
}

/* ---- latest ---- */

static void heard(void *arg, const struct hd_batch *batch)
{
	*(uint32_t *)arg += batch->count;
}

Test(worker, latest_values_carry_all_metrics_and_their_worst_flag)
{
	struct hd_latest *latest = NULL;
	cr_assert_eq(hd_latest_new(&latest), HYDRO_OK);
	struct hd_value values[6];
	for (uint32_t i = 0; i < 6; i++)
		values[i] = (struct hd_value){i + 0.25, i + 1, i == 2 ? 0.5f : 1.0f};
	struct hd_flag flags[] = {{.metric = 3, .flag = HD_FLAG_RESET}, {.metric = 3, .flag = HD_FLAG_FROZEN}};
	struct hd_sample sample = {.ts_ms = RIG_T0, .point = 5000, .value_count = 6, .values = values, .flag_count = 2, .flags = flags};
	hd_latest_put(latest, &sample);
	struct hd_latest_value got;
	cr_assert(hd_latest_get(latest, 5000, &got));
	cr_assert_eq(got.count, 6u);
	cr_assert_eq(got.metrics[5].value, 5.25);
	cr_assert_eq(got.metrics[5].metric, 6u);
	cr_assert_float_eq(got.metrics[2].quality, 0.5, 0.003);
	cr_assert_eq(got.metrics[2].flag, HD_FLAG_FROZEN);
	sample.ts_ms -= 1;
	sample.value_count = 1;
	hd_latest_put(latest, &sample);
	cr_assert(hd_latest_get(latest, 5000, &got));
	cr_assert_eq(got.count, 6u);
	cr_assert_not(hd_latest_get(latest, 4999, &got));
	hd_latest_free(&latest);
}

Test(worker, listeners_hear_each_synced_batch_until_they_leave)
{
	struct rig rig;
	rig_open(&rig, 1, "", NULL);
	uint32_t count = 0;
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(hd_latest_listen(hd_pipeline_latest(rig.pipeline), heard, &count, &err), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, HD_METRIC_FLOW, 1), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(count, 1u);
	hd_latest_unlisten(hd_pipeline_latest(rig.pipeline), heard, &count);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + RIG_MIN, HD_METRIC_FLOW, 1), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(count, 1u);
	rig_close(&rig);
}

struct batches {
	uint32_t count;
	bool trim;
};

static void look_at_batches(void *arg, struct hd_worker *w)
{
	struct batches *batches = arg;
	batches->count = w->batches;
	if (batches->trim)
		w->trim_ns = 0; /* it is time to look */
}

Test(worker, batches_of_a_burst_are_given_up_when_nothing_needs_them)
{
	struct rig rig;
	struct batches batches = {0};
	rig_open(&rig, 1, "", NULL);
	rig.hold_back = true;
	for (int i = 1; i <= 20; i++) {
		cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + i * RIG_HOUR, HD_METRIC_FLOW, i), HYDRO_OK);
		rig_settle(&rig, 0);
	}
	rig_on_worker(&rig, 0, look_at_batches, &batches);
	cr_assert_geq(batches.count, 20);
	rig_sync(&rig);
	batches.trim = true;
	while (batches.count > 3)
		rig_on_worker(&rig, 0, look_at_batches, &batches);
	for (int i = 21; i <= 25; i++)
		cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + i * RIG_HOUR, HD_METRIC_FLOW, i), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(rig_count(&rig, 0, RIG_T0 + 25 * RIG_HOUR), 1);
	rig_close(&rig);
}

struct burst {
	struct rig *rig;
	int readings;
};

static void feed_burst(void *arg, struct hd_worker *w)
{
	struct burst *burst = arg;
	struct hydro_error err = {.struct_size = sizeof err};
	for (int i = 0; i < burst->readings; i++) {
		hydro_raw raw = {RIG_T0 + i * 60000, i, HD_METRIC_FLOW, 0};
		(void)hd_pipeline_feed(w, 0, &raw, 1, &(struct hd_feed){.source = 1}, &err);
	}
}

Test(worker, that_it_waits_for_batches_to_come_back_is_counted_as_a_wait)
{
	struct rig rig;
	struct hd_pipeline_status status = {0};
	rig_open(&rig, 1, "", NULL);
	rig_stop(&rig);
	rig.config.batch_samples = 256;
	rig_restart(&rig);
	cr_assert_eq(hd_pipeline_recover(rig.pipeline, NULL, NULL), HYDRO_OK);
	rig.hold_back = true;
	/* More than all batches that a worker may have under way hold: it stands until some are synced. */
	struct burst burst = {&rig, 64 * 256 + 1024};
	cr_assert(hd_pipeline_post_wait(rig.pipeline, hd_pipeline_worker_of(rig.pipeline, 0), feed_burst, &burst));
	while (!status.waits) {
		(void)usleep(1000);
		hd_pipeline_status(rig.pipeline, UINT32_MAX, &status);
	}
	rig_sync(&rig); /* and from now on at once */
	rig_settle(&rig, 0);
	hd_pipeline_status(rig.pipeline, UINT32_MAX, &status);
	cr_assert_eq(status.readings, (uint64_t)burst.readings);
	rig_close(&rig);
}
