/* SPDX-License-Identifier: MIT */
/* Frames from an isolated plugin's process, whose memory may be damaged; the first byte chooses what is read. */
#include "hostside/filing_info.h"
#include "hostside/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char memory[4096];
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_wire_reader reader;
	if (size == 0)
		return 0;
	hd_wire_reader_init(&reader, (const char *)data + 1, size - 1);
	if (data[0] % 8 == 0) {
		hydro_poll poll;
		hd_wire_get_poll(&reader, &poll);
		if (!reader.bad && (!poll.point || !poll.account || !poll.token))
			abort();
	} else if (data[0] % 8 == 1) {
		hydro_http_response response;
		hd_wire_get_response(&reader, &response);
	} else if (data[0] % 8 == 2) {
		hydro_scratch scratch = {.mem = memory, .size = sizeof memory};
		hydro_http_request request = {.struct_size = sizeof request};
		int32_t rc = hd_wire_get_request(&reader, &scratch, &request);
		if (rc == HYDRO_E_LIMIT && scratch.wanted <= sizeof memory)
			abort();
	} else if (data[0] % 8 == 3) {
		const hydro_filing_info *info = hd_wire_get_filing_info(&reader);
		struct hd_filing_info about;
		/* What is read may be nonsense; who takes it for an adapter checks it. */
		if (info && hd_filing_info_read(info, &about, &err) == HYDRO_OK)
			hd_filing_info_done(&about);
	} else if (data[0] % 8 == 4) {
		hydro_filing_slot slot;
		hd_wire_get_filing_slot(&reader, &slot);
		if (!reader.bad && !slot.work)
			abort();
	} else if (data[0] % 8 == 5) {
		hydro_filing_send send;
		hd_wire_get_filing_send(&reader, &send);
		if (!reader.bad && (!send.payload || strlen(send.payload) > send.payload_len))
			abort();
	} else if (data[0] % 8 == 6) {
		hydro_filing_payload payload;
		hydro_filing_answer answer;
		hydro_filing_check check;
		hd_wire_get_filing_payload(&reader, &payload);
		hd_wire_get_filing_answer(&reader, &answer);
		hd_wire_get_filing_check(&reader, &check);
		if (!reader.bad && (strlen(payload.text) >= sizeof payload.text || strlen(answer.receipt) >= sizeof answer.receipt || strlen(check.text) >= sizeof check.text))
			abort();
	} else if (hd_wire_get_error(&reader, &err) != HYDRO_OK && err.code == HYDRO_OK) {
		abort();
	}
	hd_wire_reader_done(&reader);
	return 0;
}
