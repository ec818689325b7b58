/* SPDX-License-Identifier: MIT */
/* A ledger with the built dga plugin as its adapter, a registered centre and an informant. */
#ifndef HD_TESTS_FILING_DGA_KIT_H
#define HD_TESTS_FILING_DGA_KIT_H

#include "ledger_kit.h"

#include "filing/adapter.h"
#include "model/names.h"
#include "plugin/plugin.h"

struct dga_kit {
	struct ledger_kit ledger;
	char dir[64];
	const char *dirs[1];
	struct hd_names *names;
	struct hd_plugins *plugins;
	struct hd_instance *instance;
	struct hd_adapters *adapters;
	uint32_t centre, informant;
	struct hydro_error err;
};

void dga_kit_begin(struct dga_kit *kit);
void dga_kit_end(struct dga_kit *kit);
/* A work of the standard, live, of that centre and informant, from KIT_DUE on; its number. */
uint32_t dga_kit_work(struct dga_kit *kit, const char *code, const char *standard, const char *client);
/* A slot that had no reading: missing. */
void dga_kit_missing(struct dga_kit *kit, uint32_t work, int64_t due_ms, const char *cause);

#endif
