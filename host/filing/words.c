/* SPDX-License-Identifier: MIT */
/* States, causes and times in words for people: Spanish first, English second. */
#include "base/timefmt.h"
#include "filing/compliance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	uint32_t state;
	const char *es, *en;
} states[] = {
	{HD_SLOT_DUE, "esperando medición", "waiting for a measurement"},
	{HD_SLOT_QUEUED, "en cola", "queued"},
	{HD_SLOT_CLAIMED, "por enviar", "about to be sent"},
	{HD_SLOT_SENDING, "enviando", "being sent"},
	{HD_SLOT_FILED, "informada", "filed"},
	{HD_SLOT_FILED_NO_RECEIPT, "informada sin comprobante", "filed without receipt"},
	{HD_SLOT_FILED_DIFFERS, "informada con otros valores", "filed with other values"},
	{HD_SLOT_UNKNOWN, "sin respuesta", "no answer"},
	{HD_SLOT_REFUSED, "rechazada", "refused"},
	{HD_SLOT_HELD, "retenida", "held"},
	{HD_SLOT_MISSING, "sin medición", "no measurement"},
	{HD_SLOT_SHADOW, "en sombra", "in shadow"},
	{HD_SLOT_BY_HAND, "informada a mano", "filed by hand"},
};

static const struct {
	const char *cause, *es, *en; /* a cause that begins so */
} causes[] = {
	{"no_reading", "no hubo medición del sensor", "no measurement of the sensor"},
	{"time-out", "el regulador no respondió a tiempo", "the regulator did not answer in time"},
	{"claim expired", "el envío se interrumpió", "the sending was interrupted"},
	{"http 5", "error del servicio del regulador", "the regulator's service failed"},
	{"http 4", "el regulador rechazó la petición", "the regulator refused the request"},
	{"no connection", "sin conexión con el regulador", "no connection to the regulator"},
	{"restored", "base restaurada desde un respaldo", "the ledger was restored from a backup"},
	{"format", "un valor no cabe en el formato", "a value does not fit the format"},
};

const char *hd_slot_state_text(uint32_t state, bool spanish)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(states); i++)
		if (states[i].state == state)
			return spanish ? states[i].es : states[i].en;
	return "";
}

const char *hd_cause_text(const char *cause, bool spanish)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(causes); i++)
		if (strncmp(cause, causes[i].cause, strlen(causes[i].cause)) == 0)
			return spanish ? causes[i].es : causes[i].en;
	return cause;
}

bool hd_month_parse(const char *text, int32_t utc_offset_s, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
	char *end;
	if (strlen(text) != 7 || text[4] != '-')
		return false;
	long year = strtol(text, &end, 10);
	if (end != text + 4 || text[0] < '0' || text[0] > '9' || text[5] < '0' || text[5] > '1')
		return false;
	long month = strtol(text + 5, &end, 10);
	if (*end || month < 1 || month > 12 || year < 1990 || year > 2099)
		return false;
	int64_t shift = (int64_t)utc_offset_s * 1000, next_year = month == 12 ? year + 1 : year;
	*ret_from_ms = hd_days_from_civil(year, (unsigned)month, 1) * INT64_C(86400000) - shift;
	*ret_to_ms = hd_days_from_civil(next_year, month == 12 ? 1u : (unsigned)month + 1u, 1) * INT64_C(86400000) - shift;
	return true;
}

void hd_local_time(int64_t ms, int32_t utc_offset_s, char ret[32])
{
	char text[HD_TIME_TEXT];
	hd_time_format(ms + (int64_t)utc_offset_s * 1000, text);
	(void)snprintf(ret, 32, "%.10s %.5s", text, text + 11);
}

void hd_local_date(int64_t ms, int32_t utc_offset_s, char ret[32])
{
	char text[HD_TIME_TEXT];
	hd_time_format(ms + (int64_t)utc_offset_s * 1000, text);
	(void)snprintf(ret, 32, "%.10s", text);
}
