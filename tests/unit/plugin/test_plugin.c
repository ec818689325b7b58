/* SPDX-License-Identifier: MIT */
#include "world.h"

struct expectation {
	const char *fixture;
	const char *plugin_side, *host_side; /* both must stand in the message */
};

static void refused(const struct expectation *cases, size_t count, uint32_t probe_ms)
{
	struct world w;
	world_init(&w);
	for (size_t i = 0; i < count; i++)
		world_add(&w, cases[i].fixture, cases[i].fixture);
	struct hd_plugins_config cfg = world_config(&w);
	cfg.probe_ms = probe_ms;
	cr_assert_eq(hd_plugins_open(&cfg, &w.plugins, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert_eq(hd_plugins_count(w.plugins), count);
	for (size_t i = 0; i < count; i++) {
		struct hd_plugin_info info = world_info(&w, cases[i].fixture);
		cr_assert_eq(info.state, HD_PLUGIN_REFUSED, "%s", cases[i].fixture);
		cr_assert(strstr(info.refusal, cases[i].plugin_side), "%s: %s", cases[i].fixture, info.refusal);
		cr_assert(strstr(info.refusal, cases[i].host_side), "%s: %s", cases[i].fixture, info.refusal);
		cr_assert(strstr(info.refusal, cases[i].fixture), "the file is named: %s", info.refusal);
	}
	world_done(&w);
}

Test(plugins, what_does_not_fit_is_refused_with_both_sides_named)
{
	static const struct expectation cases[] = {
		{"bad_magic", "magic is 0xdeadbeef", "this host expects 0x4f525948"},
		{"wrong_major", "ABI major 7", "this host offers 0.2"},
		{"newer_minor", "plugin needs ABI 0.4", "this host offers 0.2"},
		{"entry_null", "returned NULL", "ABI 0.2, which is what this host offers"},
		{"entry_impure", "another descriptor at each call", "this host needs the same one"},
		{"no_symbol", "exports no hydro_plugin_entry", "this host calls"},
		{"two_symbols", "two_symbols_extra", "this host takes plugins that export it alone"},
		{"no_function", "capability HTTP", "this host then needs request and parse"},
		{"lies_count", "claims 2147483647 options", "this host takes at most 128"},
		{"lies_stride", "has 0 bytes", "this host needs at least the 64"},
		{"lies_size", "claims 4294967295 bytes", "this host takes at most 65536"},
		{"row_null_key", "its key is NULL", "this host needs"},
		{"row_duplicate", "option row 1 (base_url)", "earlier row of the same scope"},
		{"row_bad_default", "\"2h\" of option row 1", "must be from 0ms to 60000ms"},
	};
	refused(cases, HD_ARRAY_LEN(cases), 20000);
}

Test(plugins, what_crashes_or_ends_the_child_that_looks_is_refused_and_the_daemon_goes_on)
{
	static const struct expectation cases[] = {
		{"crash_load", "plugin", "this host asks for one without side effects"},
		{"crash_entry", "plugin", "this host asks for one without side effects"},
		{"exit_entry", "ended the child", "this host asks for one without side effects"},
		{"lies_pointer", "plugin", "this host asks for one without side effects"},
	};
	refused(cases, HD_ARRAY_LEN(cases), 20000);
}

Test(plugins, what_hangs_in_its_entry_is_refused_after_the_probes_time)
{
	static const struct expectation cases[] = {{"hang_entry", "did not give its descriptor", "within the 150 ms this host allows"}};
	refused(cases, 1, 150);
}

Test(plugins, files_that_are_no_plugins_are_refused_with_what_they_are)
{
	struct world w;
	world_init(&w);
	char from[512];
	HD_CLEANUP(hd_buf_done) struct hd_buf good = {0};
	(void)snprintf(from, sizeof from, "%s/fixtures/good.so", HD_BINARY_DIR);
	cr_assert_eq(hd_fs_read(from, 64u << 20, &good, &w.err), HYDRO_OK);
	world_write(&w, "text.so", "#!/bin/sh\n", 10);
	world_write(&w, "empty.so", "", 0);
	world_write(&w, "cut.so", good.data, good.len / 2);
	good.data[18] = (char)0xb7; /* e_machine: aarch64 */
	world_write(&w, "arm.so", good.data, good.len);
	world_write(&w, "notes.txt", "not looked at", 13);
	world_open(&w);
	cr_assert_eq(hd_plugins_count(w.plugins), 4);
	cr_assert(strstr(world_info(&w, "text").refusal, "is not an ELF file, this host loads ELF shared objects"));
	cr_assert(strstr(world_info(&w, "empty").refusal, "is not an ELF file"));
	cr_assert(strstr(world_info(&w, "cut").refusal, "is cut or damaged"), "%s", world_info(&w, "cut").refusal);
	cr_assert(strstr(world_info(&w, "arm").refusal, "is for aarch64 (ELF machine 183), this host is"), "%s", world_info(&w, "arm").refusal);
	world_done(&w);
}

Test(plugins, good_ones_are_available_without_being_mapped_and_described)
{
	struct world w;
	world_init(&w);
	world_add(&w, "good", "good");
	world_add(&w, "sink", "sink");
	world_add(&w, "analytics", "analytics");
	world_add(&w, "prints", "prints");
	world_open(&w);
	struct hd_plugin_info info = world_info(&w, "good");
	cr_assert_eq(info.state, HD_PLUGIN_AVAILABLE, "%s", info.refusal);
	cr_assert_str_eq(info.name, "good");
	cr_assert_str_eq(info.version, "1.0.0");
	cr_assert_eq(info.kind, HYDRO_KIND_PROVIDER);
	cr_assert_eq(strlen(info.hash), 64);
	cr_assert_eq(world_info(&w, "sink").kind, HYDRO_KIND_SINK);
	cr_assert_eq(world_info(&w, "analytics").kind, HYDRO_KIND_ANALYTICS);
	cr_assert_eq(world_info(&w, "prints").state, HD_PLUGIN_AVAILABLE, "what a plugin prints is not the probe's answer");
	const struct hd_descriptor *d = NULL;
	cr_assert_eq(hd_plugins_descriptor(w.plugins, "good", &d, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert_eq(world_info(&w, "good").state, HD_PLUGIN_LOADED);
	cr_assert_eq(hd_plugins_descriptor(w.plugins, "nobody", &d, &w.err), HYDRO_E_NOTFOUND);
	cr_assert(strstr(w.err.text, w.dir), "the folders searched are named: %s", w.err.text);
	world_done(&w);
}

Test(plugins, of_two_files_with_one_name_the_first_wins_and_the_second_says_so)
{
	struct world w;
	world_init(&w);
	world_add(&w, "good", "a");
	world_add(&w, "good", "b");
	world_open(&w);
	cr_assert_eq(world_info(&w, "a").state, HD_PLUGIN_AVAILABLE);
	cr_assert_eq(world_info(&w, "b").state, HD_PLUGIN_REFUSED);
	cr_assert(strstr(world_info(&w, "b").refusal, "its name 'good' is taken by"));
	world_done(&w);
}

Test(plugins, a_scan_takes_new_files_and_a_refused_newer_file_leaves_the_old_one_going)
{
	struct world w;
	struct hd_instance *instance = NULL;
	world_init(&w);
	world_add(&w, "good", "good");
	world_open(&w);
	cr_assert_eq(hd_instance_create(w.plugins, "one", "good", NULL, &instance, &w.err), HYDRO_OK, "%s", w.err.text);
	char hash[65];
	(void)snprintf(hash, sizeof hash, "%s", world_info(&w, "good").hash);
	world_add(&w, "bad_magic", "good");
	world_add(&w, "sink", "more");
	cr_assert_eq(hd_plugins_scan(w.plugins, &w.err), HYDRO_OK);
	struct hd_plugin_info info = world_info(&w, "good");
	cr_assert_eq(info.state, HD_PLUGIN_LOADED);
	cr_assert_eq(info.instances, 1);
	cr_assert_str_eq(info.hash, hash);
	cr_assert(strstr(info.refusal, "version 1.0.0 loaded before goes on"), "%s", info.refusal);
	cr_assert(strstr(info.refusal, "0xdeadbeef"), "%s", info.refusal);
	cr_assert_eq(world_info(&w, "more").state, HD_PLUGIN_AVAILABLE);
	hd_instance_free(&instance);
	world_done(&w);
}

Test(plugins, a_file_replaced_under_a_running_instance_does_not_touch_it)
{
	struct world w;
	struct hd_instance *old = NULL, *fresh = NULL;
	world_init(&w);
	world_add(&w, "good", "p");
	world_open(&w);
	cr_assert_eq(hd_instance_create(w.plugins, "old", "good", NULL, &old, &w.err), HYDRO_OK);
	/* In place, as a careless copy does: a mapping of the file itself would change or fault. */
	char path[512];
	(void)snprintf(path, sizeof path, "%s/p.so", w.dir);
	cr_assert_eq(truncate(path, 0), 0);
	const struct hd_provider *provider = hd_instance_provider(old);
	char memory[64];
	hydro_scratch scratch = {.mem = memory, .size = 0};
	hydro_poll poll = {.struct_size = sizeof poll};
	hydro_http_request request = {.struct_size = sizeof request};
	cr_assert_eq(provider->ops.request(provider->self, &poll, &scratch, &request, &w.err), HYDRO_E_LIMIT);
	world_add(&w, "longer_tables", "p");
	cr_assert_eq(hd_plugins_scan(w.plugins, &w.err), HYDRO_OK);
	cr_assert_eq(hd_instance_create(w.plugins, "fresh", "longer_tables", NULL, &fresh, &w.err), HYDRO_OK, "%s", w.err.text);
	hd_instance_free(&old);
	hd_instance_free(&fresh);
	world_done(&w);
}

static bool is_mapped(const char *text)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf maps = {0};
	cr_assert_eq(hd_fs_read("/proc/self/maps", 16u << 20, &maps, NULL), HYDRO_OK);
	return strstr(hd_buf_text(&maps), text) != NULL;
}

/* Another file of the same plugin: bytes behind the end of an ELF file mean nothing. */
static void lengthen(struct world *w, const char *name)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/%s.so", w->dir, name);
	FILE *file = fopen(path, "a");
	cr_assert_not_null(file);
	cr_assert_eq(fputs("more", file) < 0, 0);
	cr_assert_eq(fclose(file), 0);
}

Test(plugins, replaced_code_goes_when_its_last_instance_goes_if_the_plugin_allows_it_and_swapping_back_maps_nothing_new)
{
	struct world w;
	struct hd_instance *gone = NULL, *stays = NULL, *fresh = NULL;
	world_init(&w);
	world_add(&w, "../plugins/example", "goes");
	world_add(&w, "good", "stays");
	world_open(&w);
	cr_assert_eq(hd_instance_create(w.plugins, "g", "example", NULL, &gone, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert_eq(hd_instance_create(w.plugins, "s", "good", NULL, &stays, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert(is_mapped("memfd:goes.so") && is_mapped("memfd:stays.so"));
	lengthen(&w, "goes");
	lengthen(&w, "stays");
	cr_assert_eq(hd_plugins_scan(w.plugins, &w.err), HYDRO_OK);
	cr_assert_eq(world_info(&w, "goes").state, HD_PLUGIN_AVAILABLE, "the new file is not mapped yet: %s", world_info(&w, "goes").refusal);
	cr_assert(is_mapped("memfd:goes.so"), "the instance still runs in it");
	const void *code = hd_instance_descriptor(stays)->plugin.ops;
	hd_instance_free(&gone);
	hd_instance_free(&stays);
	cr_assert_not(is_mapped("memfd:goes.so"));
	cr_assert(is_mapped("memfd:stays.so"));
	world_add(&w, "good", "stays");
	cr_assert_eq(hd_plugins_scan(w.plugins, &w.err), HYDRO_OK);
	cr_assert_eq(world_info(&w, "stays").state, HD_PLUGIN_LOADED, "the same hash is the same mapping");
	cr_assert_eq(hd_instance_create(w.plugins, "f", "good", NULL, &fresh, &w.err), HYDRO_OK);
	cr_assert_eq(hd_instance_descriptor(fresh)->plugin.ops, code);
	hd_instance_free(&fresh);
	world_done(&w);
}

Test(plugins, a_missing_folder_or_runner_is_an_error_that_names_it)
{
	struct world w;
	world_init(&w);
	struct hd_plugins_config cfg = world_config(&w);
	cfg.runner_path = "/nowhere/hydro-runner";
	cr_assert_eq(hd_plugins_open(&cfg, &w.plugins, &w.err), HYDRO_E_CONFIG);
	cr_assert(strstr(w.err.text, "/nowhere/hydro-runner"));
	static const char *const nowhere[] = {"/nowhere/plugins"};
	cfg = world_config(&w);
	cfg.dirs = nowhere;
	cr_assert_eq(hd_plugins_open(&cfg, &w.plugins, &w.err), HYDRO_E_CONFIG);
	cr_assert(strstr(w.err.text, "/nowhere/plugins"));
	world_done(&w);
}
