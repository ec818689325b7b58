/* SPDX-License-Identifier: MIT */
/*
 * Points and accounts from CSV. The first line names the columns:
 *   points    id name provider account pipeline period join start zone active options params option.<key>[.<key>] param.<key>
 *   accounts  id name provider options option.<key>[.<key>]
 * `account` is a name or a UUID; a line with the id of a row that is there replaces it, any other is a new one. An empty
 * field is "not given". `options` and `params` hold JSON and stand instead of the single columns.
 */
#ifndef HD_STORE_IMPORT_H
#define HD_STORE_IMPORT_H

#include "store/accounts.h"

#define HD_IMPORT_ERRORS_MAX 1000u /* kept with their lines; all are counted */
#define HD_POINT_PERIOD_S_DEFAULT 900u
#define HD_POINT_PERIOD_S_MAX 86400u
#define HD_POINT_JOIN_MS_DEFAULT 30000u
#define HD_POINT_JOIN_MS_MAX 3600000u

/* What must hold beyond the form of a row; the providers and pipelines are known above this folder. Functions [any]. */
struct hd_store_checks {
	void *arg;
	/* Type (HYDRO_OPT_*) of a provider's option, 0 for an unknown one. NULL: all are texts. */
	uint32_t (*option_type)(void *arg, const char *provider, uint32_t scope, const char *key);
	/* Checks options of a scope against the provider; adds to ret_shown the same with "***" for each secret. NULL: all pass,
	 * none is secret. HYDRO_E_CONFIG, HYDRO_E_NOTFOUND for an unknown provider. */
	int (*options)(void *arg, const char *provider, uint32_t scope, const char *json, struct hd_buf *ret_shown, bool *ret_secret, struct hydro_error *err);
	/* Whether the point could run: its pipeline is there and builds. NULL: yes. */
	int (*point)(void *arg, const struct hd_point_spec *spec, struct hydro_error *err);
};

struct hd_import_report {
	uint64_t lines;  /* records after the header */
	uint64_t created, updated, failed;
	bool applied;    /* false: nothing was stored */
	struct hd_buf errors; /* comma-separated {"line":7,"column":"period","detail":"…"} */
	uint64_t errors_kept;
};

/*
 * skip_bad false: one transaction, all or nothing; other writes wait meanwhile (a million lines: seconds). true: in pieces,
 * bad lines are left out. HYDRO_OK with failed > 0 tells of bad lines; HYDRO_E_INVALID for a header that does not fit; errors
 * of the store as hd_store_write. The report is to be given to hd_import_report_done in any case. [as hd_store_write]
 */
int hd_store_points_import(struct hd_store *store, const char *csv, size_t len, bool skip_bad, const struct hd_store_checks *checks,
			   struct hd_import_report *ret, struct hydro_error *err);
int hd_store_accounts_import(struct hd_store *store, const char *csv, size_t len, bool skip_bad, const struct hd_store_checks *checks,
			     struct hd_import_report *ret, struct hydro_error *err);
void hd_import_report_done(struct hd_import_report *report);

/* One form check that the API uses too: name (1–200 bytes), provider (given), period_s, join_ms. Text begins with the field. */
int hd_store_point_check(const struct hd_store_point *point, struct hydro_error *err);
int hd_store_account_check(const struct hd_store_account *account, struct hydro_error *err);

#endif
