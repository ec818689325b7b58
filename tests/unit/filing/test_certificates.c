/* SPDX-License-Identifier: MIT */
/* Certificates: what a PEM says, what is refused, and the alarms before one ends. */
#include "ledger_kit.h"

#include "filing/certificates.h"

#include <stdio.h>
#include <string.h>

#define DAY INT64_C(86400000)

/* Made for this test: from 2026-11-26T04:33:28Z to 2126-11-02T04:33:28Z. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
			  "MIIB6TCCAZCgAwIBAgIDGis8MAoGCCqGSM49BAMCMFIxCzAJBgNVBAYTAkNMMSUw\n"
			  "IwYDVQQKDBxDZW50cm8gZGUgQ29udHJvbCBkZSBFamVtcGxvMRwwGgYDVQQDDBNk\n"
			  "Z2EuZWplbXBsby5leGFtcGxlMCAXDTI2MTEyNjA0MzMyOFoYDzIxMjYxMTAyMDQz\n"
			  "MzI4WjBSMQswCQYDVQQGEwJDTDElMCMGA1UECgwcQ2VudHJvIGRlIENvbnRyb2wg\n"
			  "ZGUgRWplbXBsbzEcMBoGA1UEAwwTZGdhLmVqZW1wbG8uZXhhbXBsZTBZMBMGByqG\n"
			  "SM49AgEGCCqGSM49AwEHA0IABGAem9Rie3WGHCWo6rME2EHOGANW4A1Rb6d+mckE\n"
			  "7I9j7HrwkVLjMb+4FGUMH/TZicwJ/rp7epvnWtLRtCc8/mSjUzBRMB0GA1UdDgQW\n"
			  "BBQmwSD43jfd7NTnR9uL+EG84YW83jAfBgNVHSMEGDAWgBQmwSD43jfd7NTnR9uL\n"
			  "+EG84YW83jAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIFH4bq71\n"
			  "9DoKsxyad+0LsDzOmy/NSVUC/iOC9GIjWjumAiAzDd28/Jv1oIVjJODLvqX+B7a/\n"
			  "hw8S5fJb67u6VizQmA==\n"
			  "-----END CERTIFICATE-----\n";
static const int64_t from = INT64_C(1795667608000), until = INT64_C(4949267608000);

Test(certificates, a_certificate_tells_whose_it_is_and_when_it_ends)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_certificate_facts facts;
	cr_assert_eq(hd_certificate_parse(pem, strlen(pem), &facts, &err), HYDRO_OK, "%s", err.text);
	cr_assert_str_eq(facts.subject, "CN=dga.ejemplo.example,O=Centro de Control de Ejemplo,C=CL");
	cr_assert_str_eq(facts.issuer, facts.subject);
	cr_assert_str_eq(facts.serial, "1A2B3C");
	cr_assert_eq(facts.not_before_ms, from);
	cr_assert_eq(facts.not_after_ms, until);
}

Test(certificates, what_is_no_single_certificate_is_refused)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_certificate_facts facts;
	static char twice[2 * sizeof pem], huge[HD_CERTIFICATE_BYTES_MAX + 1];
	(void)snprintf(twice, sizeof twice, "%s%s", pem, pem);
	memset(huge, 'x', sizeof huge);
	cr_assert_eq(hd_certificate_parse(twice, strlen(twice), &facts, &err), HYDRO_E_INVALID);
	cr_assert_eq(hd_certificate_parse(huge, sizeof huge, &facts, &err), HYDRO_E_LIMIT);
	cr_assert_eq(hd_certificate_parse("", 0, &facts, &err), HYDRO_E_PARSE);
	cr_assert_eq(hd_certificate_parse("hola", 4, &facts, &err), HYDRO_E_PARSE);
	for (size_t len = 1; len < strlen(pem) - 1; len++)
		cr_assert_eq(hd_certificate_parse(pem, len, &facts, &err), HYDRO_E_PARSE, "%zu bytes", len);
	static const char key[] = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";
	cr_assert_eq(hd_certificate_parse(key, strlen(key), &facts, &err), HYDRO_E_INVALID);
	cr_assert_not_null(strstr(err.text, "private key"));
}

struct alarms {
	uint32_t count, level;
	char text[320];
};

static int take_alarm(void *arg, const struct hd_alarm *alarm, struct hydro_error *err)
{
	struct alarms *alarms = arg;
	(void)err;
	alarms->count++;
	alarms->level = alarm->level;
	(void)snprintf(alarms->text, sizeof alarms->text, "%s", alarm->text);
	return HYDRO_OK;
}

static struct alarms watched(struct ledger_kit *kit, int64_t now_ms)
{
	struct alarms alarms = {0};
	cr_assert_eq(hd_certificates_watch(kit->ledger, now_ms, &kit->err), HYDRO_OK, "%s", kit->err.text);
	cr_assert_eq(hd_ledger_alarm_list(kit->ledger, true, HD_LEDGER_ALL, take_alarm, &alarms, &kit->err), HYDRO_OK);
	return alarms;
}

Test(certificates, an_alarm_comes_at_sixty_thirty_and_seven_days_and_goes_with_the_certificate)
{
	struct ledger_kit kit;
	ledger_kit_begin(&kit);
	struct hd_certificate row = {.name = "dga.pem", .subject = "CN=x", .issuer = "CN=y", .serial = "1", .pem = pem, .not_before_ms = from, .not_after_ms = until};
	cr_assert_eq(hd_ledger_certificate_add(kit.ledger, &row, "ana", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(watched(&kit, until - 61 * DAY).count, 0);
	struct alarms alarms = watched(&kit, until - 59 * DAY);
	cr_assert_eq(alarms.count, 1);
	cr_assert_eq(alarms.level, HD_ALARM_AMBER);
	cr_assert_not_null(strstr(alarms.text, "menos de 60 días"));
	cr_assert_not_null(strstr(watched(&kit, until - 29 * DAY).text, "menos de 30 días"));
	alarms = watched(&kit, until - 6 * DAY);
	cr_assert_eq(alarms.level, HD_ALARM_RED);
	cr_assert_not_null(strstr(alarms.text, "menos de 7 días"));
	cr_assert_not_null(strstr(watched(&kit, until + DAY).text, "venció"));
	cr_assert_eq(hd_ledger_certificate_remove(kit.ledger, &row.id, "ana", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(watched(&kit, until + DAY).count, 0);
	ledger_kit_end(&kit);
}
