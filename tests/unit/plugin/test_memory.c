/* SPDX-License-Identifier: MIT */
/* Each constructor with its n-th allocation failing, n = 1, 2, … until it succeeds: no crash, no leak, an error in words. */
#include "world.h"

#include "base/clock.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Of this thread alone: others allocate as they like. */
static _Thread_local unsigned long fail_at, seen;

static bool must_fail(void)
{
	return fail_at && ++seen == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return must_fail() ? NULL : __real_realloc(old, size);
}

static int32_t create(const hydro_host *host, const hydro_options *options, void **ret, struct hydro_error *err)
{
	(void)host;
	(void)options;
	(void)ret;
	(void)err;
	return HYDRO_E_FATAL;
}

static void destroy(void *instance)
{
	(void)instance;
}

static int32_t write_batch(void *instance, const hydro_batch *batch, hydro_write_outcome *outcomes, uint32_t stride, struct hydro_error *err)
{
	(void)instance;
	(void)batch;
	(void)outcomes;
	(void)stride;
	(void)err;
	return HYDRO_E_FATAL;
}

static const hydro_option rows[] = {
	{.key = "keys", .type = HYDRO_OPT_MAP, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_METRIC_KEYS, .default_value = "flow=a,level=b", .doc = "keys"},
	{.key = "text", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .default_value = "x", .doc = "text"},
};
static const hydro_sink_ops ops = {.struct_size = sizeof ops, .capabilities = HYDRO_SINK_WRITE, .create = create, .destroy = destroy, .write = write_batch};
static const hydro_plugin plugin = {.struct_size = sizeof plugin, .magic = HYDRO_ABI_MAGIC, .abi_major = HYDRO_ABI_MAJOR, .abi_minor_needed = 1, .kind = HYDRO_KIND_SINK,
				    .name = "m", .version = "1", .summary = "s", .licence = "MIT", .option_count = 2, .option_stride = sizeof rows[0], .options = rows, .ops = &ops};

static const hydro_plugin *entry(uint32_t host_major, uint32_t host_minor)
{
	(void)host_major;
	(void)host_minor;
	return &plugin;
}

/* Runs `make` with each allocation failing in turn; it returns a code and undoes what it made. Returns how many there were. */
static unsigned long each_allocation(int (*make)(void *arg, struct hydro_error *err), void *arg)
{
	for (unsigned long n = 1;; n++) {
		struct hydro_error err = {.struct_size = sizeof err};
		fail_at = n;
		seen = 0;
		int rc = make(arg, &err);
		bool reached = seen >= n;
		fail_at = 0;
		if (!reached) {
			cr_assert_eq(rc, HYDRO_OK, "%s", err.text);
			return n - 1;
		}
		cr_assert(rc == HYDRO_OK || err.text[0], "allocation %lu fails without words", n);
	}
}

static int make_descriptor(void *arg, struct hydro_error *err)
{
	(void)arg;
	struct hd_descriptor *d = NULL;
	int rc = hd_descriptor_read(entry, &d, err);
	hd_descriptor_free(&d);
	return rc;
}

Test(memory, a_descriptor_survives_each_failed_allocation)
{
	cr_assert_geq(each_allocation(make_descriptor, NULL), 5);
}

struct options_case {
	struct hd_descriptor *d;
	struct hd_names *names;
	cJSON *json;
};

static int make_options(void *arg, struct hydro_error *err)
{
	struct options_case *c = arg;
	struct hd_options *options = NULL;
	int rc = hd_options_parse(c->d, HYDRO_SCOPE_POINT, c->json, c->names, &options, err);
	hd_options_unref(&options);
	return rc;
}

Test(memory, options_take_one_allocation_and_survive_its_failure)
{
	struct options_case c = {0};
	cr_assert_eq(hd_descriptor_read(entry, &c.d, NULL), HYDRO_OK);
	cr_assert_eq(hd_names_open(NULL, &c.names, NULL), HYDRO_OK);
	c.json = cJSON_Parse("{\"keys\":{\"flow\":\"1\",\"level\":2},\"text\":\"abc\"}");
	cr_assert_eq(each_allocation(make_options, &c), 1);
	cJSON_Delete(c.json);
	hd_names_close(&c.names);
	hd_descriptor_free(&c.d);
}

static int make_host(void *arg, struct hydro_error *err)
{
	struct world *w = arg;
	struct hd_plugins_config cfg = world_config(w);
	struct hd_plugins *plugins = NULL;
	struct hd_instance *instance = NULL;
	struct hd_plugin_info info;
	cfg.log = NULL;
	int rc = hd_plugins_open(&cfg, &plugins, err);
	if (rc == HYDRO_OK && hd_plugins_get(plugins, 0, &info) && info.state == HD_PLUGIN_REFUSED)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "%s", info.refusal);
	if (rc == HYDRO_OK)
		rc = hd_instance_create(plugins, "i", "good", NULL, &instance, err);
	hd_instance_free(&instance);
	hd_plugins_close(&plugins);
	return rc;
}

Test(memory, the_host_with_an_instance_survives_each_failed_allocation)
{
	struct world w;
	world_init(&w);
	world_add(&w, "good", "good");
	cr_assert_geq(each_allocation(make_host, &w), 15);
	world_done(&w);
}
