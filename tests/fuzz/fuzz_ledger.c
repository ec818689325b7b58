/* SPDX-License-Identifier: MIT */
/* What the ledger of filing reads back, by the first byte: the mark file, packs of audit rows (compressed here, so that what lies
 * behind is reached), the heads of anchors, the details that verification looks into. */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "filing/ledger_inner.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARK_CRC_AT (48u + HD_MACHINE_BYTES)

static void mark(const uint8_t *data, size_t size)
{
	uint8_t file[HD_MARK_FILE_BYTES] = {0};
	struct hd_mark found;
	(void)hd_mark_parse(data, size, &found);
	memcpy(file, data, HD_MIN(size, sizeof file));
	for (size_t at = 0; at < sizeof file; at += HD_MARK_PLACE_BYTES)
		hd_put_u32(file + at + MARK_CRC_AT, hd_crc32c(0, file + at, MARK_CRC_AT));
	if (hd_mark_parse(file, HD_MIN(size + 8, sizeof file), &found) && strnlen(found.machine, sizeof found.machine) == sizeof found.machine)
		abort();
}

static int touch_row(void *arg, struct hd_audit_row *row, struct hydro_error *err)
{
	uint8_t hash[HD_HASH_BYTES];
	(void)err;
	hd_chain_hash(row, hash);
	*(uint64_t *)arg += hash[0];
	return HYDRO_OK;
}

static void pack(const uint8_t *data, size_t size)
{
	uint64_t sum = 0;
	struct hydro_error err = {.struct_size = sizeof err};
	(void)hd_pack_open(1, 1, 3, data, size, touch_row, &sum, &err);
	if (size < 4)
		return;
	size_t bound = ZSTD_compressBound(size - 3);
	uint8_t *packed = malloc(9 + bound);
	if (!packed)
		return;
	packed[0] = 1;
	hd_put_u32(packed + 1, hd_get_u16(data + 1));
	hd_put_u32(packed + 5, (uint32_t)(size - 3));
	size_t len = ZSTD_compress(packed + 9, bound, data + 3, size - 3, 1);
	if (!ZSTD_isError(len))
		(void)hd_pack_open(1, 1, 1 + data[0] % 8, packed, 9 + len, touch_row, &sum, &err);
	free(packed);
}

static int touch_head(void *arg, uint32_t work, uint64_t sequence, const uint8_t hash[HD_HASH_BYTES], struct hydro_error *err)
{
	uint64_t *last = arg;
	(void)err;
	if (sequence == 0 || (work <= *last && *last) || hash[0] + hash[31] > 510)
		abort();
	*last = work;
	return HYDRO_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_told told = {0};
	uint64_t last = 0;
	if (size < 1)
		return 0;
	char *text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 4) {
	case 0:
		mark(data + 1, size - 1);
		break;
	case 1:
		pack(data + 1, size - 1);
		break;
	case 2:
		(void)hd_anchor_heads(data + 1, size - 1, touch_head, &last, &err);
		break;
	default:
		hd_told_take(&told, text);
		break;
	}
	free(text);
	return 0;
}
