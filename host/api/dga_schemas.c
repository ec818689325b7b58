/* SPDX-License-Identifier: MIT */
/* Schemas of /api/v1/dga. Those of works come from the one table of a work's fields. */
#include "api/dga.h"
#include "api/dga_schemas.h"

#include "api/schema_rows.h" /* last: short names */

_Static_assert(HD_FIELD_IS_TEXT == HD_WORK_FIELD_IS_TEXT && HD_FIELD_IS_INTEGER == HD_WORK_FIELD_IS_INTEGER && HD_FIELD_IS_NUMBER == HD_WORK_FIELD_IS_NUMBER &&
		       HD_FIELD_IS_BOOL == HD_WORK_FIELD_IS_BOOL && HD_FIELD_IS_TIME == HD_WORK_FIELD_IS_TIME && HD_FIELD_IS_UUID == HD_WORK_FIELD_IS_UUID &&
		       HD_FIELD_IS_OBJECT == HD_WORK_FIELD_IS_OBJECT && HD_FIELD_IS_ARRAY == HD_WORK_FIELD_IS_ARRAY,
	       "one numbering of types");
_Static_assert(HD_FIELD_REQUIRED == HD_WORK_FIELD_REQUIRED && HD_FIELD_NULLABLE == HD_WORK_FIELD_NULLABLE && HD_FIELD_READ_ONLY == HD_WORK_FIELD_READ_ONLY,
	       "one numbering of flags");

