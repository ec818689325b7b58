/* SPDX-License-Identifier: MIT */
/* Tells a torn tail from damage. What a batch claims (synced_lsn) and what the next segment's existence claims decide. */
#include "journal/internal.h"

#include "base/array.h"
#include "base/bytes.h"
#include "base/crc32c.h"

#include <stdlib.h>

#define DAMAGE_BYTES_MAX (1u << 20) /* set aside at most, where no later batch gives the end */

struct scan {
	const struct segment_header *header;
	uint8_t *bytes;
	size_t len;
	uint64_t next_first;
	const struct hd_key *key;
	struct hd_record_reader *reader;
	struct scan_result *result;
	struct live_key *keys;
	uint32_t key_capacity;
};

struct live_key {
	int64_t ts_ms;
	uint32_t point;
};

void scan_result_done(struct scan_result *result)
{
	live_free(&result->live);
	free(result->damages);
	result->damages = NULL;
}

/* A batch of this segment with a good header and CRC, within its LSNs. */
static bool batch_at(const struct scan *scan, size_t offset, struct batch_header *ret)
{
	if (scan->len - offset < BATCH_HEADER_BYTES || !format_batch_get(scan->bytes + offset, ret) || ret->epoch != scan->header->epoch ||
	    batch_bytes(ret->body_bytes) > scan->len - offset || ret->count == 0 || ret->first_lsn < scan->header->first_lsn)
		return false;
	uint64_t ordinal = ret->first_lsn - scan->header->first_lsn;
	if (ordinal > UINT32_MAX - ret->count || (scan->next_first && ret->first_lsn + ret->count > scan->next_first))
		return false;
	return hd_crc32c(0, scan->bytes + offset + BATCH_HEADER_BYTES, ret->body_bytes) == ret->body_crc;
}

/* What the index needs of a batch's records, so that nothing is added before all of them decoded. */
static int decode(struct scan *scan, uint32_t count)
{
	if (!HD_RESERVE(scan->keys, scan->key_capacity, 0, count))
		return HYDRO_E_NOMEM;
	struct hd_sample sample;
	for (uint32_t i = 0; i < count; i++) {
		int rc = hd_record_read(scan->reader, &sample);
		if (rc != HYDRO_OK)
			return HYDRO_E_CORRUPT;
		scan->keys[i] = (struct live_key){.point = sample.point, .ts_ms = sample.ts_ms};
	}
	return hd_record_read(scan->reader, &sample) == HYDRO_E_NOTFOUND ? HYDRO_OK : HYDRO_E_CORRUPT;
}

/* Adds a batch's records; HYDRO_E_CORRUPT when they do not decode, then nothing is added. */
static int take_batch(struct scan *scan, size_t offset, const struct batch_header *header)
{
	struct live_index *live = scan->result->live;
	uint8_t *body = scan->bytes + offset + BATCH_HEADER_BYTES;
	size_t body_len;
	int rc = format_body_open(header, scan->key, body, &body_len);
	if (rc == HYDRO_OK)
		rc = hd_record_reader_begin(scan->reader, body, body_len, header->count);
	if (rc == HYDRO_OK && header->count > body_len) /* a record takes some bytes: before memory is taken for so many */
		rc = HYDRO_E_CORRUPT;
	if (rc == HYDRO_OK)
		rc = decode(scan, header->count);
	if (rc == HYDRO_OK)
		rc = live_reserve(live, 1, header->count);
	if (rc != HYDRO_OK)
		return rc;
	uint32_t ordinal = (uint32_t)(header->first_lsn - scan->header->first_lsn);
	live_add_batch(live, offset, ordinal);
	for (uint32_t i = 0; i < header->count; i++) {
		if (i + LIVE_AHEAD < header->count)
			live_prefetch(live, scan->keys[i + LIVE_AHEAD].point);
		live_add(live, scan->keys[i].point, ordinal + i, scan->keys[i].ts_ms);
	}
	return HYDRO_OK;
}

