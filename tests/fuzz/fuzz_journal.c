/* SPDX-License-Identifier: MIT */
/*
 * The journal's recovery over any bytes. Byte 0 says how the rest is taken: bit 0 = checksums and epochs of what looks like
 * a batch are put right first, so that mutations get behind them; bit 1 = a next segment begins at the LSN in byte 1;
 * bit 2 = the rest is one body for the record reader, of as many records as byte 1 says.
 * Whatever is recovered must check by itself: CRC, epoch, LSNs in order, all records decoded.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "journal/internal.h"

#include <stdlib.h>
#include <string.h>

#define EPOCH UINT64_C(0x0123456789abcdef)
#define FIRST 1u
#define BYTES_MAX (1u << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_body(const uint8_t *body, size_t len, uint32_t count)
{
	struct hd_record_reader *reader = hd_record_reader_new();
	struct hd_sample sample;
	uint32_t seen = 0;
	if (hd_record_reader_begin(reader, body, len, count) == HYDRO_OK) {
		while (hd_record_read(reader, &sample) == HYDRO_OK)
			seen++;
		HD_ASSERT(seen <= count);
		for (uint32_t i = 0; i < count; i += 7)
			if (hd_record_seek(reader, i) == HYDRO_OK)
				(void)hd_record_read(reader, &sample);
	}
	hd_record_reader_free(&reader);
}

static void put_right(uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at + BATCH_HEADER_BYTES <= len; at += BATCH_ALIGN) {
		uint8_t *batch = bytes + at;
		if (hd_get_u32(batch) != 0x31425948u)
			continue;
		uint64_t body = hd_get_u32(batch + 48);
		hd_put_u64(batch + 8, EPOCH);
		if (at + BATCH_HEADER_BYTES + body <= len)
			hd_put_u32(batch + 56, hd_crc32c(0, batch + BATCH_HEADER_BYTES, body));
		hd_put_u32(batch + 60, hd_crc32c(0, batch, 60));
	}
}

static void check_batch(const struct scan_result *result, const uint8_t *file, size_t len, uint32_t k, uint64_t *lsn)
{
	const struct batch_entry *entry = &result->live->batches[k];
	struct batch_header header;
	HD_ASSERT(entry->offset + BATCH_HEADER_BYTES <= len && format_batch_get(file + entry->offset, &header));
	HD_ASSERT(header.epoch == EPOCH && header.first_lsn == FIRST + entry->ordinal && header.first_lsn >= *lsn && header.count > 0);
	HD_ASSERT(entry->offset + batch_bytes(header.body_bytes) <= result->end);
	HD_ASSERT(hd_crc32c(0, file + entry->offset + BATCH_HEADER_BYTES, header.body_bytes) == header.body_crc);
	*lsn = header.first_lsn + header.count;
	read_body(file + entry->offset + BATCH_HEADER_BYTES, header.body_bytes, header.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2 || len > BYTES_MAX)
		return 0;
	uint8_t mode = data[0], number = data[1];
	size_t bytes = len - 2, file_len = SEGMENT_HEADER_BYTES + bytes;
	if (mode & 4) {
		uint8_t *exact = malloc(bytes ? bytes : 1);
		memcpy(exact, data + 2, bytes);
		read_body(exact, bytes, number);
		free(exact);
		return 0;
	}
	struct segment_header header = {.id = 1, .epoch = EPOCH, .first_lsn = FIRST}, read;
	uint8_t *file = malloc(file_len);
	format_segment_put(&header, NULL, file);
	memcpy(file + SEGMENT_HEADER_BYTES, data + 2, bytes);
	if (mode & 1)
		put_right(file + SEGMENT_HEADER_BYTES, bytes);
	HD_ASSERT(format_segment_get(file, file_len, NULL, "fuzz", &read, NULL) == HYDRO_OK);
	(void)format_segment_get(data, len, NULL, "fuzz", &read, NULL);
	struct scan_result result;
	struct hydro_error err;
	int rc = scan_segment(&header, file, file_len, mode & 2 ? FIRST + number : 0, NULL, "fuzz", &result, &err);
	if (rc == HYDRO_OK) {
		uint64_t lsn = FIRST;
		HD_ASSERT(result.end <= file_len);
		for (uint32_t k = 0; k < result.live->batch_count; k++)
			check_batch(&result, file, file_len, k, &lsn);
		HD_ASSERT(lsn <= result.last_lsn + 1 && (!(mode & 2) || result.last_lsn < FIRST + (uint64_t)number || number == 0));
		scan_result_done(&result);
	} else {
		HD_ASSERT(rc == HYDRO_E_KEY || rc == HYDRO_E_NOMEM);
	}
	free(file);
	return 0;
}