#define LIST(variable, name, of, doc) \
	static const struct hd_schema_field variable##_fields[] = {ITEMS_FIELD(of, doc)}; \
	SCHEMA(variable, name, doc, variable##_fields)
#define REASON_FIELD(doc) {"reason", T, REQ, 3, 500, NULL, doc "; kept in the audit with who"}

#define WORK_FIELD(name, TYPE, FLAG, min, max, choices, doc) {name, HD_FIELD_IS_##TYPE, HD_WORK_FIELD_##FLAG, min, max, choices, doc},
static const struct hd_schema_field work_fields[] = {HD_WORK_FIELDS(WORK_FIELD)};
SCHEMA(hd_schema_dga_work, "DgaWork", "A work that owes measurements to the regulator.", work_fields);

static const struct hd_schema_field works_fields[] = {
	PAGE_FIELDS("DgaWork", "the page's rows"),
	TOTAL_FIELD(0),
};
SCHEMA(hd_schema_dga_works, "DgaWorks", "A page of works.", works_fields);

static const struct hd_schema_field centre_fields[] = {
	STORED_FIELDS,
	{"name", T, REQ, 1, 200, NULL, "for people; unique"},
	{"identifier", T, REQ, 1, 30, NULL, "RUT of the centre (rutEmpresa), 76086428-5"},
	{"registration", T, 0, 0, 200, NULL, "its registration with the regulator, as the resolution or record names it"},
	{"registered_at", W, NUL, 0, 0, NULL, "since when it is registered; without it no work of it may be live"},
	{"calls_per_s", N, 0, .001, 50, NULL, "POST and GET together, a second (default 1)"},
	{"spacing_s", I, 0, 0, 86400, NULL, "least seconds between two filings of one work, over the adapter's (0: the adapter's)"},
	{"check_share", N, 0, 0, 1, NULL, "share of what was filed that is checked by GET (default 1: all)"},
	{"backlog", T, 0, 0, 0, "per_work|per_centre", "what the spacing of a backlog counts for (default per_work)"},
	{"state", T, RO, 0, 0, NULL, "running, blocked (by signs of a block) or stopped (by a person)"},
	{"state_since", W, RO | NUL, 0, 0, NULL, "since when"},
	{"state_why", T, RO, 0, 0, NULL, "why"},
	{"state_by", T, RO, 0, 0, NULL, "who"},
};
SCHEMA(hd_schema_dga_centre, "DgaCentre", "A control centre: who files.", centre_fields);
LIST(hd_schema_dga_centres, "DgaCentres", "DgaCentre", "All control centres.");

static const struct hd_schema_field forecast_fields[] = {
	{"backlog", I, REQ, 0, 0, NULL, "slots that wait and are no longer fresh"},
	{"fresh_per_hour", N, REQ, 0, 0, NULL, "new slots an hour"},
	{"calls_per_hour", N, REQ, 0, 0, NULL, "what the rate allows"},
	{"drains", B, REQ, 0, 0, NULL, "whether the backlog ever ends"},
	{"drained_at", W, REQ | NUL, 0, 0, NULL, "when"},
	{"over_lag", I, REQ, 0, 0, NULL, "slots that will not make it within their lag"},
	{"text", T, REQ, 0, 0, NULL, "in words"},
};
SCHEMA(hd_schema_dga_forecast, "DgaForecast", "How a centre's backlog drains.", forecast_fields);

static const struct hd_schema_field informant_fields[] = {
	STORED_FIELDS,
	{"name", T, REQ, 1, 200, NULL, "for people; unique"},
	{"identifier", T, REQ, 1, 30, NULL, "RUT (rutUsuario), 12531909-2"},
	{"password", T, 0, 1, 200, NULL, "written only: sealed at rest, never shown"},
	{"has_password", B, RO, 0, 0, NULL, "whether one is there"},
};
SCHEMA(hd_schema_dga_informant, "DgaInformant", "Who answers for works towards the regulator.", informant_fields);
LIST(hd_schema_dga_informants, "DgaInformants", "DgaInformant", "All informants.");

static const struct hd_schema_field certificate_fields[] = {
	{"id", U, RO, 0, 0, NULL, "UUID"},
	{"name", T, REQ, 0, 0, NULL, "for people"},
	{"centre", U, NUL, 0, 0, NULL, "control centre that uses it"},
	{"subject", T, RO, 0, 0, NULL, "whose it is (RFC 2253)"},
	{"issuer", T, RO, 0, 0, NULL, "who signed it"},
	{"serial", T, RO, 0, 0, NULL, "in hexadecimal"},
	{"not_before", W, RO, 0, 0, NULL, "from"},
	{"not_after", W, RO, 0, 0, NULL, "until"},
	{"days_left", I, RO, 0, 0, NULL, "negative once it has ended"},
	{"state", T, RO, 0, 0, NULL, "good, amber (60 days), red (7 days), ended"},
	{"created_at", W, RO, 0, 0, NULL, "when it was added"},
};
SCHEMA(hd_schema_dga_certificate, "DgaCertificate", "An X.509 certificate.", certificate_fields);
LIST(hd_schema_dga_certificates, "DgaCertificates", "DgaCertificate", "All certificates.");

static const struct hd_schema_field reason_fields[] = {REASON_FIELD("why")};
SCHEMA(hd_schema_dga_reason, "DgaReason", "Why a person does something.", reason_fields);

static const struct hd_schema_field switch_fields[] = {
	{"on", B, REQ, 0, 0, NULL, "filing may send"},
	REASON_FIELD("why"),
};
SCHEMA(hd_schema_dga_switch, "DgaSwitch", "The global switch.", switch_fields);

static const struct hd_schema_field switch_state_fields[] = {
	{"on", B, REQ, 0, 0, NULL, "filing may send"},
	{"on_hold", B, REQ, 0, 0, NULL, "it waits after a restore"},
};
SCHEMA(hd_schema_dga_switch_state, "DgaSwitchState", "The global switch as it is.", switch_state_fields);

static const struct hd_schema_field by_hand_fields[] = {
	{"receipt", T, REQ, 1, HD_RECEIPT_BYTES - 1, NULL, "the regulator's receipt"},
	REASON_FIELD("how it was filed"),
};
SCHEMA(hd_schema_dga_by_hand, "DgaByHand", "Filed by sheet or form.", by_hand_fields);

#define SLOT_FIELDS \
	{"work", T, REQ, 0, 0, NULL, "code of the work"}, \
	{"due", W, REQ, 0, 0, NULL, "time of the slot"}, \
	{"state", T, REQ, 0, 0, NULL, "due, queued, claimed, sending, filed, filed_no_receipt, filed_differs, unknown, refused, held, missing, shadow, by_hand"}, \
	{"state_text", T, REQ, 0, 0, NULL, "in Spanish"}, \
	{"marks", A, REQ, 0, 0, NULL, "late, over_lag, checked, flagged, foreign"}, \
	{"receipt", T, REQ, 0, 0, NULL, "\"\" without one"}, \
	{"values", O, REQ, 0, 0, NULL, "flow, total, level as frozen; null: empty"}, \
	{"measured_at", W, REQ | NUL, 0, 0, NULL, "of the reading that it files"}, \
	{"queued_at", W, REQ | NUL, 0, 0, NULL, "when its payload was frozen"}, \
	{"attempts", I, REQ, 0, 0, NULL, "requests"}, \
	{"last_attempt_at", W, REQ | NUL, 0, 0, NULL, "the last of them"}, \
	{"filed_at", W, REQ | NUL, 0, 0, NULL, "when it was known to be filed"}, \
	{"cause", T, REQ, 0, 0, NULL, "why it stands where it stands"}, \
	{"cause_text", T, REQ, 0, 0, NULL, "in Spanish"}
static const struct hd_schema_field slot_fields[] = {SLOT_FIELDS};
SCHEMA(hd_schema_dga_slot, "DgaSlot", "A work's due time and what happened to it.", slot_fields);
static const struct hd_schema_field slots_fields[] = {PAGE_FIELDS("DgaSlot", "in order of work and time")};
SCHEMA(hd_schema_dga_slots, "DgaSlots", "A page of slots.", slots_fields);

static const struct hd_schema_field slot_full_fields[] = {
	SLOT_FIELDS,
	{"deadline", W, REQ | NUL, 0, 0, NULL, "until when it should be filed, from its measurement"},
	{"limit", W, REQ | NUL, 0, 0, NULL, "end of the lag"},
	{"next_try", W, REQ | NUL, 0, 0, NULL, "when it goes next; null: not by itself"},
	{"why", T, REQ, 0, 0, NULL, "why it stands there, in Spanish"},
	{"why_en", T, REQ, 0, 0, NULL, "in English"},
	{"adapter", T, 0, 0, 0, NULL, "version of the manual that froze it"},
	{"payload", O, REQ | NUL, 0, 0, NULL, "what is sent, without credentials"},
	{"audit", A, REQ, 0, 0, "DgaAudit", "all that happened, in order"},
};
SCHEMA(hd_schema_dga_slot_full, "DgaSlotInFull", "A slot with its reasons and its audit.", slot_full_fields);

static const struct hd_schema_field audit_fields[] = {
	{"sequence", I, REQ, 0, 0, NULL, "in the work's chain"},
	{"at", W, REQ, 0, 0, NULL, "when"},
	{"from", T, REQ, 0, 0, NULL, "state before"},
	{"to", T, REQ, 0, 0, NULL, "state after"},
	{"actor", T, REQ, 0, 0, NULL, "hydrod, or who did it"},
	{"detail", O, REQ | NUL, 0, 0, NULL, "request (password ***), answer, check, reason"},
	{"payload", O, REQ | NUL, 0, 0, NULL, "what was frozen by this row"},
	{"previous", T, REQ, 0, 0, NULL, "hash of the row before (BLAKE2b-256)"},
	{"hash", T, REQ, 0, 0, NULL, "of this row"},
};
SCHEMA(hd_schema_dga_audit, "DgaAudit", "A row of the hash-chained audit.", audit_fields);

static const struct hd_schema_field verdict_fields[] = {
	{"good", B, REQ, 0, 0, NULL, "every row checks"},
	{"rows", I, REQ, 0, 0, NULL, "rows walked"},
	{"anchors", I, REQ, 0, 0, NULL, "daily anchors walked"},
	{"work_number", I, 0, 0, 0, NULL, "where it breaks"},
	{"sequence", I, 0, 0, 0, NULL, "where it breaks"},
	{"text", T, REQ, 0, 0, NULL, "in words"},
	{"works", I, REQ, 0, 0, NULL, "works walked by this answer"},
	{"works_left", I, REQ, 0, 0, NULL, "works behind them"},
	{"next", I, REQ | NUL, 0, 0, NULL, "`after` of the next request; null: nothing is left"},
};
SCHEMA(hd_schema_dga_verdict, "DgaVerdict", "Whether the audit is whole.", verdict_fields);

static const struct hd_schema_field proof_fields[] = {
	{"receipt", T, REQ, 0, 0, NULL, "the receipt"},
	ITEMS_FIELD(NULL, "{slot, adapter, payload, audit, chain} of each slot that has it"),
};
SCHEMA(hd_schema_dga_proof, "DgaProof", "Proof of a receipt.", proof_fields);

static const struct hd_schema_field status_fields[] = {
	{"on", B, REQ, 0, 0, NULL, "the global switch"},
	{"on_hold", B, REQ, 0, 0, NULL, "it waits after a restore"},
	{"clock_good", B, REQ, 0, 0, NULL, "the machine's clock is synchronised; nothing is sent otherwise"},
	{"now", W, REQ, 0, 0, NULL, "the daemon's clock"},
	{"states", O, REQ, 0, 0, NULL, "stored slots by state; due: waiting for a measurement"},
	{"works", O, REQ, 0, 0, NULL, "works by mode, and held ones"},
	{"answers", O, REQ, 0, 0, NULL, "answers since start by class"},
	{"centres_blocked", I, REQ, 0, 0, NULL, "control centres that wait for a person"},
	{"posts", I, REQ, 0, 0, NULL, "filings sent since start"},
	{"checks", I, REQ, 0, 0, NULL, "checks by GET since start"},
	{"in_flight", I, REQ, 0, 0, NULL, "calls under way"},
	{"oldest_due", W, REQ | NUL, 0, 0, NULL, "oldest slot that is not final"},
	{"alarms_amber", I, REQ, 0, 0, NULL, "open ones"},
	{"alarms_red", I, REQ, 0, 0, NULL, "open ones"},
	{"adapters", A, REQ, 0, 0, NULL, "{name, version, family, valid_from} each"},
};
SCHEMA(hd_schema_dga_status, "DgaStatus", "How filing is.", status_fields);

static const struct hd_schema_field days_fields[] = {ITEMS_FIELD(NULL, "{day, due, filed, explained, open, adds_up} each")};
SCHEMA(hd_schema_dga_days, "DgaDays", "Daily proofs of a work.", days_fields);

static const struct hd_schema_field compliance_fields[] = {
	WINDOW_FIELDS,
	{"all", O, REQ, 0, 0, NULL, "all rows together"},
	ITEMS_FIELD(NULL, "{key, due, settled, filed, on_time, late, over_lag, missing, …, on_time_share, next_due, next_deadline, next_limit, causes} each"),
};
SCHEMA(hd_schema_dga_compliance, "DgaCompliance", "How works stand with what they owe.", compliance_fields);

static const struct hd_schema_field alarms_fields[] = {
	ITEMS_FIELD(NULL, "{number, level, kind, work, centre, text, text_en, count, since, last, cleared_at, seen_at, seen_by} each"),
};
SCHEMA(hd_schema_dga_alarms, "DgaAlarms", "Alarms of filing.", alarms_fields);

static const struct hd_schema_field failures_fields[] = {
	WINDOW_FIELDS,
	ITEMS_FIELD(NULL, "{work, name, client, first, last, slots, state, what, cause, cause_text, filed_late} each"),
	{"total", I, REQ, 0, 0, NULL, "failures"},
	{"slots", I, REQ, 0, 0, NULL, "slots in them"},
};
SCHEMA(hd_schema_dga_failures, "DgaFailures", "What was not filed within the lag.", failures_fields);

static const struct hd_schema_field cutover_fields[] = {
	{"work", T, REQ, 0, 0, NULL, "code"},
	{"zone", T, REQ, 0, 0, NULL, "clock of the other system"},
	{"zone_offset_s", I, REQ, 0, 0, NULL, "of it at the switch"},
	{"at", W, REQ, 0, 0, NULL, "our first slot"},
	{"safe", B, REQ, 0, 0, NULL, "nothing collides"},
	{"safe_from", W, REQ | NUL, 0, 0, NULL, "first slot from which nothing collides"},
	{"collisions", A, REQ, 0, 0, NULL, "{due, filed_for} each: our slot, and the time whose measurement has its label already"},
	{"advice", T, REQ, 0, 0, NULL, "what to do, in Spanish"},
	{"advice_en", T, REQ, 0, 0, NULL, "in English"},
};
SCHEMA(hd_schema_dga_cutover, "DgaCutover", "A switch from another system's clock.", cutover_fields);

static const struct hd_schema_field comparison_fields[] = {
	{"work", T, REQ, 0, 0, NULL, "code"},
	{"outcomes", O, REQ, 0, 0, NULL, "slots by outcome: same, differs, only_theirs, only_ours, open, absent"},
	{"shift_h", I, REQ, 0, 0, NULL, "hours by which their labels are off ours"},
	{"shift_matches", I, REQ, 0, 0, NULL, "slots equal at that shift"},
	{"hint", T, 0, 0, 0, NULL, "what that means"},
	ITEMS_FIELD(NULL, "{due, outcome, state, ours, theirs, receipt, text} each"),
};
SCHEMA(hd_schema_dga_comparison, "DgaComparison", "Another system's filings beside ours.", comparison_fields);

static const struct hd_schema_field queued_fields[] = {{"queued", I, REQ, 0, 0, NULL, "receipts that will be asked for"}};
SCHEMA(hd_schema_dga_queued, "DgaQueued", "Receipts of another system that will be asked for.", queued_fields);

static const struct hd_schema_field import_fields[] = {
	IMPORT_FIELDS,
	{"dry", B, REQ, 0, 0, NULL, "it was checked alone"},
};
SCHEMA(hd_schema_dga_import, "DgaImportReport", "What became of the lines.", import_fields);
