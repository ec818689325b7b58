/* SPDX-License-Identifier: MIT */
/*
 * A work as people give it: one table of fields for JSON bodies, columns of CSV files and the OpenAPI document, and all checks
 * of a work in one place. Functions [any that may wait].
 */
#ifndef HD_FILING_WORK_FORM_H
#define HD_FILING_WORK_FORM_H

#include "filing/adapter.h"
#include "filing/ledger.h"

#include <cjson/cJSON.h>

/* X(name, TYPE, FLAG, min, max, choices, doc); TYPE TEXT INTEGER NUMBER BOOL TIME UUID OBJECT ARRAY; FLAG NONE REQUIRED NULLABLE
 * READ_ONLY. Bounds: of numbers, and of a text's length; max <= min: none. */
#define HD_WORK_FIELDS(X) \
	X("id", UUID, READ_ONLY, 0, 0, NULL, "UUID") \
	X("number", INTEGER, READ_ONLY, 0, 0, NULL, "dense number within this installation") \
	X("version", INTEGER, READ_ONLY, 0, 0, NULL, "rises with each change; the ETag") \
	X("created_at", TIME, READ_ONLY, 0, 0, NULL, "when it was made") \
	X("updated_at", TIME, READ_ONLY, 0, 0, NULL, "when it was changed last") \
	X("code", TEXT, REQUIRED, 1, HD_WORK_CODE_BYTES_MAX, NULL, "the regulator's code of the work (OB-0101-1)") \
	X("name", TEXT, NONE, 0, 200, NULL, "for people") \
	X("kind", TEXT, REQUIRED, 1, 40, NULL, "what is measured, one of the adapter's kinds (subterranea)") \
	X("standard", TEXT, REQUIRED, 1, 40, NULL, "one of the adapter's standards (mayor, medio, menor, muy_pequeno)") \
	X("family", TEXT, NONE, 0, 40, NULL, "whose adapters file it (default dga)") \
	X("client", TEXT, NONE, 0, 200, NULL, "whose work it is") \
	X("region", TEXT, NONE, 0, 100, NULL, "region") \
	X("shac", TEXT, NONE, 0, 200, NULL, "SHAC: hydrogeological sector of common use") \
	X("notes", TEXT, NONE, 0, 2000, NULL, "for people") \
	X("mode", TEXT, NONE, 0, 0, "off|shadow|live", "off: nothing; shadow: prepared exactly, not sent; live: filed (default off)") \
	X("centre", TEXT, NULLABLE, 0, 200, NULL, "control centre, by id or name; answers give the id") \
	X("informant", TEXT, NULLABLE, 0, 200, NULL, "who informs, by id, name or RUT; answers give the id") \
	X("point", TEXT, NULLABLE, 0, 200, NULL, "the point that measures it, by id or name; answers give the id") \
	X("starts", TIME, NULLABLE, 0, 0, NULL, "start of compliance: no slot before it; without it no slots at all") \
	X("ends", TIME, NULLABLE, 0, 0, NULL, "no slot from then on") \
	X("granted_lps", NUMBER, NULLABLE, 0, 1e9, NULL, "granted flow, l/s") \
	X("granted_m3_year", NUMBER, NULLABLE, 0, 1e12, NULL, "granted volume a year, m3") \
	X("pick", TEXT, NONE, 0, 0, "nearest|mean", "which reading a slot files: the nearest before it within the window, or the period's mean (default nearest)") \
	X("window_s", INTEGER, NULLABLE, 1, 31622400, NULL, "seconds before a slot that its reading may lie (default 3600)") \
	X("every", TEXT, NULLABLE, 0, 0, "hour|day|month|half_year", "frequency, over the standard's") \
	X("at_s", INTEGER, NULLABLE, 0, 2678400, NULL, "filing hour: seconds from the start of the day, month or half-year") \
	X("lag_s", INTEGER, NULLABLE, 1, 63244800, NULL, "longest time from slot to filing, over the standard's, in seconds") \
	X("lag_months", INTEGER, NULLABLE, 1, 24, NULL, "the same in months; not both") \
	X("by_sheet", BOOL, NONE, 0, 0, NULL, "its user files by sheet or form: slots are prepared and never sent (default false)") \
	X("flow_metric", TEXT, NONE, 0, 64, NULL, "metric of the flow (default flow)") \
	X("total_metric", TEXT, NONE, 0, 64, NULL, "metric of the total (default total)") \
	X("level_metric", TEXT, NONE, 0, 64, NULL, "metric of the level (default: the kind's)") \
	X("options", OBJECT, NONE, 0, 0, NULL, "the adapter's options of a work") \
	X("adapters", ARRAY, NONE, 0, 16, NULL, "{adapter, from, mode} each: another version of the manual from a date on, or beside it in shadow") \
	X("held_since", TIME, READ_ONLY, 0, 0, NULL, "since when it waits for a correction; null: it does not") \
	X("held_why", TEXT, READ_ONLY, 0, 0, NULL, "why it waits")

