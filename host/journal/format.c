/* SPDX-License-Identifier: MIT */
#include "journal/internal.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <string.h>

#define SEGMENT_MAGIC UINT64_C(0x4745534a4f524459) /* "YDROJSEG" */
#define BATCH_MAGIC 0x31425948u                     /* "HYB1" */
#define DOMAIN_SEGMENT 1u
#define DOMAIN_BATCH 2u

/* Offsets in a segment's header; the rest of its block is zero. */
enum { SEG_MAGIC = 0, SEG_VERSION = 8, SEG_KEY = 12, SEG_ID = 16, SEG_EPOCH = 24, SEG_FIRST = 32, SEG_TAG = 40, SEG_CRC = 56, SEG_END = 60 };
/* Offsets in a batch's header. */
enum { B_MAGIC = 0, B_COUNT = 4, B_EPOCH = 8, B_SEAL = 16, B_NUMBER = 24, B_FIRST = 32, B_SYNCED = 40, B_BYTES = 48, B_KEY = 52,
       B_BODY_CRC = 56, B_CRC = 60 };
#define AD_BYTES 28u

static void nonce_make(uint64_t epoch, uint64_t number, uint64_t domain, uint8_t ret[HD_SEAL_NONCE_BYTES])
{
	hd_put_u64(ret, epoch);
	hd_put_u64(ret + 8, number);
	hd_put_u64(ret + 16, domain);
}

void format_segment_put(const struct segment_header *header, const struct hd_key *key, uint8_t *ret)
{
	memset(ret, 0, SEGMENT_HEADER_BYTES);
	hd_put_u64(ret + SEG_MAGIC, SEGMENT_MAGIC);
	hd_put_u32(ret + SEG_VERSION, JOURNAL_VERSION);
	hd_put_u32(ret + SEG_KEY, header->key_id);
	hd_put_u64(ret + SEG_ID, header->id);
	hd_put_u64(ret + SEG_EPOCH, header->epoch);
	hd_put_u64(ret + SEG_FIRST, header->first_lsn);
	if (header->key_id) {
		uint8_t nonce[HD_SEAL_NONCE_BYTES];
		HD_ASSERT(key && key->id == header->key_id);
		nonce_make(header->epoch, header->id, DOMAIN_SEGMENT, nonce);
		hd_seal(key, nonce, ret, SEG_TAG, NULL, 0, ret + SEG_TAG);
	}
	hd_put_u32(ret + SEG_CRC, hd_crc32c(0, ret, SEG_CRC));
}

int format_segment_get(const uint8_t *bytes, size_t len, const struct hd_key *key, const char *path, struct segment_header *ret,
		       struct hydro_error *err)
{
	if (len < SEG_END || hd_get_u64(bytes + SEG_MAGIC) != SEGMENT_MAGIC)
		return hd_error_set(err, HYDRO_E_CORRUPT, "%s does not begin as a journal segment", path);
	if (hd_get_u32(bytes + SEG_CRC) != hd_crc32c(0, bytes, SEG_CRC))
		return hd_error_set(err, HYDRO_E_CORRUPT, "the header of %s does not check", path);
	if (hd_get_u32(bytes + SEG_VERSION) > JOURNAL_VERSION || hd_get_u32(bytes + SEG_VERSION) == 0)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "%s has format %u, this program reads up to %u: a newer hydrod wrote it", path,
				    (unsigned)hd_get_u32(bytes + SEG_VERSION), JOURNAL_VERSION);
	struct segment_header header = {.id = hd_get_u64(bytes + SEG_ID), .epoch = hd_get_u64(bytes + SEG_EPOCH),
					.first_lsn = hd_get_u64(bytes + SEG_FIRST), .key_id = hd_get_u32(bytes + SEG_KEY)};
	if (header.key_id) {
		uint8_t nonce[HD_SEAL_NONCE_BYTES], none[1];
		nonce_make(header.epoch, header.id, DOMAIN_SEGMENT, nonce);
		if (!key)
			return hd_error_set(err, HYDRO_E_KEY, "%s is sealed with key %08x and there is no key", path, (unsigned)header.key_id);
		if (key->id != header.key_id || !hd_unseal(key, nonce, bytes, SEG_TAG, bytes + SEG_TAG, HD_SEAL_TAG_BYTES, none))
			return hd_error_set(err, HYDRO_E_KEY, "%s is sealed with key %08x, the key here is %08x: nothing was changed", path,
					    (unsigned)header.key_id, (unsigned)key->id);
	}
	*ret = header;
	return HYDRO_OK;
}

