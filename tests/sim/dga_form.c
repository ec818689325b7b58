/* SPDX-License-Identifier: MIT */
#include "dga_form.h"

#include "base/timefmt.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOTAL_DIGITS_MAX 15u
#define OPTIONAL true

enum format { FORM_DECIMALS, FORM_WHOLE, FORM_TOTAL, FORM_DATE, FORM_HOUR };

struct field {
	const char *name;
	size_t offset, size;
	enum format format;
	bool may_be_empty;
};

#define FIELD(name, member, format, empty) {name, offsetof(struct sim_filing, member), sizeof((struct sim_filing *)0)->member, format, empty}

static const struct {
	const char *object;
	struct field fields[6];
} forms[SIM_DGA_FORMS] = {
	{"medicionSubterranea",
	 {FIELD("caudal", flow, FORM_DECIMALS, false), FIELD("fechaMedicion", date, FORM_DATE, false), FIELD("horaMedicion", hour, FORM_HOUR, false),
	  FIELD("nivelFreaticoDelPozo", level, FORM_DECIMALS, OPTIONAL), FIELD("totalizador", total, FORM_TOTAL, false)}},
	{"medicionSuperficialFlujometro",
	 {FIELD("caudal", flow, FORM_DECIMALS, false), FIELD("fechaMedicion", date, FORM_DATE, false), FIELD("horaMedicion", hour, FORM_HOUR, false),
	  FIELD("totalizador", total, FORM_TOTAL, false)}},
	{"medicionSuperficial",
	 {FIELD("alturaLimnimetrica", level, FORM_WHOLE, OPTIONAL), FIELD("caudal", flow, FORM_DECIMALS, false),
	  FIELD("fechaMedicion", date, FORM_DATE, false), FIELD("horaMedicion", hour, FORM_HOUR, false)}},
	{"medicionSubterranea",
	 {FIELD("caudal", flow, FORM_DECIMALS, false), FIELD("fechaMedicion", date, FORM_DATE, false), FIELD("horaMedicion", hour, FORM_HOUR, false),
	  FIELD("nivelFreatico", level, FORM_DECIMALS, OPTIONAL), FIELD("totalizador", total, FORM_TOTAL, false)}},
};

uint32_t sim_dga_kind(uint32_t form)
{
	return form == SIM_DGA_FORM_NEXT ? SIM_GROUNDWATER : form;
}

static size_t digits(const char *p)
{
	return strspn(p, "0123456789");
}

static bool is_number(const char *text, size_t decimals)
{
	const char *p = text + (*text == '-');
	size_t whole = digits(p);
	if (whole == 0)
		return false;
	p += whole;
	if (!decimals)
		return *p == '\0';
	return *p == '.' && digits(p + 1) == decimals && p[1 + decimals] == '\0';
}

static bool is_time(const char *date, const char *hour)
{
	char text[40];
	int64_t ms;
	int n = snprintf(text, sizeof text, "%sT%s", date, hour);
	return n == 19 && hd_time_parse(text, (size_t)n, true, &ms) && !strchr(text, '.');
}

static bool fits(const char *text, const struct field *f)
{
	if (!*text)
		return f->may_be_empty;
	switch (f->format) {
	case FORM_DECIMALS:
		return is_number(text, 2);
	case FORM_WHOLE:
		return is_number(text, 0);
	case FORM_TOTAL:
		return digits(text) == strlen(text) && strlen(text) <= TOTAL_DIGITS_MAX;
	case FORM_DATE:
		return is_time(text, "00:00:00");
	default:
		return is_time("2026-01-01", text);
	}
}

bool sim_dga_is_rut(const char *text)
{
	size_t n = digits(text);
	unsigned sum = 0, weight = 2;
	if (n < 7 || n > 8 || text[n] != '-' || !text[n + 1] || text[n + 2])
		return false;
	for (size_t i = n; i-- > 0; weight = weight == 7 ? 2 : weight + 1)
		sum += (unsigned)(text[i] - '0') * weight;
	unsigned check = 11 - sum % 11;
	char right = check == 11 ? '0' : check == 10 ? 'K' : (char)('0' + check);
	return text[n + 1] == right;
}

/* A string member, cut to the room; false when it is not a string or does not fit. */
static bool take(const cJSON *object, const char *name, char *ret, size_t size)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
	if (!text)
		return false;
	return (size_t)snprintf(ret, size, "%s", text) < size;
}

