/* SPDX-License-Identifier: MIT */
/* The engine with a real ledger, a simulated clock, a history of readings that the test writes, and the small regulator. */
#ifndef TESTS_FILING_RIG_H
#define TESTS_FILING_RIG_H

#include "base/clock.h"
#include "model/flags.h"
#include "regulator.h"

#define RIG_START INT64_C(1767240000000) /* 2026-01-01T04:00:00Z: midnight in UTC-4 */
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define MINUTE_MS INT64_C(60000)
#define RIG_READINGS_MAX 20000u
#define RIG_TIMEOUT_MS 5000 /* real: a busy machine must not time out what the regulator has answered */

struct reading {
	uint32_t point;
	int64_t ts_ms;
	double flow, total, level; /* NAN = not there */
	float quality;
	uint16_t bits;
	bool flagged;
};

struct rig {
	char dir[64];
	struct hd_names *names;
	struct hd_ledger *ledger;
	struct hd_adapters *adapters;
	struct hd_net *net;
	struct hd_filing *filing;
	struct hd_filing_config config; /* may be changed before rig_open */
	struct regulator regulator;
	struct reading *readings;
	uint32_t reading_count;
	uint32_t centre, informant;
	uint8_t points; /* given to works so far */
	bool clock_bad, restored, own_regulator;
};

/* Clock at RIG_START, a running regulator, a ledger with a registered centre (60 calls a minute) and an informant. */
struct rig *rig_new(void);
void rig_free(struct rig *rig);
/* Opens the engine and switches it on. */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* Closes and opens ledger and engine, as a restart does. */
void rig_restart(struct rig *rig);
/* Opens ledger and client only (a second process). */
void rig_open_ledger(struct rig *rig);
/* A live work of the standard mayor on a point of its own number; compliance from RIG_START + 1 h. */
uint32_t rig_work(struct rig *rig, const char *code);
void rig_work_with(struct rig *rig, struct hd_work *work);
struct hd_work rig_work_default(struct rig *rig, const char *code);
/* Changes a work in the ledger by its number. */
void rig_work_change(struct rig *rig, uint32_t number, void (*change)(struct hd_work *work));
void rig_centre_change(struct rig *rig, void (*change)(struct hd_centre *centre));
/* A good reading with the three fields. */
void rig_read(struct rig *rig, uint32_t point, int64_t ts_ms);
void rig_read_with(struct rig *rig, struct reading reading);
/* Readings at each full hour with from <= hour < to. */
void rig_read_hours(struct rig *rig, uint32_t point, int64_t from_ms, int64_t to_ms);
/* Tells the engine of the readings as synced samples. */
void rig_tell(struct rig *rig, uint32_t from);
/* The clock goes on from one thing to do to the next until `ms`. */
void rig_run(struct rig *rig, int64_t ms);
struct hd_slot rig_slot(struct rig *rig, uint32_t work, int64_t due_ms); /* state DUE when it is not stored */
uint32_t rig_alarms(struct rig *rig, const char *kind); /* open ones */

#endif