void format_batch_put(const struct batch_header *header, uint8_t *ret)
{
	hd_put_u32(ret + B_MAGIC, BATCH_MAGIC);
	hd_put_u32(ret + B_COUNT, header->count);
	hd_put_u64(ret + B_EPOCH, header->epoch);
	hd_put_u64(ret + B_SEAL, header->seal_epoch);
	hd_put_u64(ret + B_NUMBER, header->number);
	hd_put_u64(ret + B_FIRST, header->first_lsn);
	hd_put_u64(ret + B_SYNCED, header->synced_lsn);
	hd_put_u32(ret + B_BYTES, header->body_bytes);
	hd_put_u32(ret + B_KEY, header->key_id);
	hd_put_u32(ret + B_BODY_CRC, header->body_crc);
	hd_put_u32(ret + B_CRC, hd_crc32c(0, ret, B_CRC));
}

bool format_batch_get(const uint8_t *bytes, struct batch_header *ret)
{
	if (hd_get_u32(bytes + B_MAGIC) != BATCH_MAGIC || hd_get_u32(bytes + B_CRC) != hd_crc32c(0, bytes, B_CRC))
		return false;
	*ret = (struct batch_header){
		.epoch = hd_get_u64(bytes + B_EPOCH), .seal_epoch = hd_get_u64(bytes + B_SEAL), .number = hd_get_u64(bytes + B_NUMBER),
		.first_lsn = hd_get_u64(bytes + B_FIRST), .synced_lsn = hd_get_u64(bytes + B_SYNCED), .count = hd_get_u32(bytes + B_COUNT),
		.body_bytes = hd_get_u32(bytes + B_BYTES), .key_id = hd_get_u32(bytes + B_KEY), .body_crc = hd_get_u32(bytes + B_BODY_CRC)};
	return true;
}

/* What a seal is bound to: all that is known before the journal thread gives the place. */
static void ad_make(const struct batch_header *header, uint8_t ret[AD_BYTES])
{
	hd_put_u64(ret, header->seal_epoch);
	hd_put_u64(ret + 8, header->number);
	hd_put_u32(ret + 16, header->count);
	hd_put_u32(ret + 20, header->body_bytes);
	hd_put_u32(ret + 24, header->key_id);
}

int format_batch_encode(struct hd_record_writer *writer, const struct hd_batch *batch, const struct hd_key *key, uint64_t seal_epoch,
			uint64_t number, struct hd_buf *out, struct hydro_error *err)
{
	hd_buf_clear(out);
	int rc = hd_buf_reserve(out, BATCH_HEADER_BYTES) ? HYDRO_OK : HYDRO_E_NOMEM;
	if (rc == HYDRO_OK) {
		out->len = BATCH_HEADER_BYTES;
		hd_record_writer_begin(writer, out);
		for (uint32_t i = 0; i < batch->count && rc == HYDRO_OK; i++)
			rc = hd_record_write(writer, &batch->samples[i]);
		if (rc == HYDRO_OK)
			rc = hd_record_writer_end(writer);
	}
	if (rc == HYDRO_OK && !hd_buf_reserve(out, HD_SEAL_TAG_BYTES + BATCH_ALIGN))
		rc = HYDRO_E_NOMEM;
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, rc == HYDRO_E_NOMEM ? "no memory to encode a batch" : "a sample has more values or flags than it may");
	struct batch_header header = {.seal_epoch = seal_epoch, .number = number, .count = batch->count, .key_id = key ? key->id : 0};
	uint8_t *body = (uint8_t *)out->data + BATCH_HEADER_BYTES;
	size_t plain = out->len - BATCH_HEADER_BYTES;
	header.body_bytes = (uint32_t)(plain + (key ? HD_SEAL_TAG_BYTES : 0));
	if (key) {
		uint8_t nonce[HD_SEAL_NONCE_BYTES], ad[AD_BYTES];
		nonce_make(seal_epoch, number, DOMAIN_BATCH, nonce);
		ad_make(&header, ad);
		hd_seal(key, nonce, ad, sizeof ad, body, plain, body);
	}
	header.body_crc = hd_crc32c(0, body, header.body_bytes);
	size_t used = BATCH_HEADER_BYTES + header.body_bytes;
	out->len = batch_bytes(header.body_bytes);
	memset(out->data + used, 0, out->len - used);
	format_batch_put(&header, (uint8_t *)out->data);
	return HYDRO_OK;
}

int format_body_open(const struct batch_header *header, const struct hd_key *key, uint8_t *body, size_t *ret_len)
{
	if (hd_crc32c(0, body, header->body_bytes) != header->body_crc)
		return HYDRO_E_CORRUPT;
	*ret_len = header->body_bytes;
	if (!header->key_id)
		return HYDRO_OK;
	uint8_t nonce[HD_SEAL_NONCE_BYTES], ad[AD_BYTES];
	if (!key || key->id != header->key_id || header->body_bytes < HD_SEAL_TAG_BYTES)
		return HYDRO_E_KEY;
	nonce_make(header->seal_epoch, header->number, DOMAIN_BATCH, nonce);
	ad_make(header, ad);
	if (!hd_unseal(key, nonce, ad, sizeof ad, body, header->body_bytes, body))
		return HYDRO_E_KEY;
	*ret_len -= HD_SEAL_TAG_BYTES;
	return HYDRO_OK;
}