#define HD_WORK_FIELD_IS_TEXT 0u
#define HD_WORK_FIELD_IS_INTEGER 1u
#define HD_WORK_FIELD_IS_NUMBER 2u
#define HD_WORK_FIELD_IS_BOOL 3u
#define HD_WORK_FIELD_IS_TIME 4u
#define HD_WORK_FIELD_IS_UUID 5u
#define HD_WORK_FIELD_IS_OBJECT 6u
#define HD_WORK_FIELD_IS_ARRAY 7u

#define HD_WORK_FIELD_NONE 0u
#define HD_WORK_FIELD_REQUIRED 1u
#define HD_WORK_FIELD_NULLABLE 2u
#define HD_WORK_FIELD_READ_ONLY 4u

struct hd_work_field {
	const char *name;
	uint32_t type, flags; /* HD_WORK_FIELD_… */
	double min, max;
	const char *choices, *doc;
};
extern const struct hd_work_field hd_work_fields[];
extern const uint32_t hd_work_field_count;
/* NULL for an unknown name. */
const struct hd_work_field *hd_work_field_find(const char *name);
/* The field whose name is nearest to a wrong one; NULL when none is near. */
const char *hd_work_field_nearest(const char *name);

const char *hd_work_mode_name(uint32_t mode);
const char *hd_every_name(uint32_t every); /* HYDRO_EVERY_*; "" for another */

/* The members of a work as one JSON object. centres and informants by their ids; NULL lookup: null for them. */
struct hd_registry_ids;
void hd_work_print(struct hd_buf *ret, const struct hd_work *work, const struct hd_registry_ids *ids);

/* Ids, names and identifiers of the centres and informants, read once for a page or a file. All zero is empty. */
struct hd_registry_row {
	uint32_t number;
	struct hd_uuid id;
	char name[201], identifier[32];
	bool ready; /* a centre: its registration is recorded; an informant: its password is there */
};
struct hd_registry_ids {
	struct hd_registry_row *centres, *informants;
	uint32_t centre_count, centre_capacity, informant_count, informant_capacity;
};
int hd_registry_ids_load(struct hd_ledger *ledger, struct hd_registry_ids *ret, struct hydro_error *err);
void hd_registry_ids_done(struct hd_registry_ids *ids);
const struct hd_registry_row *hd_registry_centre(const struct hd_registry_ids *ids, uint32_t number);    /* NULL: none */
const struct hd_registry_row *hd_registry_informant(const struct hd_registry_ids *ids, uint32_t number); /* NULL: none */

/* What a work is checked against. */
struct hd_work_context {
	const struct hd_adapters *adapters;
	const struct hd_registry_ids *ids;
	int64_t now_ms;
	void *arg;
	/* The point of an id or name; HYDRO_E_NOTFOUND, HYDRO_E_CONFLICT (several). NULL: ids alone, unchecked. */
	int (*point)(void *arg, const char *text, struct hd_uuid *ret, struct hydro_error *err);
	/* One misfit: the field and what is wrong with it. */
	void (*problem)(void *problem_arg, const char *field, const char *why);
	void *problem_arg;
};

/* A work under way; texts of `row` lie in the document and in what the draft owns. */
struct hd_work_draft {
	struct hd_work row;
	char *options, *adapters;
};
/*
 * Fills draft->row from a JSON object whose types were checked against the fields (number, id, version and times are left as they
 * are), and checks all: names against the adapters with the nearest as a hint, identifiers, options, the work as a whole by its
 * adapter, and for `live` that registration, informant, centre, point and start are there. HYDRO_E_INVALID after problems.
 */
int hd_work_draft_take(const cJSON *document, const struct hd_work_context *context, struct hd_work_draft *ret, struct hydro_error *err);
void hd_work_draft_done(struct hd_work_draft *draft);
/* A work that is there as a draft to be changed: *ret_document is its JSON, which must outlive the draft; nothing is checked. */
int hd_work_draft_copy(const struct hd_work *work, const struct hd_registry_ids *ids, cJSON **ret_document, struct hd_work_draft *ret, struct hydro_error *err);
/* The same checks of types for one member; NULL when it fits, else what is wanted (in ret). */
const char *hd_work_field_misfit(const struct hd_work_field *field, const cJSON *item, char ret[200]);

#endif
