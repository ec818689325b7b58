/* SPDX-License-Identifier: MIT */
/* Time zones from tzdata (RFC 8536), read by ourselves: the process's TZ plays no part. */
#ifndef HD_BASE_TZ_H
#define HD_BASE_TZ_H

#include "base/error.h"

struct hd_tz;

/*
 * Loads "America/Santiago" from the system's zoneinfo. HYDRO_E_INVALID: a name that leaves the folder; HYDRO_E_NOTFOUND;
 * HYDRO_E_CORRUPT. [any, reads a file]
 */
int hd_tz_load(const char *name, struct hd_tz **ret, struct hydro_error *err);
/* The same from the bytes of a TZif file. */
int hd_tz_parse(const void *data, size_t len, struct hd_tz **ret, struct hydro_error *err);
void hd_tz_free(struct hd_tz **tz);
/* Local minus UTC in ms at a moment; NULL reads as UTC. [any] */
int64_t hd_tz_offset_ms(const struct hd_tz *tz, int64_t utc_ms);
/* The moment at which a local wall clock shows local_ms (as if it were UTC); the earlier of two, the later side of a gap. [any] */
int64_t hd_tz_from_local_ms(const struct hd_tz *tz, int64_t local_ms);

#endif
