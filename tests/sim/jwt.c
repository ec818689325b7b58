/* SPDX-License-Identifier: MIT */
#include "jwt.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SIGNATURE_BYTES 32u
#define CLAIMS_BYTES 256u

static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void sim_account_user(uint32_t provider, uint32_t account, char ret[SIM_KEY_TEXT])
{
	(void)snprintf(ret, SIM_KEY_TEXT, "sim-%s-%u", sim_service_names[provider], account + 1);
}

void sim_account_password(const struct sim *sim, uint32_t provider, uint32_t account, char ret[SIM_TOKEN_TEXT])
{
	uint64_t h = sim_mix(sim_mix(sim->config.seed, 0x70617373), ((uint64_t)provider << 32) | account);
	(void)snprintf(ret, SIM_TOKEN_TEXT, "not-a-secret-%08" PRIx64, h & 0xffffffff);
}

static size_t encode(const void *data, size_t len, char *ret)
{
	const uint8_t *p = data;
	size_t n = 0;
	for (size_t i = 0; i < len; i += 3) {
		size_t have = HD_MIN(len - i, 3u);
		uint32_t v = (uint32_t)p[i] << 16 | (have > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (have > 2 ? p[i + 2] : 0);
		for (size_t d = 0; d <= have; d++)
			ret[n++] = digits[v >> (18 - 6 * d) & 63];
	}
	ret[n] = '\0';
	return n;
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static bool decode(const char *text, size_t len, char *ret, size_t size)
{
	size_t n = 0;
	uint32_t v = 0;
	unsigned bits = 0;
	for (size_t i = 0; i < len; i++) {
		int d = digit_value(text[i]);
		if (d < 0 || n + 1 >= size)
			return false;
		v = v << 6 | (uint32_t)d;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			ret[n++] = (char)(v >> bits & 0xff);
		}
	}
	ret[n] = '\0';
	return true;
}

static void sign(const struct sim *sim, const char *text, size_t len, char ret[SIGNATURE_BYTES * 2])
{
	uint64_t words[SIGNATURE_BYTES / 8];
	uint64_t h = hd_hash(text, len) ^ sim_mix(sim->config.seed, 0x6a7774);
	for (size_t i = 0; i < HD_ARRAY_LEN(words); i++)
		words[i] = h = sim_mix(h, i);
	(void)encode(words, sizeof words, ret);
}

void sim_jwt_make(struct sim *sim, uint32_t account, int64_t now_ms, char ret[SIM_JWT_TEXT])
{
	char claims[CLAIMS_BYTES], user[SIM_KEY_TEXT], signature[SIGNATURE_BYTES * 2];
	sim_account_user(SIM_TWIN, account, user);
	int n = snprintf(claims, sizeof claims, "{\"exp\":%" PRId64 ",\"iat\":%" PRId64 ",\"gen\":%u,\"account\":%u,\"sub\":\"%s\",\"iss\":\"hydro-sim\"}",
	                 (now_ms + sim->config.token_life_ms) / 1000, now_ms / 1000, __atomic_load_n(&sim->token_generation, __ATOMIC_RELAXED), account, user);
	size_t len = encode(header, sizeof header - 1, ret);
	ret[len++] = '.';
	len += encode(claims, (size_t)n, ret + len);
	sign(sim, ret, len, signature);
	(void)snprintf(ret + len, SIM_JWT_TEXT - len, ".%s", signature);
}

int sim_jwt_check(struct sim *sim, const char *token, size_t len, int64_t now_ms, uint32_t *ret_account)
{
	const char *first = memchr(token, '.', len), *last = memrchr(token, '.', len);
	char signature[SIGNATURE_BYTES * 2], claims[CLAIMS_BYTES];
	if (!first || first == last)
		return SIM_JWT_UNKNOWN;
	sign(sim, token, (size_t)(last - token), signature);
	size_t got = len - (size_t)(last + 1 - token);
	if (got != strlen(signature) || memcmp(last + 1, signature, got) != 0 || !decode(first + 1, (size_t)(last - first - 1), claims, sizeof claims))
		return SIM_JWT_UNKNOWN;
	int64_t exp_s, issued_s;
	unsigned generation, account;
	if (sscanf(claims, "{\"exp\":%" SCNd64 ",\"iat\":%" SCNd64 ",\"gen\":%u,\"account\":%u", &exp_s, &issued_s, &generation, &account) != 4)
		return SIM_JWT_UNKNOWN;
	if (now_ms >= exp_s * 1000)
		return SIM_JWT_EXPIRED;
	if (generation != __atomic_load_n(&sim->token_generation, __ATOMIC_RELAXED))
		return SIM_JWT_UNKNOWN;
	*ret_account = account;
	return SIM_JWT_OK;
}