/* The next good batch behind a bad place, if any, and the highest LSN that anything later says was synced. */
static bool look_ahead(const struct scan *scan, size_t offset, uint64_t lsn, size_t *ret_offset, uint64_t *ret_first, uint64_t *ret_claim)
{
	bool found = false;
	struct batch_header header;
	*ret_claim = scan->next_first ? scan->next_first - 1 : 0;
	for (size_t at = offset + BATCH_ALIGN; at + BATCH_HEADER_BYTES <= scan->len; at += BATCH_ALIGN) {
		if (!batch_at(scan, at, &header) || header.first_lsn < lsn)
			continue;
		if (!found) {
			*ret_offset = at;
			*ret_first = header.first_lsn;
		}
		found = true;
		*ret_claim = HD_MAX(*ret_claim, header.synced_lsn);
		at += batch_bytes(header.body_bytes) - BATCH_ALIGN;
	}
	return found;
}

static int damage_add(struct scan_result *result, struct scan_damage damage)
{
	struct scan_damage *more = realloc(result->damages, (result->damage_count + 1) * sizeof *more);
	if (!more)
		return HYDRO_E_NOMEM;
	result->damages = more;
	more[result->damage_count++] = damage;
	return HYDRO_OK;
}

/* A tail that was being written: a header of ours at the place. */
static bool looks_begun(const struct scan *scan, size_t offset)
{
	struct batch_header header;
	return scan->len - offset >= BATCH_HEADER_BYTES && format_batch_get(scan->bytes + offset, &header) && header.epoch == scan->header->epoch;
}

static int walk(struct scan *scan)
{
	struct scan_result *result = scan->result;
	size_t at = SEGMENT_HEADER_BYTES;
	uint64_t lsn = scan->header->first_lsn;
	bool jumped = false;
	for (;;) {
		struct batch_header header;
		result->end = at;
		result->last_lsn = lsn - 1;
		if (at + BATCH_HEADER_BYTES > scan->len || (scan->next_first && lsn >= scan->next_first))
			return HYDRO_OK;
		int rc = batch_at(scan, at, &header) && (header.first_lsn == lsn || jumped) ? take_batch(scan, at, &header) : HYDRO_E_CORRUPT;
		if (rc == HYDRO_OK) {
			at += batch_bytes(header.body_bytes);
			lsn = header.first_lsn + header.count;
			jumped = false;
			continue;
		}
		if (rc != HYDRO_E_CORRUPT)
			return rc;
		size_t next_at = 0;
		uint64_t next_first = 0, claim = 0;
		bool found = look_ahead(scan, at, lsn, &next_at, &next_first, &claim);
		if (claim < lsn) {
			result->torn = found || looks_begun(scan, at);
			return HYDRO_OK;
		}
		if (!found) { /* the next segment says that these were synced */
			result->last_lsn = scan->next_first - 1;
			return damage_add(result, (struct scan_damage){at, HD_MIN(scan->len, at + DAMAGE_BYTES_MAX), lsn, scan->next_first});
		}
		rc = damage_add(result, (struct scan_damage){at, next_at, lsn, next_first});
		if (rc != HYDRO_OK)
			return rc;
		at = next_at;
		lsn = next_first;
		jumped = true;
	}
}

int scan_segment(const struct segment_header *header, uint8_t *bytes, size_t len, uint64_t next_first, const struct hd_key *key,
		 const char *path, struct scan_result *ret, struct hydro_error *err)
{
	struct scan scan = {.header = header, .bytes = bytes, .len = len, .next_first = next_first, .key = key, .result = ret};
	*ret = (struct scan_result){0};
	scan.reader = hd_record_reader_new();
	int rc = scan.reader ? live_new(0, true, &ret->live) : HYDRO_E_NOMEM;
	if (rc == HYDRO_OK)
		rc = walk(&scan);
	hd_record_reader_free(&scan.reader);
	free(scan.keys);
	if (rc == HYDRO_OK)
		return HYDRO_OK;
	scan_result_done(ret);
	if (rc == HYDRO_E_KEY)
		return hd_error_set(err, rc, "a batch of %s checks but does not open with the key: nothing was changed", path);
	return hd_error_set(err, rc, "no memory to scan %s", path);
}