static bool read_fields(const cJSON *object, uint32_t form, struct sim_filing *ret, char *why, size_t why_size)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(forms[form].fields) && forms[form].fields[i].name; i++) {
		const struct field *f = &forms[form].fields[i];
		char *text = (char *)ret + f->offset;
		if (take(object, f->name, text, f->size) && fits(text, f))
			continue;
		(void)snprintf(why, why_size, "El campo %s falta o tiene un formato no válido", f->name);
		return false;
	}
	return true;
}

bool sim_dga_read_body(const char *body, size_t len, uint32_t form, struct sim_filing *ret, char *why, size_t why_size)
{
	cJSON *root = len ? cJSON_ParseWithLength(body, len) : NULL;
	const cJSON *who = cJSON_GetObjectItemCaseSensitive(root, "autenticacion");
	const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, forms[form].object);
	char password[128] = "";
	bool ok = false;
	ret->kind = sim_dga_kind(form);
	if (!root)
		(void)snprintf(why, why_size, "El cuerpo no es JSON");
	else if (!take(who, "rutEmpresa", ret->company, sizeof ret->company) || !sim_dga_is_rut(ret->company))
		(void)snprintf(why, why_size, "rutEmpresa no válido");
	else if (!take(who, "rutUsuario", ret->user, sizeof ret->user) || !sim_dga_is_rut(ret->user))
		(void)snprintf(why, why_size, "rutUsuario no válido");
	else if (!take(who, "password", password, sizeof password) || !*password)
		(void)snprintf(why, why_size, "password no válida");
	else if (!cJSON_IsObject(object))
		(void)snprintf(why, why_size, "Falta el objeto %s", forms[form].object);
	else
		ok = read_fields(object, form, ret, why, why_size);
	cJSON_Delete(root);
	return ok;
}

/* ^O[BR]-[0-9]{4}-[1-9][0-9]*$ */
static bool is_work(const char *text)
{
	if (text[0] != 'O' || (text[1] != 'B' && text[1] != 'R') || text[2] != '-' || digits(text + 3) != 4 || text[7] != '-' || text[8] == '0')
		return false;
	size_t n = digits(text + 8);
	return n > 0 && text[8 + n] == '\0';
}

/* yyyy-MM-ddTHH:mm:ss and a sign with four digits; which zone is open. */
static bool is_origin(const char *text)
{
	int64_t ms;
	size_t n = strlen(text);
	return n == 24 && (text[19] == '-' || text[19] == '+') && digits(text + 20) == 4 && hd_time_parse(text, 19, true, &ms);
}

bool sim_dga_read(const struct sim_request *q, uint32_t form, struct sim_filing *ret, char *why, size_t why_size)
{
	const char *work = sim_request_header(q, "codigoObra"), *origin = sim_request_header(q, "timeStampOrigen");
	const char *type = sim_request_header(q, "Content-Type");
	*ret = (struct sim_filing){.kind = sim_dga_kind(form)};
	(void)snprintf(ret->work, sizeof ret->work, "%s", work ? work : "");
	(void)snprintf(ret->origin, sizeof ret->origin, "%s", origin ? origin : "");
	bool body_ok = sim_dga_read_body(q->body, q->body_len, form, ret, why, why_size);
	if (!work || strlen(work) >= sizeof ret->work || !is_work(work))
		(void)snprintf(why, why_size, "codigoObra no válido");
	else if (!origin || !is_origin(origin))
		(void)snprintf(why, why_size, "timeStampOrigen no válido");
	else if (!type || strncmp(type, "application/json", 16) != 0)
		(void)snprintf(why, why_size, "Content-Type debe ser application/json");
	else
		return body_ok;
	return false;
}

/* "25.70" -> "25.7", "3.00" -> "3" */
static void add_trimmed(struct hd_buf *out, const char *text)
{
	size_t n = strlen(text);
	if (strchr(text, '.')) {
		while (text[n - 1] == '0')
			n--;
		n -= text[n - 1] == '.';
	}
	(void)hd_buf_add_json(out, text, n);
}

void sim_dga_print(const struct sim_filing *filing, uint32_t form, struct hd_buf *out)
{
	const char *comma = "{";
	for (size_t i = 0; i < HD_ARRAY_LEN(forms[form].fields) && forms[form].fields[i].name; i++) {
		const struct field *f = &forms[form].fields[i];
		const char *text = (const char *)filing + f->offset;
		(void)hd_buf_printf(out, "%s\"%s\":", comma, f->name);
		if (f->format == FORM_DATE)
			(void)hd_buf_printf(out, "\"%.2s-%.2s-%.4s\"", text + 8, text + 5, text);
		else
			add_trimmed(out, text);
		comma = ",";
	}
	(void)hd_buf_add_char(out, '}');
}
