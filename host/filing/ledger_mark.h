/* SPDX-License-Identifier: MIT */
/*
 * The mark: a small file outside the data folder that says how far a ledger had come. A ledger behind its mark was restored
 * from a backup; one without the mark that it should have, or with another's, was moved. Two places written in turn, so that a
 * torn write leaves the one before.
 */
#ifndef HD_FILING_LEDGER_MARK_H
#define HD_FILING_LEDGER_MARK_H

#include "base/error.h"
#include "base/uuid.h"

#include <stdbool.h>

#define HD_MACHINE_BYTES 65u
#define HD_MARK_PLACE_BYTES 4096u
#define HD_MARK_FILE_BYTES (2u * HD_MARK_PLACE_BYTES)

struct hd_mark {
	struct hd_uuid ledger;
	uint64_t counter;    /* commits with claims in them */
	int64_t at_ms;       /* wall clock of the last */
	int64_t anchored_day;
	char machine[HD_MACHINE_BYTES];
};

struct hd_mark_file {
	int fd;
	struct hd_mark last;
};

/* The newer good one of the two places; false when neither is. [any] */
bool hd_mark_parse(const void *data, size_t len, struct hd_mark *ret);
/* Opens, making the file (synced with its folder) if need be. *ret_there: it had a mark, now in file->last. HYDRO_E_IO. [control] */
int hd_mark_open(const char *path, struct hd_mark_file *ret, bool *ret_there, struct hydro_error *err);
/* Writes and syncs. [any] */
int hd_mark_write(struct hd_mark_file *file, const struct hd_mark *mark, struct hydro_error *err);
void hd_mark_close(struct hd_mark_file *file);

#endif
