/* SPDX-License-Identifier: MIT */
#include "history/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hd_chunk_codec codec;
	static struct hd_chunk chunk;
	struct hydro_error err = {0};
	/* Plain packing: the fuzzer reaches the columns without inventing a zstd frame. */
	if (hd_chunk_decode(&codec, data, size, 1, &chunk, &err) == HYDRO_OK && chunk.count) {
		bool ordered = true;
		for (uint32_t i = 1; i < chunk.count; i++)
			ordered = ordered && chunk.samples[i - 1].ts_ms <= chunk.samples[i].ts_ms;
		if (ordered && hd_chunk_encode(&codec, chunk.samples, chunk.count, &bytes, &err) == HYDRO_OK) {
			static struct hd_chunk second;
			HD_ASSERT(hd_chunk_decode(&codec, bytes.data, bytes.len, 1, &second, &err) == HYDRO_OK);
			HD_ASSERT(second.count == chunk.count);
		}
	}
	hd_buf_done(&bytes);
	return 0;
}
