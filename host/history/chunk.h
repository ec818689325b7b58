/* SPDX-License-Identifier: MIT */
/*
 * A chunk: all samples of one point in one period, in columns. Times as differences of differences; each metric's raw and
 * result column in the cheapest exact form (constant, decimal differences, the same as another column, a constant less
 * another column, the rate of a counter column, a dictionary, byte planes); layouts, qualities and flags by dictionary and runs; zstd over the whole where
 * it helps. Doubles read back bit for bit. A sample's source position is the journal's affair and is not kept.
 */
#ifndef HD_HISTORY_CHUNK_H
#define HD_HISTORY_CHUNK_H

#include "base/buf.h"
#include "base/error.h"
#include "model/sample.h"

#define HD_CHUNK_SAMPLES_MAX 8192u
#define HD_CHUNK_BYTES_MAX (8u << 20) /* of one chunk, decompressed */

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

/* Working memory, kept between calls; all zero at first; one thread at a time. */
struct hd_chunk_codec {
	struct ZSTD_CCtx_s *cctx;
	struct ZSTD_DCtx_s *dctx;
	struct hd_buf plain;
	struct hd_buf bytes;
	double *numbers;
	size_t numbers_cap;
};

void hd_chunk_codec_done(struct hd_chunk_codec *codec);

/*
 * Appends the chunk of `count` (1 … HD_CHUNK_SAMPLES_MAX) samples of one point, sorted by (ts, rev), to ret.
 * HYDRO_E_NOMEM; HYDRO_E_LIMIT above HD_CHUNK_BYTES_MAX.
 */
int hd_chunk_encode(struct hd_chunk_codec *codec, const struct hd_sample *samples, uint32_t count, struct hd_buf *ret, struct hydro_error *err);

/* Decoded samples; their arrays lie in one allocation. All zero is empty. */
struct hd_chunk {
	struct hd_sample *samples;
	uint32_t count;
	void *memory;
	size_t memory_bytes;
};

/* Reads a chunk of `point` into ret, reusing its memory. HYDRO_E_CORRUPT with the place for anything that does not check. */
int hd_chunk_decode(struct hd_chunk_codec *codec, const void *data, size_t len, uint32_t point, struct hd_chunk *ret, struct hydro_error *err);
void hd_chunk_done(struct hd_chunk *chunk);

#endif
