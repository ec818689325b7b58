/* SPDX-License-Identifier: MIT */
#include "fuzz_provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static hydro_testkit *kit;
	if (!kit)
		kit = fuzz_kit("{\"url\":\"http://h/\",\"history_url\":\"http://h/?a={from}&n={limit}\",\"items\":\"data.rows\",\"ts\":\"at\",\"page_limit\":8}", NULL,
			       "{\"keys\":{\"flow\":\"m[\\\"flow.avg\\\"]\",\"total\":\"m.total\",\"level\":\"$.level[1]\"}}");
	fuzz_parse(kit, data, size);
	return 0;
}
