/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/buf.h"
#include "hostside/options.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

/* A descriptor to be bent by each test. */
static hydro_plugin plugin;
static hydro_provider_ops ops;
static hydro_option rows[2];

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

static int32_t request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	(void)instance;
	(void)poll;
	(void)scratch;
	(void)ret;
	(void)err;
	return HYDRO_E_FATAL;
}

static int32_t parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit, hydro_outcome *ret, struct hydro_error *err)
{
	(void)instance;
	(void)poll;
	(void)response;
	(void)emit;
	(void)ret;
	(void)err;
	return HYDRO_E_FATAL;
}

static const hydro_plugin *entry(uint32_t host_major, uint32_t host_minor)
{
	(void)host_major;
	(void)host_minor;
	return &plugin;
}

static void straighten(void)
{
	ops = (hydro_provider_ops){.struct_size = sizeof ops, .capabilities = HYDRO_PROVIDER_HTTP, .create = create, .destroy = destroy, .request = request, .parse = parse};
	rows[0] = (hydro_option){.key = "a", .type = HYDRO_OPT_INT, .scope = HYDRO_SCOPE_INSTANCE, .doc = "first", .default_value = "1"};
	rows[1] = (hydro_option){.key = "b", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_POINT, .doc = "second", .choices = "x|y"};
	plugin = (hydro_plugin){.struct_size = sizeof plugin, .magic = HYDRO_ABI_MAGIC, .abi_major = HYDRO_ABI_MAJOR, .abi_minor_needed = 1, .kind = HYDRO_KIND_PROVIDER,
				.name = "bent", .version = "1", .summary = "s", .licence = "MIT", .option_count = 2, .option_stride = sizeof rows[0], .options = rows, .ops = &ops};
}

static int read_plugin(struct hydro_error *err)
{
	struct hd_descriptor *d = NULL;
	int rc = hd_descriptor_read(entry, &d, err);
	hd_descriptor_free(&d);
	return rc;
}

static void refused(const char *part)
{
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_lt(read_plugin(&err), 0, "should be refused: %s", part);
	cr_assert(strstr(err.text, part), "%s", err.text);
	straighten();
}

Test(descriptor, what_is_straight_is_taken_and_copied_to_own_sizes)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_descriptor *d = NULL;
	straighten();
	ops.struct_size = offsetof(hydro_provider_ops, drain);
	cr_assert_eq(hd_descriptor_read(entry, &d, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(d->ops.provider.struct_size, sizeof ops);
	cr_assert_eq(d->plugin.ops, &d->ops);
	cr_assert_eq(d->rows[1].type, HYDRO_OPT_CHOICE);
	cr_assert_eq(d->defaults[0].integer, 1);
	cr_assert_eq(hd_descriptor_find(d, HYDRO_SCOPE_POINT, "b"), 1);
	cr_assert_eq(hd_descriptor_find(d, HYDRO_SCOPE_INSTANCE, "b"), -1);
	hd_descriptor_free(&d);
}

Test(descriptor, each_contradiction_is_refused_in_words)
{
	static char long_text[2000];
	memset(long_text, 'x', sizeof long_text - 1);
	straighten();
	plugin.name = "Bent"; refused("not of the form [a-z][a-z0-9_]{0,31}");
	plugin.name = NULL; refused("name is NULL");
	plugin.name = "a234567890123456789012345678901234"; refused("not of the form");
	plugin.version = ""; refused("version is empty");
	plugin.summary = "two\nlines"; refused("summary has control characters");
	plugin.summary = "\xff"; refused("not UTF-8");
	plugin.summary = long_text; refused("longer than the 1024 bytes");
	plugin.licence = NULL; refused("licence is NULL");
	plugin.kind = 9; refused("of kind 9, this host knows 1 (provider)");
	plugin.struct_size = 15; refused("has 15 bytes, this host needs at least the 16");
	plugin.struct_size = sizeof plugin - 8; refused("this host needs at least the");
	plugin.abi_minor_needed = HYDRO_ABI_MINOR + 1; refused("a newer hydrod is needed");
	plugin.abi_minor_needed = 0; refused("this host offers 0.2 and nothing below 0.1");
	plugin.ops = NULL; refused("(ops) is NULL");
	plugin.options = NULL; refused("the option table is NULL");
	plugin.options = (const hydro_option *)(const void *)((const char *)rows + 1); refused("not aligned");
	plugin.option_stride = sizeof rows[0] + 1; refused("needs a multiple of 8");
	plugin.option_count = 129; refused("claims 129 options, this host takes at most 128");
	ops.struct_size = 8; refused("(ops) has 8 bytes");
	ops.create = NULL; refused("create and destroy");
	ops.capabilities = 0; refused("capabilities 0x0, this host needs HTTP (1) or SUBSCRIBE (8)");
	ops.capabilities |= HYDRO_PROVIDER_LOGIN; refused("LOGIN");
	ops.capabilities |= HYDRO_PROVIDER_SUBSCRIBE; refused("SUBSCRIBE");
	rows[0].type = 99; refused("its type is none this host knows");
	rows[0].scope = 0; refused("its scope is none this host knows");
	rows[0].doc = NULL; refused("its doc is NULL");
	rows[0].key = "Has Blank"; refused("its key is not of the form");
	rows[0].flags = HYDRO_OPT_METRIC_KEYS; refused("METRIC_KEYS is for rows of type map");
	rows[0].flags = HYDRO_OPT_SECRET; refused("a secret cannot have a default");
	rows[0].default_value = "1.5"; refused("must be a whole number");
	rows[1].choices = NULL; refused("a choice needs its choices");
	rows[1].default_value = "z"; refused("must be one of x|y");
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(read_plugin(&err), HYDRO_OK, "straight again: %s", err.text);
}

static const hydro_filing_info *filing_info(void *instance)
{
	(void)instance;
	return NULL;
}

static int32_t filing_text(void *instance, const char *text, struct hydro_error *err)
{
	(void)instance;
	(void)text;
	(void)err;
	return HYDRO_OK;
}

static int32_t filing_work(void *instance, const hydro_filing_slot *work, struct hydro_error *err)
{
	return filing_text(instance, work->code, err);
}

static int32_t filing_prepare(void *instance, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	(void)ret;
	return filing_work(instance, slot, err);
}

static int32_t filing_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	(void)scratch;
	(void)ret;
	return filing_text(instance, send->code, err);
}

