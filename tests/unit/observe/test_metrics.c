/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "observe/metrics.h"

static double forty_two(void *arg)
{
	(void)arg;
	return 42;
}

Test(metrics, counters_gauges_and_histograms_are_rendered_once_with_their_type)
{
	struct hd_buf text = {0};
	int owner;
	struct hd_counter *a = hd_metrics_counter("t_polls_total", "Polls.", "provider=\"a\"");
	hd_counter_add(a, 3);
	hd_counter_add(hd_metrics_counter("t_polls_total", "Polls.", "provider=\"b\""), 1);
	cr_assert_eq(hd_metrics_counter("t_polls_total", "Polls.", "provider=\"a\""), a);
	hd_metrics_gauge("t_depth", "Depth.", "", forty_two, &owner);
	const double bounds[] = {0.01, 0.1, 1};
	struct hd_histogram *h = hd_metrics_histogram("t_seconds", "Time.", "", bounds, 3);
	for (int i = 0; i < 99; i++)
		hd_histogram_observe(h, 0.005);
	hd_histogram_observe(h, 0.5);
	hd_metrics_render(&text);
	const char *all = hd_buf_text(&text);
	cr_assert_not_null(strstr(all, "# TYPE t_polls_total counter\nt_polls_total{provider=\"a\"} 3\nt_polls_total{provider=\"b\"} 1\n"));
	cr_assert_not_null(strstr(all, "t_depth 42\n"));
	cr_assert_not_null(strstr(all, "t_seconds_bucket{le=\"0.01\"} 99\n"));
	cr_assert_not_null(strstr(all, "t_seconds_count 100\n"));
	cr_assert_float_eq(hd_histogram_quantile(h, 0.5), 0.01, 1e-9);
	cr_assert_float_eq(hd_histogram_quantile(h, 0.995), 1, 1e-9);
	hd_metrics_gauge_forget(&owner);
	hd_buf_clear(&text);
	hd_metrics_render(&text);
	cr_assert_null(strstr(hd_buf_text(&text), "t_depth"));
	hd_buf_done(&text);
}
