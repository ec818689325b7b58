/* SPDX-License-Identifier: MIT */
/* A ledger in a temporary folder, with its mark in another. */
#ifndef HD_TESTS_FILING_LEDGER_KIT_H
#define HD_TESTS_FILING_LEDGER_KIT_H

#include "check.h"

#include "filing/ledger.h"

struct ledger_kit {
	char dir[64], path[96], mark[96];
	struct hd_key key;
	const char *machine;
	bool restored;
	struct hd_ledger *ledger;
	struct hydro_error err;
};

#define KIT_DUE INT64_C(1767240000000) /* 2026-01-01T04:00:00Z: midnight at UTC-4 */
#define KIT_HOUR INT64_C(3600000)
#define KIT_PAYLOAD "{\"medicionSubterranea\":{\"caudal\":\"15.31\",\"fechaMedicion\":\"2026-01-01\",\"horaMedicion\":\"00:00:00\"," \
		    "\"nivelFreaticoDelPozo\":\"12.30\",\"totalizador\":\"425000\"}}"

void ledger_kit_begin(struct ledger_kit *kit);
int ledger_kit_open(struct ledger_kit *kit); /* without asserting */
void ledger_kit_close(struct ledger_kit *kit);
void ledger_kit_end(struct ledger_kit *kit);
/* A work with all fields set; the caller changes what it likes. */
struct hd_work ledger_kit_work(const char *code);
/* Creates `count` works "OB-0001-1" …; numbers from 1. */
void ledger_kit_works(struct ledger_kit *kit, uint32_t count);
/* A change with a payload where there must be one and a lease of an hour. */
struct hd_slot_change ledger_kit_change(uint32_t work, int64_t due_ms, uint32_t from, uint32_t to);
/* Applies one; its rc, or the call's failure. */
int ledger_kit_apply(struct ledger_kit *kit, struct hd_slot_change *change);
/* Takes a slot through queued, claimed, sending, filed, each asserted. */
void ledger_kit_file(struct ledger_kit *kit, uint32_t work, int64_t due_ms, const char *receipt);
struct hd_slot ledger_kit_slot(struct ledger_kit *kit, uint32_t work, int64_t due_ms);
/* Runs SQL on the file behind the ledger's back. */
void ledger_kit_sql(struct ledger_kit *kit, const char *sql);

#endif
