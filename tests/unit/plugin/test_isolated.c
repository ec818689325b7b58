/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "hostside/wire.h"
#include "plugin/isolated.h"

#include <hydro/conv.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#define NOW INT64_C(1767225600000)

struct taken {
	uint32_t count;
	hydro_raw raws[4];
};

static int32_t take_raw(void *ctx, const hydro_raw *values, uint32_t count)
{
	struct taken *taken = ctx;
	for (uint32_t i = 0; i < count && taken->count < 4; i++)
		taken->raws[taken->count++] = values[i];
	return HYDRO_OK;
}

static struct hd_instance *isolated(struct world *w, const char *plugin, const char *json)
{
	struct hd_instance *instance = NULL;
	cJSON *options = json ? cJSON_Parse(json) : NULL;
	int rc = hd_instance_create_isolated(w->plugins, "alone", plugin, options, HD_ISOLATION_PROCESS, &instance, &w->err);
	cJSON_Delete(options);
	cr_assert_eq(rc, HYDRO_OK, "%s", w->err.text);
	cr_assert(hd_instance_is_isolated(instance));
	return instance;
}

static struct hd_options *point_options(struct world *w, const struct hd_instance *instance, const char *json)
{
	struct hd_options *options = NULL;
	cJSON *parsed = cJSON_Parse(json);
	cr_assert_eq(hd_options_parse(hd_instance_descriptor(instance), HYDRO_SCOPE_POINT, parsed, w->names, &options, &w->err), HYDRO_OK, "%s", w->err.text);
	cJSON_Delete(parsed);
	return options;
}

static int give(struct world *w, const struct hd_provider *p, const hydro_options *point, const char *body, struct taken *ret)
{
	hydro_poll poll = {.struct_size = sizeof poll, .now_ms = NOW, .token = "", .point = point, .account = point};
	hydro_http_response response = {.struct_size = sizeof response, .status = 200, .body = body, .body_len = strlen(body), .content_type = "", .retry_after_ms = -1};
	hydro_emit emit = {.struct_size = sizeof emit, .ctx = ret, .raw = take_raw};
	hydro_outcome outcome = {.struct_size = sizeof outcome};
	memset(ret, 0, sizeof *ret);
	w->err = (struct hydro_error){.struct_size = sizeof w->err};
	int rc = p->ops.parse(p->self, &poll, &response, &emit, &outcome, &w->err);
	cr_assert(rc != HYDRO_OK || outcome.status == HYDRO_PART_DATA);
	return rc;
}

