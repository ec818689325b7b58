/* SPDX-License-Identifier: MIT */
/* Creating and destroying, with good, missing and odd options. */
#include "suite.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <malloc.h>
#include <string.h>

#define ROUNDS 100

static unsigned entries_of(const char *dir)
{
	unsigned count = 0;
	DIR *d = opendir(dir);
	for (const struct dirent *entry; d && (entry = readdir(d));)
		count += entry->d_name[0] != '.';
	if (d)
		(void)closedir(d);
	return count;
}

static void create_and_destroy_leave_nothing(struct subject *subject)
{
	size_t before = 0;
	unsigned fds = 0, threads = entries_of("/proc/self/task");
	/* The first rounds fill what is allocated once for good. */
	for (int i = 0; i < ROUNDS + 10; i++) {
		if (i == 10) {
			before = mallinfo2().uordblks;
			fds = entries_of("/proc/self/fd");
		}
		subject_create(subject);
		hydro_testkit_destroy(subject->kit);
	}
	size_t after = mallinfo2().uordblks;
	REQUIRE(after <= before + 2 * ROUNDS, "memory grew by %zu bytes in %d rounds", after - before, ROUNDS);
	REQUIRE(entries_of("/proc/self/fd") <= fds, "%d rounds left descriptors open", ROUNDS);
	REQUIRE(entries_of("/proc/self/task") <= threads, "threads are left running after destroy");
}

typedef int32_t (*create_fn)(const hydro_host *, const hydro_options *, void **, struct hydro_error *);

static create_fn create_of(struct subject *subject)
{
	hydro_testkit *kit = subject->kit;
	switch (subject->plugin->kind) {
	case HYDRO_KIND_PROVIDER:
		return hydro_testkit_provider(kit)->create;
	case HYDRO_KIND_SINK:
		return hydro_testkit_sink(kit)->create;
	default:
		return hydro_testkit_analytics(kit)->create;
	}
}

static void destroy(struct subject *subject, void *instance)
{
	hydro_testkit *kit = subject->kit;
	void (*stop)(void *) = subject->plugin->kind == HYDRO_KIND_PROVIDER ? hydro_testkit_provider(kit)->stop
			     : subject->plugin->kind == HYDRO_KIND_SINK     ? hydro_testkit_sink(kit)->stop
									    : hydro_testkit_analytics(kit)->stop;
	void (*end)(void *) = subject->plugin->kind == HYDRO_KIND_PROVIDER ? hydro_testkit_provider(kit)->destroy
			    : subject->plugin->kind == HYDRO_KIND_SINK     ? hydro_testkit_sink(kit)->destroy
									   : hydro_testkit_analytics(kit)->destroy;
	if (stop)
		stop(instance);
	end(instance);
}

/* A create that gets what no host would pass must work or fail in words; a crash ends the check. */
static void try_create(struct subject *subject, const hydro_options *options)
{
	struct hydro_error err = {.struct_size = sizeof err};
	void *instance = NULL;
	int32_t rc = create_of(subject)(hydro_testkit_host(subject->kit), options, &instance, &err);
	if (rc == HYDRO_OK) {
		REQUIRE(instance != NULL, "create said OK and gave no instance");
		destroy(subject, instance);
		return;
	}
	REQUIRE(rc < 0 && rc >= HYDRO_E_FATAL, "create failed with %d, which is no HYDRO_E_*", rc);
	REQUIRE(err.text[0], "create failed with %d and no words", rc);
	REQUIRE(memchr(err.text, '\0', sizeof err.text), "the error's text does not end");
}

static void create_without_options(struct subject *subject)
{
	hydro_option_value unset[128];
	memset(unset, 0, sizeof unset);
	hydro_options options = {.struct_size = sizeof options, .value_stride = sizeof unset[0], .map_stride = sizeof(hydro_map_entry), .values = unset};
	for (options.count = 0; options.count <= subject->plugin->option_count; options.count++)
		try_create(subject, &options);
}

static void create_with_odd_values(struct subject *subject)
{
	static char longest[8193];
	memset(longest, '%', sizeof longest - 1);
	static const char *const odd[] = {"", "%s%s%s%n", "{{{", "}", "\"", "$", "[", "..", "\xc3\xb1\xe2\x82\xac", longest};
	static const hydro_map_entry entries[] = {{"", "", 0, 0}, {"%n", longest, 0, 0}, {longest, "", 7, 0}};
	hydro_option_value values[128];
	uint32_t count = subject->plugin->option_count;
	for (size_t k = 0; k < sizeof odd / sizeof odd[0]; k++) {
		memset(values, 0, sizeof values);
		for (uint32_t i = 0; i < count && i < 128; i++)
			values[i] = (hydro_option_value){.is_set = 1, .integer = k & 1 ? INT64_MAX : INT64_MIN, .number = k & 1 ? 1e308 : -1e308, .text = odd[k],
							 .entries = entries, .entry_count = subject->plugin->options[i].type == HYDRO_OPT_MAP ? 3 : 0};
		hydro_options options = {.struct_size = sizeof options, .count = count, .value_stride = sizeof values[0], .map_stride = sizeof entries[0], .values = values};
		try_create(subject, &options);
	}
}

static void configure_keeps_working(struct subject *subject)
{
	struct hydro_error err = {.struct_size = sizeof err};
	subject_create(subject);
	int32_t rc = hydro_testkit_configure(subject->kit, subject->instance, &err);
	if (rc == HYDRO_E_UNSUPPORTED)
		SKIP("no configure");
	REQUIRE(rc == HYDRO_OK, "configure with the options it was created with: %s", err.text);
	hydro_testkit_destroy(subject->kit);
}

const struct check life_checks[] = {
	{"create and destroy 100 times leave no memory, descriptor or thread", 0, create_and_destroy_leave_nothing},
	{"create without options works or fails in words", 0, create_without_options},
	{"create with odd values works or fails in words", 0, create_with_odd_values},
	{"configure with the same options works", 0, configure_keeps_working},
	{NULL, 0, NULL},
};
