/* SPDX-License-Identifier: MIT */
/* Each rule of the counter, on small series. */
#include "rig.h"

#include <math.h>

#define TOTAL HD_METRIC_TOTAL

static void open_well(struct rig *rig, struct hd_spec *spec)
{
	rig_open(rig, 1, "well", NULL);
	*spec = (struct hd_spec){.script = "well@1"};
	rig_step(spec, "counter", "ssnns", "from", "pulses", "volume", "volume", "litres_per_pulse", 1000.0, "max_per_hour", 100.0, "disconnected", "5h");
	rig_step(spec, "rate", "ss", "from", "total", "to", "flow");
	(void)rig_plan(rig, spec, 1);
}

static void close_well(struct rig *rig, struct hd_spec *spec)
{
	hd_spec_done(spec);
	rig_close(rig);
}

/* Hourly readings from hour `first` on; all in one feed, then redos. */
static void feed_hours(struct rig *rig, int first, const double *values, uint32_t count)
{
	hydro_raw raws[64];
	for (uint32_t i = 0; i < count; i++)
		raws[i] = (hydro_raw){RIG_T0 + (first + (int64_t)i) * RIG_HOUR, values[i], HD_METRIC_PULSES, 0};
	cr_assert_eq(rig_feed(rig, 0, raws, count, HD_FEED_LIVE), HYDRO_OK);
	rig_settle(rig, 0);
}

static const struct hd_sample *hour(struct rig *rig, int h)
{
	return rig_sample(rig, 0, RIG_T0 + h * RIG_HOUR);
}

/* Flags of the total at hour h. */
static int total_flags(struct rig *rig, int h)
{
	int n = 0;
	for (uint32_t i = 0; i < hour(rig, h)->flag_count; i++)
		n += hour(rig, h)->flags[i].metric == TOTAL;
	return n;
}

static double volume(struct rig *rig, int first, int last)
{
	double sum = 0;
	for (int h = first; h <= last; h++) {
		double v = rig_value(hour(rig, h), HD_METRIC_VOLUME);
		sum += isnan(v) ? 0 : v;
	}
	return sum;
}

#define FEED(rig, first, ...) feed_hours(rig, first, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

Test(counter, a_negative_value_is_a_status_code_and_no_datum)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 1000, -3, 1020);
	cr_assert(rig_has_flag(hour(&rig, 1), TOTAL, HD_FLAG_STATUS_CODE));
	cr_assert(isnan(rig_value(hour(&rig, 1), TOTAL)));
	cr_assert_float_eq(rig_value(hour(&rig, 2), HD_METRIC_FLOW), 20.0 * 1000 / 7200, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, zero_after_history_is_no_datum_and_never_the_baseline)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 1000, 1010, 0, 0, 1040);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_INGEST_ERROR));
	cr_assert(isnan(rig_value(hour(&rig, 3), TOTAL)));
	cr_assert_eq(total_flags(&rig, 4), 0);
	cr_assert_float_eq(rig_value(hour(&rig, 4), TOTAL), 1040.0, 1e-9);
	cr_assert_float_eq(volume(&rig, 0, 4), 40.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, a_cut_off_number_is_no_datum)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 36412, 36430, 364, 36450, 3645, 36470);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_TRUNCATED));
	cr_assert(rig_has_flag(hour(&rig, 4), TOTAL, HD_FLAG_TRUNCATED));
	cr_assert(isnan(rig_value(hour(&rig, 2), TOTAL)));
	cr_assert_float_eq(volume(&rig, 0, 5), 58.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, noise_neither_makes_nor_loses_water)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 1000, 1010, 1008, 1009, 1015, 1014, 1020);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_NOISE));
	cr_assert_float_eq(rig_value(hour(&rig, 2), TOTAL), 1008.0, 1e-9); /* as read */
	cr_assert(isnan(rig_value(hour(&rig, 2), HD_METRIC_FLOW)));        /* and no flow out of it */
	cr_assert_eq(total_flags(&rig, 4), 0);
	cr_assert_float_eq(volume(&rig, 0, 6), 20.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, a_reset_counts_once_ten_readings_rose_and_is_flagged_where_it_began)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010, 5020, 5030);
	FEED(&rig, 4, 6, 16, 26, 36, 46, 56, 66, 76, 86, 96);
	cr_assert(rig_has_flag(hour(&rig, 4), TOTAL, HD_FLAG_TRUNCATED));
	cr_assert(isnan(rig_value(hour(&rig, 13), TOTAL)));
	FEED(&rig, 14, 106, 116);
	for (int h = 5; h <= 15; h++)
		cr_assert_eq(total_flags(&rig, h), 0);
	cr_assert(rig_has_flag(hour(&rig, 4), TOTAL, HD_FLAG_RESET));
	cr_assert_float_eq(rig_value(hour(&rig, 4), TOTAL), 5036.0, 1e-9);
	cr_assert_float_eq(rig_value(hour(&rig, 15), TOTAL), 5146.0, 1e-9);
	cr_assert_float_eq(rig_value(hour(&rig, 10), HD_METRIC_FLOW), 10.0 / 3.6, 1e-9);
	cr_assert_float_eq(volume(&rig, 0, 15), 30.0 + 116.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, a_rollback_goes_on_from_the_lower_count)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010, 4000);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_RESET_PENDING));
	cr_assert(isnan(rig_value(hour(&rig, 2), HD_METRIC_FLOW)));
	FEED(&rig, 3, 4010, 4020, 4030, 4040, 4050, 4060, 4070, 4080, 4090, 4100);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_ROLLBACK));
	cr_assert_float_eq(rig_value(hour(&rig, 12), TOTAL), 5110.0, 1e-9);
	cr_assert_float_eq(volume(&rig, 0, 12), 110.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, a_drop_that_comes_back_was_no_reset)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010, 4000, 4010, 5040, 5050);
	cr_assert(rig_has_flag(hour(&rig, 3), TOTAL, HD_FLAG_RESET_PENDING));
	cr_assert_eq(total_flags(&rig, 4), 0);
	cr_assert_float_eq(volume(&rig, 0, 5), 50.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, a_rollover_is_known_at_once)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 99970, 99990, 12, 30);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_ROLLOVER));
	cr_assert_float_eq(rig_value(hour(&rig, 2), TOTAL), 100012.0, 1e-9);
	cr_assert_float_eq(rig_value(hour(&rig, 2), HD_METRIC_FLOW), 22.0 / 3.6, 1e-9);
	cr_assert_float_eq(volume(&rig, 0, 3), 60.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, a_jump_is_flagged_and_is_no_volume)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010, 95000, 5030, 5040);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_JUMP));
	cr_assert_float_eq(rig_value(hour(&rig, 2), TOTAL), 95000.0, 1e-9);
	cr_assert(isnan(rig_value(hour(&rig, 2), HD_METRIC_FLOW)));
	cr_assert_eq(total_flags(&rig, 3), 0);
	cr_assert_float_eq(volume(&rig, 0, 4), 40.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, a_jump_that_stays_becomes_the_count_without_its_step)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010, 6000, 6010, 6020, 6030, 6040, 6050, 6060, 6070, 6080, 6090, 6100, 6110);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_JUMP));
	cr_assert_eq(total_flags(&rig, 6), 0);
	cr_assert_float_eq(rig_value(hour(&rig, 13), TOTAL), 6110.0, 1e-9); /* as the meter shows it */
	cr_assert_float_eq(volume(&rig, 0, 13), 120.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, more_than_the_limit_is_allowed_after_a_reconnection)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010);
	FEED(&rig, 9, 5900, 5910);
	cr_assert(rig_has_flag(hour(&rig, 9), TOTAL, HD_FLAG_RECONNECTED));
	cr_assert(rig_has_flag(hour(&rig, 9), TOTAL, HD_FLAG_JUMP));
	cr_assert_float_eq(rig_value(hour(&rig, 9), HD_METRIC_VOLUME), 890.0, 1e-9);
	cr_assert_eq(total_flags(&rig, 10), 0);
	close_well(&rig, &spec);
}

