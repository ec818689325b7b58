/* SPDX-License-Identifier: MIT */
/* Inside of the api folder: what the handlers of /api/v1/dga share. */
#ifndef HD_API_DGA_H
#define HD_API_DGA_H

#include "api/dga_schemas.h"
#include "api/internal.h"
#include "base/clock.h"
#include "base/map.h"
#include "filing/compliance.h"
#include "filing/filing.h"
#include "filing/work_form.h"

#define HD_DGA_DAYS_MAX 400

/* A work by the code, id or number that a request gives. HYDRO_E_NOTFOUND. */
struct hd_dga_work {
	uint32_t number;
	uint64_t version;
	struct hd_uuid id;
	int64_t starts_ms;
	char code[HD_WORK_CODE_BYTES_MAX + 1], kind[41], family[41];
	struct hd_calendar calendar; /* every 0 when its standard is not known */
};
int hd_dga_find_work(struct hd_api *api, const char *text, struct hd_dga_work *ret, struct hydro_error *err);
/* Calls fn with the work's row. */
int hd_dga_with_work(struct hd_api *api, const char *text, hd_work_fn fn, void *arg, struct hydro_error *err);
/* Offset of the regulator's clock; HYDRO_E_CONFIG without an adapter. */
int hd_dga_offset(struct hd_api *api, int32_t *ret, struct hydro_error *err);
/* The time that `day`, `month` or `from` and `to` of a request name; preset_days before now when none is given, 0: all (0, 0). */
int hd_dga_window(struct hd_api *api, const struct hd_http_request *req, int preset_days, int64_t *ret_from, int64_t *ret_to, struct hydro_error *err);
/* `reason` of a body that has nothing else; HYDRO_E_INVALID. The document is the caller's. */
int hd_dga_reason(const struct hd_http_request *req, struct hd_http_response *resp, cJSON **ret_body, const char **ret_reason, struct hydro_error *err);
/* Who asks, for the audit. */
const char *hd_dga_by(const struct hd_http_request *req);
/* The engine looks at its registry anew. */
void hd_dga_changed(struct hd_api *api);
/* A misfit of a work becomes a row of the problem; arg is the response. */
void hd_dga_problem(void *arg, const char *field, const char *why);
/* The point of an id or name, as hd_work_context.point; arg is the api. */
int hd_dga_point(void *arg, const char *text, struct hd_uuid *ret, struct hydro_error *err);

/* The same for many, as of an import: names of all points, gathered at the first that is asked for. arg is this; all zero but api is empty. */
struct hd_dga_points {
	struct hd_api *api;
	struct hd_map names; /* index of the point; UINT64_MAX: of several */
	bool gathered;
};
int hd_dga_points_find(void *arg, const char *text, struct hd_uuid *ret, struct hydro_error *err);

/* Codes of works by number, the last one remembered: lists come by work. All zero is empty. */
struct hd_dga_codes {
	struct hd_api *api;
	uint32_t number;
	char code[HD_WORK_CODE_BYTES_MAX + 1];
};
const char *hd_dga_code(struct hd_dga_codes *codes, uint32_t number);

void hd_dga_print_slot(struct hd_buf *ret, const struct hd_slot *slot, const char *code);
/* "audit":[…] and "payload":… of a slot. */
int hd_dga_print_trail(struct hd_api *api, struct hd_buf *ret, uint32_t work, int64_t due_ms, struct hydro_error *err);
void hd_dga_print_verdict(struct hd_buf *ret, const char *key, const struct hd_ledger_verdict *verdict);

HD_HANDLER(dga_status);
HD_HANDLER(dga_works_list);
HD_HANDLER(dga_works_create);
HD_HANDLER(dga_works_import);
HD_HANDLER(dga_work_get);
HD_HANDLER(dga_work_patch);
HD_HANDLER(dga_work_delete);
HD_HANDLER(dga_work_release);
HD_HANDLER(dga_work_days);
HD_HANDLER(dga_centres_list);
HD_HANDLER(dga_centres_create);
HD_HANDLER(dga_centre_get);
HD_HANDLER(dga_centre_patch);
HD_HANDLER(dga_centre_resume);
HD_HANDLER(dga_centre_stop);
HD_HANDLER(dga_centre_forecast);
HD_HANDLER(dga_informants_list);
HD_HANDLER(dga_informants_create);
HD_HANDLER(dga_informant_get);
HD_HANDLER(dga_informant_patch);
HD_HANDLER(dga_certificates_list);
HD_HANDLER(dga_certificates_add);
HD_HANDLER(dga_certificate_delete);
HD_HANDLER(dga_slots_list);
HD_HANDLER(dga_slot_get);
HD_HANDLER(dga_slot_by_hand);
HD_HANDLER(dga_receipts_list);
HD_HANDLER(dga_receipt_proof);
HD_HANDLER(dga_verify);
HD_HANDLER(dga_compliance);
HD_HANDLER(dga_alarms_list);
HD_HANDLER(dga_alarm_acknowledge);
HD_HANDLER(dga_switch_get);
HD_HANDLER(dga_switch_put);
HD_HANDLER(dga_hold_leave);
HD_HANDLER(dga_failure_report);
HD_HANDLER(dga_report_monthly);
HD_HANDLER(dga_sheet);
HD_HANDLER(dga_cutover_plan);
HD_HANDLER(dga_cutover_import);
HD_HANDLER(dga_cutover_compare);
HD_HANDLER(dga_cutover_ask);

#endif
