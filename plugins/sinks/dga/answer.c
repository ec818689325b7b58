/* SPDX-License-Identifier: MIT */
/* What an answer of the service means (DOMAIN: table of answers; §4, §5.1 of the manual). */
#include "dga.h"

#include "json.h"

#define BLOCK_PAGE_LOOKED_AT 16384u

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

const char *dga_find_text(const char *text, size_t len, const char *part)
{
	size_t part_len = strlen(part);
	for (size_t at = 0; at + part_len <= len; at++) {
		size_t i = 0;
		while (i < part_len && lower(text[at + i]) == lower(part[i]))
			i++;
		if (i == part_len)
			return text + at;
	}
	return NULL;
}

/* ---- reading ---- */

/* As much as fits, in whole characters. */
static void copy_cut(const char *text, size_t text_len, char *ret, size_t size)
{
	size_t len = text_len < size - 1 ? text_len : size - 1;
	while (len > 0 && len < text_len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	memcpy(ret, text, len);
	ret[len] = '\0';
}

/* Escapes are resolved where all of it fits. */
static void copy_text(const struct json_text *text, char *ret, size_t size)
{
	if (json_text_copy(text, ret, size) == SIZE_MAX)
		copy_cut(text->at, text->len, ret, size);
}

/* A text as it is; a number as it stands in the answer. False for anything else, and for what does not fit. */
static bool take_value(struct json *j, char *ret, size_t size)
{
	struct json_text text;
	ret[0] = '\0';
	switch (json_peek(j)) {
	case JSON_STRING:
		return json_string(j, &text) && json_text_copy(&text, ret, size) != SIZE_MAX;
	case JSON_NUMBER: {
		const char *begin = j->p;
		if (!json_skip(j) || (size_t)(j->p - begin) >= size)
			return false;
		memcpy(ret, begin, (size_t)(j->p - begin));
		ret[j->p - begin] = '\0';
		return true;
	}
	case JSON_NULL:
		return json_skip(j);
	default:
		(void)json_skip(j);
		return false;
	}
}

static void add_value(struct json *j, const struct json_text *name, struct dga_values *ret)
{
	if (ret->count == sizeof ret->items / sizeof ret->items[0]) {
		(void)json_skip(j);
		return;
	}
	struct dga_value *value = &ret->items[ret->count];
	if (json_text_copy(name, value->name, sizeof value->name) == SIZE_MAX) {
		(void)json_skip(j);
		return;
	}
	value->readable = take_value(j, value->text, sizeof value->text);
	ret->count++;
}

bool dga_read_values(const char *text, size_t len, struct dga_values *ret)
{
	struct json j;
	struct json_text name;
	*ret = (struct dga_values){0};
	json_begin(&j, text, len);
	if (!json_enter_object(&j))
		return false;
	while (json_member(&j, &name))
		add_value(&j, &name, ret);
	return json_end(&j);
}

const struct dga_value *dga_find(const struct dga_values *values, const char *name)
{
	for (uint32_t i = 0; i < values->count; i++)
		if (strlen(values->items[i].name) == strlen(name) && dga_find_text(values->items[i].name, strlen(name), name))
			return &values->items[i];
	return NULL;
}

static void take_receipt(struct json *j, struct dga_answer *ret)
{
	char text[HYDRO_RECEIPT_BYTES];
	enum json_kind kind = json_peek(j);
	ret->receipt_is_kept = take_value(j, text, sizeof text);
	ret->has_receipt = kind != JSON_NULL && (!ret->receipt_is_kept || text[0]);
	if (ret->receipt_is_kept)
		memcpy(ret->receipt, text, sizeof text);
}

static void take_data(struct json *j, struct dga_answer *ret)
{
	struct json_text name;
	if (json_peek(j) != JSON_OBJECT) {
		(void)json_skip(j);
		return;
	}
	(void)json_enter_object(j);
	while (json_member(j, &name)) {
		ret->has_data = true;
		if (json_text_equal(&name, "numeroComprobante", 17))
			take_receipt(j, ret);
		else
			add_value(j, &name, &ret->data);
	}
}

/* The manual's text says "Code" where its JSON says `status` (§5.1): taken where there is no `status`. */
static void take_member(struct json *j, const struct json_text *name, struct dga_answer *ret, bool *has_status)
{
	char text[8];
	struct json_text message;
	bool status = json_text_equal(name, "status", 6);
	if (status || (!*has_status && (json_text_equal(name, "Code", 4) || json_text_equal(name, "code", 4)))) {
		bool is_text = json_peek(j) == JSON_STRING;
		ret->ok = take_value(j, text, sizeof text) && is_text && strcmp(text, "00") == 0;
		*has_status |= status;
	} else if (json_text_equal(name, "message", 7) && json_peek(j) == JSON_STRING && json_string(j, &message)) {
		copy_text(&message, ret->message, sizeof ret->message);
	} else if (json_text_equal(name, "data", 4)) {
		take_data(j, ret);
	} else if (!j->error) {
		(void)json_skip(j);
	}
}

void dga_read_answer(const hydro_http_response *response, struct dga_answer *ret)
{
	struct json j;
	struct json_text name;
	bool has_status = false;
	*ret = (struct dga_answer){0};
	json_begin(&j, response->body, (size_t)response->body_len);
	if (!response->body_len || json_peek(&j) != JSON_OBJECT)
		return;
	(void)json_enter_object(&j);
	while (json_member(&j, &name))
		take_member(&j, &name, ret, &has_status);
	ret->is_json = json_end(&j);
	/* Half an answer says nothing. */
	if (!ret->is_json)
		*ret = (struct dga_answer){0};
}

void dga_words(const struct dga_answer *answer, const hydro_http_response *response, char *ret, size_t size)
{
	if (answer->message[0])
		copy_cut(answer->message, strlen(answer->message), ret, size);
	else
		(void)snprintf(ret, size, "HTTP %u %s", response->status, answer->is_json ? "without a message" : "without JSON");
}

/* ---- judging ---- */

bool dga_is_block(const hydro_http_response *response)
{
	static const char *const words[] = {"blocked", "bloquead", "forbidden", "access denied", "acceso denegado", "request rejected", "url was rejected",
					    "incapsula", "captcha", "web application firewall", "attention required"};
	if (response->status == 403)
		return true;
	size_t len = response->body_len < BLOCK_PAGE_LOOKED_AT ? (size_t)response->body_len : BLOCK_PAGE_LOOKED_AT, blank = 0;
	while (blank < len && strchr(" \t\r\n", response->body[blank]) && response->body[blank])
		blank++;
	bool html = blank < len && response->body[blank] == '<';
	for (size_t i = 0; html && i < sizeof words / sizeof words[0]; i++)
		if (dga_find_text(response->body, len, words[i]))
			return true;
	return false;
}

/* "Ya existe un registro en esa fecha, hora para la obra. Comprobante: Ab9", as comprobante:\s*([A-Za-z0-9]+) in any case. */
static void read_duplicate(const char *message, hydro_filing_answer *ret)
{
	static const char mark[] = "comprobante:";
	const char *p = message;
	while ((p = dga_find_text(p, strlen(p), mark)) != NULL) {
		p += sizeof mark - 1;
		p += strspn(p, " \t\r\n\v\f");
		size_t n = strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
		if (n > 0 && n < sizeof ret->receipt) {
			memcpy(ret->receipt, p, n);
			ret->receipt[n] = '\0';
			ret->outcome = HYDRO_FILING_DUPLICATE;
			return;
		}
	}
	/* It has one for this hour: sending again would break the rule; without a receipt only a person can look at it. */
	ret->outcome = HYDRO_FILING_NO_RECEIPT;
}

static void judge_success(const struct dga_answer *answer, hydro_filing_answer *ret)
{
	bool kept = answer->has_receipt && answer->receipt_is_kept;
	ret->outcome = kept ? HYDRO_FILING_FILED : HYDRO_FILING_NO_RECEIPT;
	memcpy(ret->receipt, answer->receipt, sizeof ret->receipt);
	if (answer->has_receipt && !kept)
		(void)snprintf(ret->text, sizeof ret->text, "numeroComprobante is no text of at most %u bytes", HYDRO_RECEIPT_BYTES - 1);
}

int32_t dga_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret, struct hydro_error *err)
{
	(void)instance;
	(void)send;
	(void)err;
	struct dga_answer answer;
	dga_read_answer(response, &answer);
	bool good = response->status >= 200 && response->status <= 299, failed = response->status >= 500;
	size_t len = strlen(answer.message);
	memset(ret->receipt, 0, sizeof ret->receipt);
	dga_words(&answer, response, ret->text, sizeof ret->text);
	if (good && answer.ok)
		judge_success(&answer, ret);
	else if (!failed && dga_find_text(answer.message, len, "ya existe un registro"))
		read_duplicate(answer.message, ret);
	else if (!failed && dga_find_text(answer.message, len, "no es el informante"))
		ret->outcome = HYDRO_FILING_HELD;
	else
		ret->outcome = dga_is_block(response) ? HYDRO_FILING_BLOCKED : HYDRO_FILING_REFUSED;
	return HYDRO_OK;
}