Test(counter, a_new_meter_after_a_disconnection_is_a_replacement)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010);
	FEED(&rig, 12, 300, 310, 320, 330, 340, 350, 360, 370, 380, 390, 400);
	cr_assert(rig_has_flag(hour(&rig, 12), TOTAL, HD_FLAG_METER_REPLACED));
	cr_assert_float_eq(volume(&rig, 0, 22), 10.0 + 100.0, 1e-9); /* where the new meter began is not known */
	close_well(&rig, &spec);
}

static void replaced_job(void *arg, struct hd_worker *w)
{
	*(int *)arg = hd_pipeline_meter_replaced(w, 0, RIG_T0 + RIG_HOUR, NULL);
}

Test(counter, an_operators_replacement_is_believed_at_once)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010);
	int rc = HYDRO_E_FATAL;
	rig_on_worker(&rig, 0, replaced_job, &rc);
	cr_assert_eq(rc, HYDRO_OK);
	FEED(&rig, 2, 20, 30);
	cr_assert(rig_has_flag(hour(&rig, 2), TOTAL, HD_FLAG_METER_REPLACED));
	cr_assert_float_eq(rig_value(hour(&rig, 3), TOTAL), 5040.0, 1e-9);
	close_well(&rig, &spec);
}

Test(counter, another_offset_or_pulse_is_no_flow)
{
	struct rig rig;
	struct hd_spec spec;
	open_well(&rig, &spec);
	FEED(&rig, 0, 5000, 5010);
	struct hd_spec other = {.script = "well@1"};
	rig_step(&other, "counter", "ssnnsn", "from", "pulses", "volume", "volume", "litres_per_pulse", 100.0, "max_per_hour", 100.0, "disconnected", "5h",
		 "offset", 7000.0);
	rig_step(&other, "rate", "ss", "from", "total", "to", "flow");
	struct hd_swap_report report = rig_plan(&rig, &other, 1);
	cr_assert_eq(report.states_kept, 2u);
	cr_assert_eq(report.states_reset, 0u);
	FEED(&rig, 2, 5020);
	cr_assert_float_eq(rig_value(hour(&rig, 2), TOTAL), 7502.0, 1e-9);
	cr_assert_float_eq(rig_value(hour(&rig, 2), HD_METRIC_FLOW), 1.0 / 3.6, 1e-9);
	hd_spec_done(&other);
	close_well(&rig, &spec);
}

Test(counter, a_total_that_is_its_own_input_keeps_bad_values_out)
{
	struct rig rig;
	rig_open(&rig, 1, "well", NULL);
	struct hd_spec spec = {.script = "well@1"};
	rig_step(&spec, "counter", "ssn", "from", "total", "to", "total", "litres_per_pulse", 1000.0);
	(void)rig_plan(&rig, &spec, 1);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0, TOTAL, 5000), HYDRO_OK);
	cr_assert_eq(rig_feed1(&rig, 0, RIG_T0 + RIG_HOUR, TOTAL, 0), HYDRO_OK);
	rig_settle(&rig, 0);
	cr_assert_eq(hour(&rig, 1)->value_count, 0);
	cr_assert_eq(hour(&rig, 1)->raw_count, 1);
	hd_spec_done(&spec);
	rig_close(&rig);
}
