/* SPDX-License-Identifier: MIT */
/* bench_parse PLUGIN-FOLDER RECORDED-FOLDER: answers parsed a second on one core by each provider, values emitted included; the reference
 * is cJSON on the same bytes (tree made and freed, no value read). */
#include "bench.h"

#include "base/clock.h"
#include "base/macros.h"
#include "hostside/module.h"
#include "hostside/options.h"

#include <cjson/cJSON.h>
#include <string.h>

#define ROUNDS 7
#define ROUND_NS INT64_C(150000000)
#define BATCH 64
#define BODY_MAX 65536
#define NOW INT64_C(1767225600000)

struct subject {
	const char *name, *plugin, *instance, *point, *file; /* file NULL: a window of 3 × 100 twin values */
	uint32_t mode;
};

static const struct subject subjects[] = {
	{"twin_latest", "twin", NULL, "{\"device\":\"d\",\"keys\":{\"flow\":\"5001\",\"level\":\"5002\",\"pulses\":\"5003\"}}", "twin_latest.json", HYDRO_POLL_LATEST},
	{"twin_window_300", "twin", NULL, "{\"device\":\"d\",\"keys\":{\"flow\":\"5001\",\"level\":\"5002\",\"pulses\":\"5003\"}}", NULL, HYDRO_POLL_HISTORY},
	{"nettra_latest", "nettra", NULL, "{\"thing\":\"t\",\"keys\":{\"flow\":\"caudal\"}}", "nettra_latest.json", HYDRO_POLL_LATEST},
	{"nettra_window_13", "nettra", NULL, "{\"thing\":\"t\",\"keys\":{\"flow\":\"caudal\"}}", "nettra_history.json", HYDRO_POLL_HISTORY},
	{"novus_latest", "novus", NULL, "{\"device_token\":\"t\",\"keys\":{\"flow\":\"3grecuc1v\"}}", "novus_last_item.json", HYDRO_POLL_LATEST},
	{"novus_window_6", "novus", NULL, "{\"device_token\":\"t\",\"keys\":{\"flow\":\"3grecuc1v\"}}", "novus_history.json", HYDRO_POLL_HISTORY},
	{"http_json_rows_3", "http_json", "{\"url\":\"http://h/\",\"items\":\"data.rows\",\"ts\":\"at\"}",
	 "{\"keys\":{\"flow\":\"m[\\\"flow.avg\\\"]\",\"total\":\"m.total\"}}", "http_json_rows.json", HYDRO_POLL_LATEST},
};

struct world {
	struct hd_module module;
	const hydro_provider_ops *ops;
	void *instance;
	struct hd_options *options, *point, *account;
	char body[BODY_MAX];
	size_t body_len;
	uint64_t values;
};

_Noreturn static void fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench_parse: %s: %s\n", what, why);
	exit(1);
}

static int32_t take(void *ctx, const hydro_raw *values, uint32_t count)
{
	(void)values;
	*(uint64_t *)ctx += count;
	return HYDRO_OK;
}

static int intern(void *ctx, const char *name, uint32_t *ret, struct hydro_error *err)
{
	(void)name;
	(void)err;
	*ret = ++*(uint32_t *)ctx;
	return HYDRO_OK;
}

static struct hd_options *options_of(const struct world *w, uint32_t scope, const char *json)
{
	static uint32_t metrics;
	struct hydro_error err = {.struct_size = sizeof err};
	const struct hd_metric_source source = {.ctx = &metrics, .intern = intern};
	struct hd_options *options = NULL;
	cJSON *tree = json ? cJSON_Parse(json) : NULL;
	if (hd_options_build(w->module.descriptor, scope, tree, &source, &options, &err) != HYDRO_OK)
		fail(json ? json : "options", err.text);
	cJSON_Delete(tree);
	return options;
}

static void read_body(struct world *w, const char *folder, const char *file)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/%s", folder, file);
	FILE *f = fopen(path, "rb");
	if (!f)
		fail(path, "cannot be read");
	w->body_len = fread(w->body, 1, sizeof w->body, f);
	(void)fclose(f);
}

static void make_window(struct world *w)
{
	size_t n = 0;
	for (int key = 0; key < 3; key++) {
		n += (size_t)snprintf(w->body + n, BODY_MAX - n, "%s\"500%d\":[", key ? "," : "{", key + 1);
		for (int i = 0; i < 100; i++)
			n += (size_t)snprintf(w->body + n, BODY_MAX - n, "%s{\"ts\":%lld,\"value\":\"%d.%d\"}", i ? "," : "", (long long)NOW + i * 60000, 40000 + 7 * i, i % 10);
		n += (size_t)snprintf(w->body + n, BODY_MAX - n, "]");
	}
	w->body_len = n + (size_t)snprintf(w->body + n, BODY_MAX - n, "}");
}

