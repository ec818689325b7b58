/* SPDX-License-Identifier: MIT */
/* The file, its entry and the descriptor. */
#include "suite.h"

#include "base/fs.h"
#include "hostside/elf.h"
#include "hostside/module.h"

#include <string.h>

static hydro_plugin_entry_fn entry_of(struct subject *subject, struct hd_module *module)
{
	struct hydro_error err = {.struct_size = sizeof err};
	int rc = hd_module_open(subject->path, module, &err);
	REQUIRE(rc == HYDRO_OK, "%s", err.text);
	return module->entry;
}

static void exports_one_symbol(struct subject *subject)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf file = {0};
	struct hydro_error err = {.struct_size = sizeof err};
	REQUIRE(hd_fs_read(subject->path, HD_PLUGIN_FILE_BYTES_MAX, &file, &err) == HYDRO_OK, "%s", err.text);
	REQUIRE(hd_elf_check(file.data, file.len, &err) == HYDRO_OK, "%s", err.text);
}

static void entry_is_pure(struct subject *subject)
{
	struct hd_module module = {0};
	hydro_plugin_entry_fn entry = entry_of(subject, &module);
	const hydro_plugin *first = entry(HYDRO_ABI_MAJOR, HYDRO_ABI_MINOR);
	hydro_plugin copy;
	size_t size = HD_MIN((size_t)first->struct_size, sizeof copy);
	memcpy(&copy, first, size);
	for (int i = 0; i < 5; i++) {
		if (i & 1)
			(void)entry(99, 0);
		REQUIRE(entry(HYDRO_ABI_MAJOR, HYDRO_ABI_MINOR) == first, "another descriptor at call %d", i + 2);
		REQUIRE(memcmp(&copy, first, size) == 0, "the descriptor changed between calls");
	}
	hd_module_close(&module);
}

static void other_major_is_no_common_ground(struct subject *subject)
{
	struct hd_module module = {0};
	hydro_plugin_entry_fn entry = entry_of(subject, &module);
	struct hydro_error err = {.struct_size = sizeof err};
	for (uint32_t major = 0; major < 100; major += 33) {
		struct hd_descriptor *d = NULL;
		if (major == HYDRO_ABI_MAJOR)
			continue;
		REQUIRE(hd_descriptor_read_as(entry, major, HYDRO_ABI_MINOR, &d, &err) == HYDRO_E_ABI, "a host of ABI %u.%u would take it", major, HYDRO_ABI_MINOR);
	}
	hd_module_close(&module);
}

static void newer_hosts_take_it(struct subject *subject)
{
	struct hd_module module = {0};
	hydro_plugin_entry_fn entry = entry_of(subject, &module);
	struct hydro_error err = {.struct_size = sizeof err};
	for (uint32_t minor = HYDRO_ABI_MINOR; minor < 1000; minor += 111) {
		struct hd_descriptor *d = NULL;
		REQUIRE(hd_descriptor_read_as(entry, HYDRO_ABI_MAJOR, minor, &d, &err) == HYDRO_OK, "a host of ABI %u.%u does not: %s", HYDRO_ABI_MAJOR, minor, err.text);
		hd_descriptor_free(&d);
	}
	hd_module_close(&module);
}

static void says_what_it_is(struct subject *subject)
{
	const hydro_plugin *plugin = subject->plugin;
	REQUIRE(plugin->version[0] >= '0' && plugin->version[0] <= '9' && strchr(plugin->version, '.'), "version \"%s\" is not semantic (1.2.3)", plugin->version);
	for (uint32_t i = 0; i < plugin->option_count; i++) {
		const hydro_option *row = &plugin->options[i];
		REQUIRE(strlen(row->doc) >= 3, "option '%s' has no doc worth the name", row->key);
		REQUIRE(row->reserved == 0, "option '%s': reserved is not 0", row->key);
	}
}

const struct check file_checks[] = {
	{"exports hydro_plugin_entry and nothing else", 0, exports_one_symbol},
	{"entry is pure: the same unchanged descriptor at each call", 0, entry_is_pure},
	{"a host of another major does not take it", 0, other_major_is_no_common_ground},
	{"hosts of newer minors take it", 0, newer_hosts_take_it},
	{"version and docs are there", 0, says_what_it_is},
	{NULL, 0, NULL},
};