static int32_t filing_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret, struct hydro_error *err)
{
	(void)response;
	(void)ret;
	return filing_text(instance, send->code, err);
}

Test(descriptor, a_sink_that_files_needs_its_functions_and_no_others)
{
	static hydro_sink_ops sink;
	static const hydro_sink_ops whole = {.struct_size = sizeof whole, .capabilities = HYDRO_SINK_FILING, .create = create, .destroy = destroy, .filing_info = filing_info,
					     .filing_check_identifier = filing_text, .filing_check_work = filing_work, .filing_prepare = filing_prepare,
					     .filing_request = filing_request, .filing_parse = filing_parse};
	struct hydro_error err = {.struct_size = sizeof err};
	straighten();
	plugin.kind = HYDRO_KIND_SINK;
	plugin.ops = &sink;
	sink = whole;
	cr_assert_eq(read_plugin(&err), HYDRO_OK, "%s", err.text);
	for (int i = 0; i < 4; i++) {
		sink = whole;
		if (i == 0)
			sink.filing_prepare = NULL;
		else if (i == 1)
			sink.filing_check_request = filing_request; /* without its reader */
		else if (i == 2)
			sink.struct_size = offsetof(hydro_sink_ops, filing_info); /* a table of 0.1 */
		else
			sink.capabilities = 0;
		cr_assert_eq(read_plugin(&err), HYDRO_E_INVALID);
		cr_assert_not_null(strstr(err.text, "FILING"), "%s", err.text);
	}
}

Test(descriptor, its_json_and_reference_page_carry_every_row)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_descriptor *d = NULL;
	straighten();
	cr_assert_eq(hd_descriptor_read(entry, &d, &err), HYDRO_OK);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert(hd_descriptor_json(d, &buf));
	cJSON *json = cJSON_ParseWithLength(buf.data, buf.len);
	cr_assert_not_null(json);
	cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "options")), 2);
	cJSON_Delete(json);
	char *page = hd_descriptor_reference_md(d);
	cr_assert(strstr(page, "| `a` | int |") && strstr(page, "x\\|y"), "%s", page);
	free(page);
	hd_descriptor_free(&d);
}
