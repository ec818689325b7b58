/* SPDX-License-Identifier: MIT */
/* Frames from an isolated plugin's process, whose memory may be damaged; the first byte chooses what is read. */
#include "hostside/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char memory[4096];
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_wire_reader reader;
	if (size == 0)
		return 0;
	hd_wire_reader_init(&reader, (const char *)data + 1, size - 1);
	if (data[0] % 4 == 0) {
		hydro_poll poll;
		hd_wire_get_poll(&reader, &poll);
		if (!reader.bad && (!poll.point || !poll.account || !poll.token))
			abort();
	} else if (data[0] % 4 == 1) {
		hydro_http_response response;
		hd_wire_get_response(&reader, &response);
	} else if (data[0] % 4 == 2) {
		hydro_scratch scratch = {.mem = memory, .size = sizeof memory};
		hydro_http_request request = {.struct_size = sizeof request};
		int32_t rc = hd_wire_get_request(&reader, &scratch, &request);
		if (rc == HYDRO_E_LIMIT && scratch.wanted <= sizeof memory)
			abort();
	} else if (hd_wire_get_error(&reader, &err) != HYDRO_OK && err.code == HYDRO_OK) {
		abort();
	}
	hd_wire_reader_done(&reader);
	return 0;
}
