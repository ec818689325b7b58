/* SPDX-License-Identifier: MIT */
#include "fuzz_provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static hydro_testkit *kit;
	struct hydro_error err = {.struct_size = sizeof err};
	const hydro_token *token = NULL;
	if (!kit)
		kit = fuzz_kit(NULL, "{\"username\":\"u\",\"password\":\"p\"}", "{\"device\":\"d\",\"keys\":{\"flow\":\"5001\"}}");
	if (hydro_testkit_login_parse(kit, 200, (const char *)data, size, &token, &err) == HYDRO_OK) {
		FUZZ_CHECK(token->token_len > 0 && token->token_len < HYDRO_TOKEN_BYTES && token->token_len == strlen(token->token));
		FUZZ_CHECK(strspn(token->token, "\r\n") == 0 && token->expires_at_ms > INT64_C(1767225600000));
	} else {
		FUZZ_CHECK(*err.text);
	}
	return 0;
}
