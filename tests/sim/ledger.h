/* SPDX-License-Identifier: MIT */
/* The simulated regulator's own books: what was taken, what was refused, and when each arrived. All [any]. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "base/buf.h"
#include "sim.h"

#define SIM_RECEIPT_TEXT 33u

#define SIM_GROUNDWATER 0u
#define SIM_FLOWMETER 1u
#define SIM_CHANNEL 2u
#define SIM_DGA_KINDS 3u

/* One measurement as it came; all as text. `level` is nivelFreaticoDelPozo or alturaLimnimetrica. */
struct sim_filing {
	uint32_t kind;
	char work[24];
	char date[16], hour[16];
	char flow[24], total[24], level[24];
	char user[16], company[16];
	char origin[40]; /* timeStampOrigen */
};

enum sim_ledger_outcome { SIM_FILED, SIM_DUPLICATE, SIM_NOT_INFORMANT, SIM_REFUSED, SIM_LEDGER_FAILED };

/* Opens the books; with a file, what it holds is read and each taken filing is appended to it. HYDRO_E_IO, HYDRO_E_PARSE, HYDRO_E_NOMEM. */
int sim_ledger_open(const char *file, struct sim_ledger **ret, struct hydro_error *err);
void sim_ledger_free(struct sim_ledger *ledger);

#define SIM_FILE_STORED 1u  /* GET will find it */
#define SIM_FILE_FOREIGN 2u /* as if another system had filed it */
/*
 * Takes a well-formed filing unless the work has one for that date and hour, or another informant. The receipt is that
 * of this or, for a duplicate, of the earlier filing.
 */
enum sim_ledger_outcome sim_ledger_file(struct sim_ledger *ledger, const struct sim_filing *filing, int64_t now_ms, uint32_t flags, char ret_receipt[SIM_RECEIPT_TEXT]);
/* Notes an answer that took nothing. */
void sim_ledger_refuse(struct sim_ledger *ledger, const struct sim_filing *filing, int64_t now_ms, const char *why);
/* The filing of a receipt, if it is stored and the work's. */
bool sim_ledger_find(struct sim_ledger *ledger, const char *work, const char *receipt, struct sim_filing *ret);
/* The only user whose filings the work takes; without one, any. */
bool sim_ledger_set_informant(struct sim_ledger *ledger, const char *work, const char *user);

/* What the books have of a work's slot (ms, any second of it). */
struct sim_taken {
	int64_t arrival_ms;
	bool foreign;
	bool delivered; /* its sender was answered that it was taken */
};
bool sim_ledger_taken(struct sim_ledger *ledger, const char *work, int64_t slot_ms, struct sim_taken *ret);
/* The accepting answer (or that of a duplicate) went out whole. */
void sim_ledger_delivered(struct sim_ledger *ledger, const char *work, int64_t slot_ms);

/* Counts, and the events from `offset` on, at most `limit`, as a JSON object; `work` may be NULL for all. */
void sim_ledger_print(struct sim_ledger *ledger, const char *work, size_t offset, size_t limit, struct hd_buf *out);

#endif
