/* SPDX-License-Identifier: MIT */
#include "fuzz_provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static hydro_testkit *kit;
	if (!kit)
		kit = fuzz_kit("{\"page_limit\":8}", "{\"username\":\"u\",\"password\":\"p\"}",
			       "{\"device\":\"d\",\"keys\":{\"flow\":\"5001\",\"level\":\"5002\",\"pulses\":\"5003\",\"total\":\"5003\"}}");
	fuzz_parse(kit, data, size);
	return 0;
}
