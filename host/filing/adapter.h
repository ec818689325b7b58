/* SPDX-License-Identifier: MIT */
/*
 * A regulator's manual in one version: an instance of a sink plugin with HYDRO_SINK_FILING. Adapters of one family take over
 * from one another by date. All functions [any] but those that say otherwise.
 */
#ifndef HD_FILING_ADAPTER_H
#define HD_FILING_ADAPTER_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

#define HD_ADAPTERS_MAX 16u

struct hd_adapter;
struct hd_adapters;
struct hd_instance;
struct hd_options; /* of host/plugin/options.h */
struct hd_sink;

int hd_adapters_new(struct hd_adapters **ret, struct hydro_error *err);
void hd_adapters_free(struct hd_adapters **adapters);
/* An instance, which must outlive the adapters. HYDRO_E_CONFIG when it is no filing sink or its info does not hold
 * (an unknown frequency, no kinds, a date that is none). [control, before use] */
int hd_adapters_add(struct hd_adapters *adapters, struct hd_instance *instance, struct hydro_error *err);
/* The same from a table of functions (tests). `name` and `sink` must outlive the adapters. */
int hd_adapters_add_sink(struct hd_adapters *adapters, const char *name, const struct hd_sink *sink, struct hydro_error *err);

/* The adapter of a slot: `name` of that family if not "", else the family's newest whose date is not after `due_ms`; of two with one
 * date the one whose name sorts first, so that a second instance beside it is used where it is named. NULL when there is none. */
const struct hd_adapter *hd_adapters_pick(const struct hd_adapters *adapters, const char *family, const char *name, int64_t due_ms);
const struct hd_adapter *hd_adapters_at(const struct hd_adapters *adapters, uint32_t i); /* NULL behind the last */

const char *hd_adapter_name(const struct hd_adapter *adapter);
const char *hd_adapter_version(const struct hd_adapter *adapter); /* of the plugin */
int64_t hd_adapter_valid_from_ms(const struct hd_adapter *adapter);
const hydro_filing_info *hd_adapter_info(const struct hd_adapter *adapter); /* a copy of this host's size */
/* NULL for an unknown name. */
const hydro_filing_kind *hd_adapter_kind(const struct hd_adapter *adapter, const char *name);
const hydro_filing_standard *hd_adapter_standard(const struct hd_adapter *adapter, const char *name);

/* A work's options as given in JSON (object, "" or NULL), checked; HYDRO_E_CONFIG names the key. `send->work` and `slot->work` are
 * hd_options_abi of it. Freed by hd_adapter_options_free. */
int hd_adapter_options(const struct hd_adapter *adapter, const char *json, struct hd_options **ret, struct hydro_error *err);
void hd_adapter_options_free(struct hd_options **options);

/* The plugin's functions of the same names, with a scratch that grows as asked. `send->work` and `slot->work` may be NULL. */
int hd_adapter_check_identifier(const struct hd_adapter *adapter, const char *text, struct hydro_error *err);
int hd_adapter_check_work(const struct hd_adapter *adapter, const hydro_filing_slot *work, struct hydro_error *err);
/* Fields (bits) that a slot of this work cannot do without; 0 for an unknown kind. */
uint32_t hd_adapter_needed(const struct hd_adapter *adapter, const hydro_filing_slot *work);
int hd_adapter_prepare(const struct hd_adapter *adapter, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err);
/* A request whose memory is in `memory` (cleared first; it becomes secret, so that it is wiped with hd_buf_done). `check`:
 * the GET of send->receipt. HYDRO_E_UNSUPPORTED where it cannot be asked; HYDRO_E_FATAL for a secret in what is logged. */
int hd_adapter_request(const struct hd_adapter *adapter, const hydro_filing_send *send, bool check, struct hd_buf *memory, hydro_http_request *ret,
		       struct hydro_error *err);
/*
 * For the audit, appended: {"POST":url,"header":value…,"centre":…,"informant":…}, secrets as "***". Short, for it is kept for each try: what
 * is the same each time (Accept, Content-Type) and what the slot says (code, payload) is left out.
 */
void hd_adapter_describe(const hydro_http_request *request, const hydro_filing_send *send, struct hd_buf *ret);
/* *ret has an outcome in any case: where the plugin fails, or says what is none, REFUSED or UNCLEAR with its words, and its code is returned.
 * Texts are UTF-8 without control characters, and send->secret is "***" in them. FILED and DUPLICATE always have a receipt. */
int hd_adapter_parse(const struct hd_adapter *adapter, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret,
		     struct hydro_error *err);
int hd_adapter_check_parse(const struct hd_adapter *adapter, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret,
			   struct hydro_error *err);
bool hd_adapter_can_check(const struct hd_adapter *adapter);

#endif
