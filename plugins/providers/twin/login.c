/* SPDX-License-Identifier: MIT */
/* The account's login, and the life of its token from the JWT's claims (RFC 7519; the signature is not ours to check). */
#include "twin.h"

#include "json.h"
#include "options.h"
#include "text.h"

#include <math.h>

#define CLAIMS_MAX 3072u
#define EXP_MAX_S 4e9 /* year 2096 */

int32_t twin_login_request(void *instance, const hydro_options *account, hydro_scratch *scratch, hydro_http_request *ret,
			   struct hydro_error *err)
{
	static const hydro_http_header headers[] = {
		{"Content-Type", "application/json", 0, 0},
		{"Accept", "application/json", 0, 0},
	};
	const struct twin *twin = instance;
	const char *username = hydro_option_text(account, TWIN_USERNAME), *password = hydro_option_text(account, TWIN_PASSWORD);
	struct text t;
	if (!*username || !*password)
		return hydro_fail(err, HYDRO_E_CONFIG, "the account has no username or no password");
	text_begin(&t, scratch);
	text_put(&t, twin->base);
	text_put(&t, "/login");
	const char *url = text_end(&t);
	text_begin(&t, scratch);
	text_put(&t, "{\"username\":\"");
	text_put_json(&t, username);
	text_put(&t, "\",\"password\":\"");
	text_put_json(&t, password);
	text_put(&t, "\"}");
	const char *body = text_end(&t);
	if (!url || !body)
		return hydro_fail(err, HYDRO_E_LIMIT, "the login request needs more scratch memory");
	ret->method = HYDRO_HTTP_POST;
	ret->url = ret->url_log = url;
	ret->headers = headers;
	ret->header_count = sizeof headers / sizeof headers[0];
	ret->header_stride = sizeof headers[0];
	ret->body = body;
	ret->body_len = strlen(body);
	ret->timeout_ms = 0;
	return HYDRO_OK;
}

static int base64url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* RFC 4648 §5 without padding. The length, or 0 if it is none or does not fit. */
static size_t base64url_decode(const char *text, size_t len, char *ret, size_t size)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int digit = base64url_digit(text[i]);
		if (digit < 0)
			return 0;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			if (n == size)
				return 0;
			have -= 8;
			ret[n++] = (char)(bits >> have & 0xff);
		}
	}
	return n;
}

/* The claim `exp` in s since 1970; 0 if the token is no JWT or has none. */
static double token_exp(const char *token)
{
	char claims[CLAIMS_MAX];
	const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
	if (!second)
		return 0;
	struct json j;
	struct json_text name;
	double exp = 0;
	bool fits = true;
	json_begin(&j, claims, base64url_decode(first + 1, (size_t)(second - first - 1), claims, sizeof claims));
	if (!json_enter_object(&j))
		return 0;
	while (json_member(&j, &name)) {
		if (json_text_equal(&name, "exp", 3) && json_peek(&j) == JSON_NUMBER)
			(void)json_number(&j, &exp, &fits);
		else
			(void)json_skip(&j);
	}
	return json_end(&j) && fits && exp > 0 && exp < EXP_MAX_S ? exp : 0;
}

/* Finds the member `token` of the answer, ended by NUL in `ret`; its length, 0 if there is none that can be used. */
static size_t read_token(struct json *j, char *ret, size_t size)
{
	struct json_text name, text = {.at = "", .len = 0, .escaped = false};
	if (!json_enter_object(j))
		return 0;
	while (json_member(j, &name)) {
		if (json_text_equal(&name, "token", 5) && json_peek(j) == JSON_STRING)
			(void)json_string(j, &text);
		else
			(void)json_skip(j);
	}
	if (!json_end(j))
		return 0;
	size_t len = json_text_copy(&text, ret, size);
	return len == SIZE_MAX || !text_is_header_value(ret) ? 0 : len;
}

int32_t twin_login_parse(void *instance, const hydro_options *account, const hydro_http_response *response, hydro_token *ret,
			 struct hydro_error *err)
{
	(void)instance;
	(void)account;
	char token[HYDRO_TOKEN_BYTES];
	unsigned status = response->status;
	if (status == 401 || status == 403)
		return hydro_fail(err, HYDRO_E_UNAUTHORIZED, "HTTP %u: username or password refused", status);
	if (status == 429 || status == 408 || status >= 500)
		return hydro_fail(err, HYDRO_E_IO, "HTTP %u: no login at present", status);
	if (status < 200 || status > 299)
		return hydro_fail(err, HYDRO_E_PROTOCOL, "HTTP %u: the service refused the login request", status);
	struct json j;
	json_begin(&j, response->body, (size_t)response->body_len);
	size_t len = read_token(&j, token, sizeof token);
	if (len == 0)
		return hydro_fail(err, HYDRO_E_PROTOCOL, "the login answer holds no token%s%s", j.error ? ": " : " that can be used", j.error ? j.error : "");
	double exp = token_exp(token);
	int64_t expires = (int64_t)floor(exp * 1000);
	/* A token that is over when it comes tells of clocks that differ: by its claim there would be a login for each poll. */
	if (expires <= response->received_ms)
		expires = response->received_ms + TWIN_TOKEN_LIFE_MS;
	memcpy(ret->token, token, len + 1);
	ret->token_len = (uint32_t)len;
	ret->expires_at_ms = expires;
	return HYDRO_OK;
}
