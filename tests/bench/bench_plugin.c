/* SPDX-License-Identifier: MIT */
/* bench_plugin RUNNER PLUGIN-FOLDER: what the plugin host costs a poll, on the twin provider: options, crumbs, a parse in process
 * and isolated, and a probe. */
#include "bench.h"

#include "base/buf.h"
#include "base/clock.h"
#include "model/names.h"
#include "plugin/plugin.h"

#include <cjson/cJSON.h>

#define ROUNDS 5
#define POINT "{\"device\":\"0123456789abcdef0123\",\"keys\":{\"flow\":\"5001\",\"level\":\"5002\",\"total\":\"5003\"}}"
#define ACCOUNT "{\"username\":\"u\",\"password\":\"p\"}"
#define NOW INT64_C(1767225600000)

struct world {
	struct hd_names *names;
	struct hd_plugins *plugins;
	struct hd_instance *plain, *alone;
	struct hd_options *point, *account;
	cJSON *point_json;
	struct hd_buf body;
	uint64_t values;
	struct hydro_error err;
};

static void must(int rc, const struct world *w)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "bench_plugin: %s\n", w->err.text);
	exit(1);
}

static int32_t count_raw(void *ctx, const hydro_raw *values, uint32_t count)
{
	(void)values;
	*(uint64_t *)ctx += count;
	return HYDRO_OK;
}

static void make_options(struct world *w)
{
	struct hd_options *options = NULL;
	must(hd_options_parse(hd_instance_descriptor(w->plain), HYDRO_SCOPE_POINT, w->point_json, w->names, &options, &w->err), w);
	hd_options_unref(&options);
}

static void make_options_from_text(struct world *w)
{
	struct hd_options *options = NULL;
	cJSON *json = cJSON_Parse(POINT);
	must(hd_options_parse(hd_instance_descriptor(w->plain), HYDRO_SCOPE_POINT, json, w->names, &options, &w->err), w);
	cJSON_Delete(json);
	hd_options_unref(&options);
}

static void crumbs(struct world *w)
{
	static const unsigned char point[16] = {1};
	hd_crumb_enter(hd_instance_provider(w->plain)->crumb, point);
	hd_crumb_leave();
}

static void parse(struct world *w, const struct hd_instance *instance)
{
	const struct hd_provider *p = hd_instance_provider(instance);
	hydro_poll poll = {.struct_size = sizeof poll, .mode = HYDRO_POLL_HISTORY, .from_ms = NOW - 3600000, .to_ms = NOW, .now_ms = NOW, .token = "t",
			   .point = hd_options_abi(w->point), .account = hd_options_abi(w->account)};
	hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = w->body.data, .body_len = w->body.len, .content_type = "application/json",
					.retry_after_ms = -1};
	hydro_emit emit = {.struct_size = sizeof emit, .ctx = &w->values, .raw = count_raw};
	hydro_outcome outcome = {.struct_size = sizeof outcome};
	must(p->ops.parse(p->self, &poll, &response, &emit, &outcome, &w->err), w);
}

static void parse_plain(struct world *w)
{
	parse(w, w->plain);
}

static void parse_alone(struct world *w)
{
	parse(w, w->alone);
}

/* Nanoseconds a call, median of several rounds. */
static double measure(struct world *w, void (*call)(struct world *w), unsigned calls)
{
	double rounds[ROUNDS];
	for (int r = 0; r < ROUNDS; r++) {
		int64_t start = hd_clock_real_ns();
		for (unsigned i = 0; i < calls; i++)
			call(w);
		rounds[r] = (double)(hd_clock_real_ns() - start) / calls;
	}
	return bench_quantile(rounds, ROUNDS, 0.5);
}

static void print(const char *name, double ns, double reference, const char *reference_name, unsigned n)
{
	bench_print(&(struct bench_figure){.bench = "plugin", .name = name, .unit = "ns", .value = ns, .reference = reference, .reference_name = reference_name, .goal = NAN,
					   .lower_is_better = true, .n = n});
}

static void make_body(struct world *w, unsigned rows)
{
	hd_buf_clear(&w->body);
	for (int key = 5001; key <= 5003; key++) {
		(void)hd_buf_printf(&w->body, "%s\"%d\":[", key == 5001 ? "{" : "],", key);
		for (unsigned i = 0; i < rows; i++)
			(void)hd_buf_printf(&w->body, "%s{\"ts\":%lld,\"value\":\"%u.5\"}", i ? "," : "", (long long)(NOW - (int64_t)(rows - i) * 60000), i);
	}
	(void)hd_buf_add_text(&w->body, "]}");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct world w = {.err = {.struct_size = sizeof w.err}};
	const char *dirs[] = {argv[2]};
	must(hd_names_open(NULL, &w.names, &w.err), &w);
	struct hd_plugins_config cfg = {.dirs = dirs, .dir_count = 1, .runner_path = argv[1], .names = w.names};
	int64_t start = hd_clock_real_ns();
	must(hd_plugins_open(&cfg, &w.plugins, &w.err), &w);
	unsigned files = (unsigned)hd_plugins_count(w.plugins);
	print("probe, a file", (double)(hd_clock_real_ns() - start) / (files ? files : 1), NAN, NULL, files);
	must(hd_instance_create(w.plugins, "plain", "twin", NULL, &w.plain, &w.err), &w);
	must(hd_instance_create_isolated(w.plugins, "alone", "twin", NULL, HD_ISOLATION_PROCESS, &w.alone, &w.err), &w);
	w.point_json = cJSON_Parse(POINT);
	cJSON *account = cJSON_Parse(ACCOUNT);
	must(hd_options_parse(hd_instance_descriptor(w.plain), HYDRO_SCOPE_POINT, w.point_json, w.names, &w.point, &w.err), &w);
	must(hd_options_parse(hd_instance_descriptor(w.plain), HYDRO_SCOPE_ACCOUNT, account, w.names, &w.account, &w.err), &w);
	print("crumb enter and leave", measure(&w, crumbs, 2000000), NAN, NULL, 2000000);
	print("options of a point", measure(&w, make_options, 200000), measure(&w, make_options_from_text, 100000), "with cJSON_Parse", 200000);
	static const unsigned rows[] = {1, 60};
	for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
		make_body(&w, rows[i]);
		double plain = measure(&w, parse_plain, 20000 / rows[i]);
		print(i ? "parse of 3 x 60 values, isolated" : "parse of 3 values, isolated", measure(&w, parse_alone, 20000 / rows[i]), plain, "in process", 20000 / rows[i]);
	}
	hd_options_unref(&w.point);
	hd_options_unref(&w.account);
	cJSON_Delete(w.point_json);
	cJSON_Delete(account);
	hd_buf_done(&w.body);
	hd_instance_free(&w.plain);
	hd_instance_free(&w.alone);
	hd_plugins_close(&w.plugins);
	hd_names_close(&w.names);
	return 0;
}