static void open_subject(struct world *w, const struct subject *s, const char *plugins, const char *recorded)
{
	static const hydro_host host = {.struct_size = sizeof host, .abi_major = HYDRO_ABI_MAJOR, .abi_minor = HYDRO_ABI_MINOR};
	struct hydro_error err = {.struct_size = sizeof err};
	char path[512];
	*w = (struct world){0};
	(void)snprintf(path, sizeof path, "%s/%s.so", plugins, s->plugin);
	if (hd_module_open(path, &w->module, &err) != HYDRO_OK)
		fail(path, err.text);
	w->ops = &w->module.descriptor->ops.provider;
	w->options = options_of(w, HYDRO_SCOPE_INSTANCE, s->instance);
	w->account = options_of(w, HYDRO_SCOPE_ACCOUNT, w->ops->login_request ? "{\"username\":\"u\",\"password\":\"p\"}" : NULL);
	w->point = options_of(w, HYDRO_SCOPE_POINT, s->point);
	if (w->ops->create(&host, hd_options_abi(w->options), &w->instance, &err) != HYDRO_OK)
		fail(path, err.text);
	if (s->file)
		read_body(w, recorded, s->file);
	else
		make_window(w);
}

static void close_subject(struct world *w)
{
	w->ops->destroy(w->instance);
	hd_options_unref(&w->point);
	hd_options_unref(&w->account);
	hd_options_unref(&w->options);
	hd_module_close(&w->module);
}

static void parse_once(struct world *w, const struct subject *s)
{
	struct hydro_error err = {.struct_size = sizeof err};
	hydro_outcome outcome = {.struct_size = sizeof outcome};
	const hydro_emit emit = {.struct_size = sizeof emit, .ctx = &w->values, .raw = take};
	const hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = w->body, .body_len = w->body_len,
					      .content_type = "application/json", .received_ms = NOW, .retry_after_ms = -1};
	const hydro_poll poll = {.struct_size = sizeof poll, .mode = s->mode, .from_ms = NOW - 86400000, .to_ms = NOW + 86400000, .now_ms = NOW,
				 .point = hd_options_abi(w->point), .account = hd_options_abi(w->account), .token = ""};
	if (w->ops->parse(w->instance, &poll, &response, &emit, &outcome, &err) != HYDRO_OK ||
	    (outcome.status != HYDRO_PART_DATA && outcome.status != HYDRO_PART_MORE))
		fail(s->name, err.text);
}

static void cjson_once(struct world *w, const struct subject *s)
{
	(void)s;
	cJSON_Delete(cJSON_ParseWithLength(w->body, w->body_len));
}

static double rate(struct world *w, const struct subject *s, void (*once)(struct world *, const struct subject *), uint64_t *ret_n)
{
	uint64_t n = 0;
	int64_t begin = hd_clock_real_ns(), now = begin;
	for (; now - begin < ROUND_NS; now = hd_clock_real_ns(), n += BATCH)
		for (int i = 0; i < BATCH; i++)
			once(w, s);
	*ret_n += n;
	return (double)n * 1e9 / (double)(now - begin);
}

static void run(const struct subject *s, const char *plugins, const char *recorded)
{
	static struct world w;
	double ours[ROUNDS], theirs[ROUNDS];
	uint64_t n = 0, ignored = 0;
	char name[64];
	open_subject(&w, s, plugins, recorded);
	for (int i = 0; i < ROUNDS; i++) {
		ours[i] = rate(&w, s, parse_once, &n);
		theirs[i] = rate(&w, s, cjson_once, &ignored);
	}
	double values = (double)w.values / (double)n, median = bench_quantile(ours, ROUNDS, 0.5);
	bench_print(&(struct bench_figure){.bench = "parse", .name = s->name, .unit = "answers/s", .value = median, .reference = bench_quantile(theirs, ROUNDS, 0.5),
					   .reference_name = "cJSON, same bytes", .goal = NAN, .n = n});
	(void)snprintf(name, sizeof name, "%s_values", s->name);
	bench_print(&(struct bench_figure){.bench = "parse", .name = name, .unit = "values/s", .value = median * values, .reference = NAN, .goal = NAN, .n = w.values});
	close_subject(&w);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		fail("usage", "bench_parse PLUGIN-FOLDER RECORDED-FOLDER");
	for (size_t i = 0; i < HD_ARRAY_LEN(subjects); i++)
		run(&subjects[i], argv[1], argv[2]);
	return 0;
}
