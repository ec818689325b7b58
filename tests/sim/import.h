/* SPDX-License-Identifier: MIT */
/* Points and accounts in the form in which a daemon imports them. All [any]. */
#ifndef SIM_IMPORT_H
#define SIM_IMPORT_H

#include "http.h"

/* One point as a JSON object: name, provider, account, options, params, period, pipeline. */
void sim_import_add_json(const struct sim *sim, uint32_t index, struct hd_buf *out);
/* All points as CSV, made while it is sent; `poll` and `pipeline` of the query stand in those columns. */
void sim_import_csv(struct sim_request *request, struct sim_answer *answer);
/* The accounts as a JSON array: credentials and the options of a plugin instance; URLs by the request's Host. */
void sim_import_accounts(struct sim_request *request, struct sim_answer *answer);
/* The accounts as CSV: name, provider, credentials. */
void sim_import_accounts_csv(struct sim_request *request, struct sim_answer *answer);
/* The works of the points as CSV: code, name, kind, standard, point, and those columns that the query gives a value for all. */
void sim_import_works_csv(struct sim_request *request, struct sim_answer *answer);

#endif
