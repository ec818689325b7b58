/* SPDX-License-Identifier: MIT */
/*
 * The host's side of the ABI: a plugin's descriptor, checked and copied into structs of this build's own sizes. Shared by
 * the daemon, hydro-runner and the test kit, so that all three refuse the same plugins in the same words.
 */
#ifndef HD_HOSTSIDE_DESCRIPTOR_H
#define HD_HOSTSIDE_DESCRIPTOR_H

#include "base/error.h"

#include <stdbool.h>

/* Limits on what a plugin may claim about itself. */
#define HD_PLUGIN_TABLE_BYTES_MAX 65536u /* struct_size and strides */
#define HD_PLUGIN_OPTIONS_MAX 128u       /* rows of one descriptor, all scopes */
#define HD_PLUGIN_TEXT_BYTES_MAX 1024u   /* version, summary, key, doc, default, choices */
#define HD_PLUGIN_NAME_BYTES_MAX 32u

/*
 * A checked copy. Its texts are the plugin's own and live as long as the plugin stays mapped. `plugin.options` points to
 * own rows (stride sizeof(hydro_option)) and `plugin.ops` to the member of `ops` for the kind; what the plugin's shorter
 * tables do not have reads as zero.
 */
struct hd_descriptor {
	hydro_plugin plugin;
	union {
		hydro_provider_ops provider;
		hydro_sink_ops sink;
		hydro_analytics_ops analytics;
	} ops;
	uint32_t row_count;
	hydro_option *rows;             /* owned */
	hydro_option_value *defaults;   /* owned; one per row, is_set = 0 without a default */
	hydro_map_entry *default_entries; /* owned; what the defaults of MAP rows point to */
	char *default_texts;            /* owned; texts of those and of CHOICE defaults */
};

/*
 * Calls `entry` with this host's ABI and checks what it returns. HYDRO_E_ABI with a text that names both sides when the two
 * do not fit ("plugin needs ABI 0.3, this host offers 0.1"), HYDRO_E_INVALID for a descriptor that contradicts itself,
 * HYDRO_E_NOMEM. A pointer that leads nowhere crashes here: first done in a throw-away child (hydro-runner --probe). [control]
 */
int hd_descriptor_read(hydro_plugin_entry_fn entry, struct hd_descriptor **ret, struct hydro_error *err);
/* The same for a host of another version: what the conformance suite asks with. [control] */
int hd_descriptor_read_as(hydro_plugin_entry_fn entry, uint32_t host_major, uint32_t host_minor, struct hd_descriptor **ret,
			  struct hydro_error *err);
void hd_descriptor_free(struct hd_descriptor **descriptor);

/* "provider", "sink", "analytics", or NULL. [any] */
const char *hd_kind_name(uint32_t kind);
/* "bool" … "map", or NULL. [any] */
const char *hd_option_type_name(uint32_t type);
/* "instance", "account", "point", or NULL. [any] */
const char *hd_scope_name(uint32_t scope);
/* Index of the row, or -1. [any] */
int hd_descriptor_find(const struct hd_descriptor *descriptor, uint32_t scope, const char *key);
/* [a-z][a-z0-9_]{0,31}. [any] */
bool hd_plugin_name_valid(const char *name);

#endif
