/* SPDX-License-Identifier: MIT */
#include "fuzz_provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static hydro_testkit *kit;
	if (!kit)
		kit = fuzz_kit("{\"page_limit\":8}", NULL,
			       "{\"thing\":\"t\",\"keys\":{\"flow\":\"caudal\",\"level\":\"nivel\"}}");
	fuzz_parse(kit, data, size);
	return 0;
}
