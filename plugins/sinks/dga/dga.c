/* SPDX-License-Identifier: MIT */
/* The instance and its options. See README.md. */
#include "dga.h"
#include "manual.h"

#include "options.h"

#include <stdlib.h>

static bool is_this_machine(const char *url)
{
	static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		size_t len = strlen(hosts[i]);
		if (strncmp(url, hosts[i], len) == 0 && (url[len] == '\0' || url[len] == ':' || url[len] == '/'))
			return true;
	}
	return false;
}

static int32_t check_base(const hydro_options *options, struct hydro_error *err)
{
	const char *url = hydro_option_text(options, DGA_BASE_URL);
	if (strpbrk(url, "?#"))
		return hydro_fail(err, HYDRO_E_CONFIG, "base_url: a path follows it, so it cannot have '?' or '#'");
	if (strncmp(url, "https://", 8) == 0 || is_this_machine(url) || hydro_option_at(options, DGA_PLAIN_HTTP)->integer)
		return HYDRO_OK;
	return hydro_fail(err, HYDRO_E_CONFIG, "base_url: without https the informant's password would go through the network in the clear; plain_http = true allows it for tests");
}

static int32_t create(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err)
{
	(void)host;
	int32_t rc = check_base(options, err);
	if (rc != HYDRO_OK)
		return rc;
	struct dga *dga = calloc(1, sizeof *dga);
	char *base = options_base_url(options, DGA_BASE_URL);
	if (!dga || !base) {
		free(dga);
		free(base);
		return hydro_fail(err, HYDRO_E_NOMEM, "no memory for an instance");
	}
	dga->base = base;
	dga->stamp = options_u32(options, DGA_STAMP);
	dga->origin = options_u32(options, DGA_ORIGIN);
	*ret_instance = dga;
	return HYDRO_OK;
}

static void destroy(void *instance)
{
	struct dga *dga = instance;
	if (!dga)
		return;
	free(dga->base);
	free(dga);
}

static const hydro_filing_info *filing_info(void *instance)
{
	(void)instance;
	return &dga_manual.info;
}

static const hydro_option options[DGA_OPTION_COUNT] = {
	[DGA_BASE_URL] = {.key = "base_url", .type = HYDRO_OPT_URL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = DGA_MANUAL_BASE_URL, .doc = "Where the service answers"},
	[DGA_STAMP] = {.key = "stamp", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "slot", .choices = DGA_STAMP_CHOICES,
		       .doc = "fechaMedicion and horaMedicion: of the slot (its round hour), or of the reading that it files (measured)"},
	[DGA_ORIGIN] = {.key = "origin", .type = HYDRO_OPT_CHOICE, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "utc4_0000", .choices = DGA_ORIGIN_CHOICES,
			.doc = "timeStampOrigen: UTC-4 or UTC wall clock, with the literal -0000, -0400 or Z behind it"},
	[DGA_PLAIN_HTTP] = {.key = "plain_http", .type = HYDRO_OPT_BOOL, .scope = HYDRO_SCOPE_INSTANCE, .default_value = "false",
			    .doc = "Takes a base_url without https that is not of this machine: for tests alone, passwords go in the clear"},
	[DGA_MINE_WATER] = {.key = "mine_water", .type = HYDRO_OPT_BOOL, .scope = HYDRO_SCOPE_POINT, .default_value = "false",
			    .doc = "Aguas del minero: nivelFreaticoDelPozo may be empty (kind subterranea)"},
	[DGA_AUTOMATIC_GATES] = {.key = "automatic_gates", .type = HYDRO_OPT_BOOL, .scope = HYDRO_SCOPE_POINT, .default_value = "false",
				 .doc = "Compuertas automatizadas that compute the flow: alturaLimnimetrica may be empty (kind canal)"},
};

static const hydro_sink_ops ops = {
	.struct_size = sizeof ops,
	.capabilities = HYDRO_SINK_FILING,
	.create = create,
	.destroy = destroy,
	.filing_info = filing_info,
	.filing_check_identifier = dga_check_identifier,
	.filing_check_work = dga_check_work,
	.filing_prepare = dga_prepare,
	.filing_request = dga_request,
	.filing_parse = dga_parse,
	.filing_check_request = dga_check_request,
	.filing_check_parse = dga_check_parse,
	.filing_needed = dga_needed,
};

static const hydro_plugin plugin = {
	.struct_size = sizeof plugin,
	.magic = HYDRO_ABI_MAGIC,
	.abi_major = HYDRO_ABI_MAJOR,
	.abi_minor_needed = 2,
	.kind = HYDRO_KIND_SINK,
	.name = DGA_MANUAL_PLUGIN,
	.version = DGA_MANUAL_VERSION,
	.summary = DGA_MANUAL_SUMMARY,
	.licence = "MIT",
	.flags = HYDRO_PLUGIN_UNLOADABLE,
	.option_count = DGA_OPTION_COUNT,
	.option_stride = sizeof(hydro_option),
	.options = options,
	.ops = &ops,
};

const hydro_plugin *hydro_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	return host_major == HYDRO_ABI_MAJOR && host_minor >= 2 ? &plugin : NULL;
}
