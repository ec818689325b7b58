/* SPDX-License-Identifier: MIT */
/* What the DGA has under a receipt, against the payload that was sent: numbers as numbers, dates as dates. */
#include "dga.h"

#include "number.h"

static bool same_number(const char *sent, const char *there)
{
	double a, b;
	return number_parse(sent, strlen(sent), &a) && number_parse(there, strlen(there), &b) && a <= b && a >= b;
}

static bool is_form(const char *text, const char *form)
{
	for (; *form; text++, form++)
		if (*form == 'd' ? *text < '0' || *text > '9' : *text != *form)
			return false;
	return true;
}

/* The manual's answer has DD-MM-YYYY for what was sent as YYYY-MM-DD; either is read, and a time behind it is passed over. */
static bool same_date(const char *sent, const char *there)
{
	char turned[11];
	size_t len = strlen(there);
	if (len > 10 && there[10] != 'T' && there[10] != ' ')
		return false;
	if (is_form(there, "dd-dd-dddd")) {
		(void)snprintf(turned, sizeof turned, "%.4s-%.2s-%.2s", there + 6, there + 3, there);
		return strcmp(sent, turned) == 0;
	}
	return is_form(there, "dddd-dd-dd") && strncmp(sent, there, 10) == 0;
}

/* "14:00:00", or without seconds where they are 0. */
static bool same_hour(const char *sent, const char *there)
{
	if (strcmp(sent, there) == 0)
		return true;
	return is_form(there, "dd:dd") && there[5] == '\0' && strncmp(sent, there, 5) == 0 && strcmp(sent + 5, ":00") == 0;
}

static bool same(const struct dga_field *field, const char *sent, const struct dga_value *there)
{
	if (!there || (there->readable && !there->text[0]))
		return !sent[0];
	if (!there->readable || !sent[0])
		return false;
	switch (field->form) {
	case DGA_FORM_NUMBER:
		return same_number(sent, there->text);
	case DGA_FORM_DATE:
		return same_date(sent, there->text);
	default:
		return same_hour(sent, there->text);
	}
}

static void add_difference(const struct dga_field *field, const char *sent, const struct dga_value *there, hydro_filing_check *ret)
{
	size_t len = strlen(ret->text);
	const char *text = !there ? "(falta)" : !there->readable ? "(?)" : there->text[0] ? there->text : "\"\"";
	ret->outcome = HYDRO_CHECK_DIFFERS;
	(void)snprintf(ret->text + len, sizeof ret->text - len, "%s%s %s -> %s", len ? "; " : "", field->name, sent[0] ? sent : "\"\"", text);
}

static void compare(const struct dga_kind *kind, const struct dga_values *sent, const struct dga_values *there, hydro_filing_check *ret)
{
	ret->outcome = HYDRO_CHECK_SAME;
	ret->text[0] = '\0';
	for (uint32_t i = 0; i < DGA_FIELDS_MAX && kind->fields[i].name; i++) {
		const struct dga_field *field = &kind->fields[i];
		const struct dga_value *own = dga_find(sent, field->name), *other = dga_find(there, field->name);
		if (!same(field, own ? own->text : "", other))
			add_difference(field, own ? own->text : "", other, ret);
	}
}

/* Its answer for a receipt that it does not know is open: 404, no data, or words like these. */
static bool is_absent(const struct dga_answer *answer, const hydro_http_response *response)
{
	static const char *const words[] = {"no existe", "no se encontr", "no encontrad", "no hay registro", "sin registro"};
	if (!answer->is_json || response->status >= 500)
		return false;
	if (response->status == 404)
		return true;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (dga_find_text(answer->message, strlen(answer->message), words[i]))
			return true;
	return false;
}

int32_t dga_check_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret,
			struct hydro_error *err)
{
	(void)instance;
	int kind = dga_kind_index(send->kind);
	struct dga_values sent;
	struct dga_answer answer;
	if (kind < 0 || !send->payload || !dga_read_values(send->payload, send->payload_len, &sent))
		return hydro_fail(err, HYDRO_E_INVALID, "there is no payload of a known kind to compare with");
	dga_read_answer(response, &answer);
	dga_words(&answer, response, ret->text, sizeof ret->text);
	if (response->status >= 200 && response->status <= 299 && answer.ok && answer.has_data)
		compare(&dga_manual.kinds[kind], &sent, &answer.data, ret);
	else if (is_absent(&answer, response) || (response->status == 200 && answer.ok))
		ret->outcome = HYDRO_CHECK_ABSENT;
	else
		ret->outcome = dga_is_block(response) ? HYDRO_CHECK_BLOCKED : HYDRO_CHECK_UNCLEAR;
	return HYDRO_OK;
}