Test(isolated, requests_and_values_are_those_of_the_plugin_in_process)
{
	struct world w;
	struct taken taken;
	char memory[4096];
	world_init(&w);
	world_add(&w, "good", "good");
	world_open(&w);
	struct hd_instance *instance = isolated(&w, "good", "{\"pace\":\"2s\"}");
	const struct hd_provider *p = hd_instance_provider(instance);
	struct hd_options *point = point_options(&w, instance, "{\"device_token\":\"t-1\"}");
	hydro_poll poll = {.struct_size = sizeof poll, .point = hd_options_abi(point), .account = hd_options_abi(point), .token = ""};
	hydro_scratch scratch = {.mem = memory, .size = 8};
	hydro_http_request request = {.struct_size = sizeof request};
	cr_assert_eq(p->ops.request(p->self, &poll, &scratch, &request, &w.err), HYDRO_E_LIMIT);
	cr_assert_gt(scratch.wanted, 8);
	cr_assert_lt(scratch.wanted, sizeof memory * 4);
	static char more[65536];
	scratch = (hydro_scratch){.mem = more, .size = scratch.wanted};
	cr_assert_eq(p->ops.request(p->self, &poll, &scratch, &request, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert_str_eq(request.url, "http://127.0.0.1:9/t-1");
	cr_assert_eq(give(&w, p, hd_options_abi(point), "3.75", &taken), HYDRO_OK, "%s", w.err.text);
	cr_assert_eq(taken.count, 1);
	cr_assert_float_eq(taken.raws[0].value, 3.75, 0.0);
	cr_assert_eq(taken.raws[0].ts_ms, NOW);
	cr_assert_eq(taken.raws[0].metric, HD_METRIC_FLOW, "ids are the daemon's");
	cr_assert_eq(give(&w, p, hd_options_abi(point), "no number", &taken), HYDRO_E_PROTOCOL);
	cr_assert_str_eq(w.err.text, "the answer is not a number");
	cr_assert_eq(taken.count, 0);
	cJSON *unlucky = cJSON_Parse("{\"pace\":\"13s\"}"), *pace = cJSON_Parse("{\"pace\":\"3s\"}");
	cr_assert_eq(hd_instance_configure(instance, unlucky, &w.err), HYDRO_E_CONFIG);
	cr_assert(strstr(w.err.text, "13 s brings bad luck"), "%s", w.err.text);
	cr_assert_eq(hd_instance_configure(instance, pace, &w.err), HYDRO_OK, "%s", w.err.text);
	cJSON_Delete(unlucky);
	cJSON_Delete(pace);
	hd_options_unref(&point);
	hd_instance_free(&instance);
	world_done(&w);
}

Test(isolated, a_crash_harms_its_own_calls_alone_and_the_process_comes_back)
{
	struct world w;
	struct taken taken;
	world_init(&w);
	world_add(&w, "crash_parse", "c");
	world_open(&w);
	struct hd_instance *instance = isolated(&w, "crash_parse", NULL);
	const struct hd_provider *p = hd_instance_provider(instance);
	cr_assert_eq(give(&w, p, NULL, "1", &taken), HYDRO_OK, "%s", w.err.text);
	cr_assert_eq(give(&w, p, NULL, "CRASH", &taken), HYDRO_E_IO);
	cr_assert(strstr(w.err.text, "isolated plugin crash_parse 1.0.0") && strstr(w.err.text, "in parse (failure 1 in a row)"), "%s", w.err.text);
	cr_assert(world_said(&w, "alone: isolated plugin crash_parse"), "%s", w.log);
	cr_assert_eq(taken.count, 0);
	cr_assert_eq(give(&w, p, NULL, "2", &taken), HYDRO_E_AGAIN, "the back-off holds");
	int rc;
	while ((rc = give(&w, p, NULL, "2", &taken)) == HYDRO_E_AGAIN)
		(void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	cr_assert_eq(rc, HYDRO_OK, "%s", w.err.text);
	cr_assert_float_eq(taken.raws[0].value, 2.0, 0.0);
	hd_instance_free(&instance);
	world_done(&w);
}

Test(isolated, a_hang_is_killed_after_its_time)
{
	struct world w;
	struct taken taken;
	world_init(&w);
	world_add(&w, "hang_parse", "h");
	struct hd_plugins_config cfg = world_config(&w);
	cfg.call_ms = 1500;
	cr_assert_eq(hd_plugins_open(&cfg, &w.plugins, &w.err), HYDRO_OK);
	struct hd_instance *instance = isolated(&w, "hang_parse", NULL);
	cr_assert_eq(give(&w, hd_instance_provider(instance), NULL, "HANG", &taken), HYDRO_E_TIMEOUT);
	cr_assert(strstr(w.err.text, "did not return within 1500 ms and was killed"), "%s", w.err.text);
	hd_instance_free(&instance);
	world_done(&w);
}

Test(isolated, what_crashes_or_hangs_in_create_is_refused_and_the_daemon_goes_on)
{
	struct world w;
	struct hd_instance *instance = NULL;
	world_init(&w);
	world_add(&w, "crash_create", "c");
	world_add(&w, "no_instance", "n");
	world_add(&w, "sink", "s");
	world_open(&w);
	cr_assert_eq(hd_instance_create_isolated(w.plugins, "c", "crash_create", NULL, HD_ISOLATION_PROCESS, &instance, &w.err), HYDRO_E_IO);
	cr_assert(strstr(w.err.text, "in create"), "%s", w.err.text);
	cr_assert_eq(hd_instance_create_isolated(w.plugins, "n", "no_instance", NULL, HD_ISOLATION_PROCESS, &instance, &w.err), HYDRO_E_FATAL);
	cr_assert_eq(hd_instance_create_isolated(w.plugins, "s", "swallow", NULL, HD_ISOLATION_PROCESS, &instance, &w.err), HYDRO_E_UNSUPPORTED);
	cr_assert(strstr(w.err.text, "cannot run isolated"), "%s", w.err.text);
	world_done(&w);
}

static void counted(struct world *w, unsigned count)
{
	char line[256];
	int len = snprintf(line, sizeof line, "alone good %s %u 11\n", world_info(w, "good").hash, count);
	hd_plugins_close(&w->plugins);
	world_write(w, "crumbs.crashes", line, (size_t)len);
	struct hd_plugins_config cfg = world_config(w);
	cfg.crumb_path = w->crumbs;
	cr_assert_eq(hd_plugins_open(&cfg, &w->plugins, &w->err), HYDRO_OK, "%s", w->err.text);
}

Test(isolated, after_one_crash_an_instance_runs_isolated_after_two_it_is_quarantined_until_pardoned)
{
	struct world w;
	struct hd_instance *instance = NULL;
	char text[256];
	world_init(&w);
	world_add(&w, "good", "good");
	world_open(&w);
	counted(&w, 1);
	cr_assert_eq(hd_plugins_crash_state(w.plugins, "alone", text), HD_CRASH_ISOLATE);
	cr_assert_eq(hd_instance_create(w.plugins, "alone", "good", NULL, &instance, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert(hd_instance_is_isolated(instance));
	cr_assert(world_said(&w, "it runs isolated from now on"));
	hd_instance_free(&instance);
	counted(&w, 2);
	cr_assert_eq(hd_instance_create(w.plugins, "alone", "good", NULL, &instance, &w.err), HYDRO_E_CONFLICT);
	cr_assert(strstr(w.err.text, "quarantined until an operator pardons it"), "%s", w.err.text);
	cr_assert_eq(hd_instance_create(w.plugins, "other", "good", NULL, &instance, &w.err), HYDRO_OK, "another instance of it is not blamed");
	hd_instance_free(&instance);
	cr_assert_eq(hd_plugins_pardon(w.plugins, "alone", &w.err), HYDRO_OK);
	cr_assert_eq(hd_instance_create(w.plugins, "alone", "good", NULL, &instance, &w.err), HYDRO_OK);
	cr_assert_not(hd_instance_is_isolated(instance));
	hd_instance_free(&instance);
	world_done(&w);
}

Test(wire, what_is_cut_or_lies_about_lengths_reads_as_bad_and_never_outside)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	static const hydro_map_entry entries[] = {{"flow", "k", 1, 0}, {"level", "l", 2, 0}};
	hydro_option_value values[2] = {{.is_set = 1, .text = "a text"}, {.is_set = 1, .entry_count = 2, .entries = entries}};
	hydro_options options = {.struct_size = sizeof options, .count = 2, .value_stride = sizeof values[0], .map_stride = sizeof entries[0], .values = values};
	hydro_poll poll = {.struct_size = sizeof poll, .token = "t", .point = &options, .account = &options, .continuation = "0123456789", .continuation_len = 10};
	hd_wire_begin(&buf, HD_WIRE_REQUEST);
	size_t head = buf.len;
	hd_wire_poll(&buf, &poll);
	for (size_t len = 0; len <= buf.len - head; len++) {
		struct hd_wire_reader reader;
		hydro_poll read;
		char *exact = malloc(len ? len : 1);
		memcpy(exact, buf.data + head, len);
		hd_wire_reader_init(&reader, exact, len);
		hd_wire_get_poll(&reader, &read);
		cr_assert_eq(reader.bad, len < buf.len - head);
		if (!reader.bad)
			cr_assert_str_eq(hydro_option_entry(read.point, hydro_option_at(read.point, 1), 1)->key, "level");
		hd_wire_reader_done(&reader);
		free(exact);
	}
	for (size_t i = head; i < buf.len; i++) {
		struct hd_wire_reader reader;
		hydro_poll read;
		char old = buf.data[i];
		buf.data[i] = (char)0xff;
		hd_wire_reader_init(&reader, buf.data + head, buf.len - head);
		hd_wire_get_poll(&reader, &read);
		hd_wire_reader_done(&reader);
		buf.data[i] = old;
	}
}

Test(wire, a_frame_larger_than_the_limit_or_an_end_in_the_middle_is_an_error)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	int ends[2];
	uint32_t type, huge[2] = {HD_WIRE_BYTES_MAX + 1, HD_WIRE_RESULT}, half[2] = {100, HD_WIRE_RESULT};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(write(ends[0], huge, sizeof huge), (ssize_t)sizeof huge);
	cr_assert_eq(hd_wire_receive(ends[1], &buf, &type, 0), HYDRO_E_PROTOCOL);
	cr_assert_eq(write(ends[0], half, sizeof half), (ssize_t)sizeof half);
	cr_assert_eq(hd_wire_receive(ends[1], &buf, &type, 1), HYDRO_E_TIMEOUT);
	cr_assert_eq(write(ends[0], half, sizeof half), (ssize_t)sizeof half);
	(void)close(ends[0]);
	cr_assert_eq(hd_wire_receive(ends[1], &buf, &type, 0), HYDRO_E_IO);
	(void)close(ends[1]);
}
