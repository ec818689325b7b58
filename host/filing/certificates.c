/* SPDX-License-Identifier: MIT */
#include "filing/certificates.h"

#include "base/timefmt.h"
#include "base/utf8.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)
#define CENTRES_MAX 256u

/* ---- taking apart -------------------------------------------------------------------------------------------------------- */

static bool time_of(const ASN1_TIME *time, int64_t *ret)
{
	struct tm tm;
	if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	*ret = hd_days_from_civil(tm.tm_year + 1900, (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday) * DAY_MS +
	       ((tm.tm_hour * INT64_C(60) + tm.tm_min) * 60 + tm.tm_sec) * 1000;
	return true;
}

/* A character that was cut at the end goes; in a text that is no UTF-8 otherwise, what is not ASCII becomes '?'. */
static void make_utf8(char *text)
{
	size_t len = strlen(text);
	for (size_t cut = 0; cut < 4 && cut < len; cut++)
		if (hd_utf8_valid(text, len - cut)) {
			text[len - cut] = '\0';
			return;
		}
	for (char *p = text; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
}

static bool name_of(const X509_NAME *name, char ret[HD_CERTIFICATE_TEXT])
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool good = bio && name && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0;
	int n = good ? BIO_read(bio, ret, HD_CERTIFICATE_TEXT - 1) : 0;
	ret[n > 0 ? n : 0] = '\0';
	make_utf8(ret);
	BIO_free(bio);
	return good;
}

static bool serial_of(const X509 *x509, char ret[96])
{
	BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
	char *hex = bn ? BN_bn2hex(bn) : NULL;
	(void)snprintf(ret, 96, "%s", hex ? hex : "");
	OPENSSL_free(hex);
	BN_free(bn);
	return ret[0] != '\0';
}

static int take_facts(const X509 *x509, struct hd_certificate_facts *ret, struct hydro_error *err)
{
	if (!name_of(X509_get_subject_name(x509), ret->subject) || !name_of(X509_get_issuer_name(x509), ret->issuer) || !serial_of(x509, ret->serial) ||
	    !time_of(X509_get0_notBefore(x509), &ret->not_before_ms) || !time_of(X509_get0_notAfter(x509), &ret->not_after_ms))
		return hd_error_set(err, HYDRO_E_PARSE, "the certificate has no names, serial number or dates that can be read");
	return HYDRO_OK;
}

static bool holds(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

int hd_certificate_parse(const char *pem, size_t len, struct hd_certificate_facts *ret, struct hydro_error *err)
{
	memset(ret, 0, sizeof *ret);
	if (len > HD_CERTIFICATE_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u bytes", HD_CERTIFICATE_BYTES_MAX);
	if (holds(pem, len, "PRIVATE KEY-----"))
		return hd_error_set(err, HYDRO_E_INVALID, "a private key does not belong here: give the certificate alone");
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509 *first = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL, *second = first ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	int rc = HYDRO_OK;
	if (!first)
		rc = hd_error_set(err, HYDRO_E_PARSE, "there is no certificate in PEM form (-----BEGIN CERTIFICATE-----) that parses");
	else if (second)
		rc = hd_error_set(err, HYDRO_E_INVALID, "more than one certificate: give each by itself");
	else
		rc = take_facts(first, ret, err);
	X509_free(first);
	X509_free(second);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

int64_t hd_certificate_days_left(int64_t not_after_ms, int64_t now_ms)
{
	int64_t left = not_after_ms - now_ms;
	return left >= 0 ? left / DAY_MS : -((-left + DAY_MS - 1) / DAY_MS);
}

/* ---- watching ---------------------------------------------------------------------------------------------------------------- */

/* The first of each centre's to end. */
struct watch {
	uint32_t count;
	struct {
		uint32_t centre;
		int64_t not_after_ms;
		char name[201];
	} rows[CENTRES_MAX];
};

static int add_certificate(void *arg, const struct hd_certificate *certificate, struct hydro_error *err)
{
	struct watch *w = arg;
	uint32_t i = 0;
	(void)err;
	while (i < w->count && w->rows[i].centre != certificate->centre)
		i++;
	if (i == CENTRES_MAX || (i < w->count && w->rows[i].not_after_ms <= certificate->not_after_ms))
		return HYDRO_OK;
	w->count += i == w->count;
	w->rows[i].centre = certificate->centre;
	w->rows[i].not_after_ms = certificate->not_after_ms;
	(void)snprintf(w->rows[i].name, sizeof w->rows[i].name, "%s", certificate->name);
	return HYDRO_OK;
}

static int raise(struct hd_ledger *ledger, uint32_t centre, const char *name, int64_t days, int64_t now_ms, struct hydro_error *err)
{
	char es[320], en[320];
	/* The text names the step, so that it changes at 60, 30 and 7 days alone. */
	int step = days < 0 ? 0 : days < 7 ? 7 : days < 30 ? 30 : 60;
	(void)snprintf(es, sizeof es, step ? "el certificado \"%.200s\" vence en menos de %d días" : "el certificado \"%.200s\" venció", name, step);
	(void)snprintf(en, sizeof en, step ? "the certificate \"%.200s\" ends in less than %d days" : "the certificate \"%.200s\" has ended", name, step);
	struct hd_alarm alarm = {.centre = centre, .level = step <= 7 ? HD_ALARM_RED : HD_ALARM_AMBER, .kind = "certificate", .text = es, .text_en = en,
				 .since_ms = now_ms, .last_ms = now_ms};
	return hd_ledger_alarm_raise(ledger, &alarm, err);
}

struct open_alarms {
	uint32_t count;
	uint32_t centres[CENTRES_MAX];
};

static int add_alarm(void *arg, const struct hd_alarm *alarm, struct hydro_error *err)
{
	struct open_alarms *open = arg;
	(void)err;
	if (strcmp(alarm->kind, "certificate") == 0 && open->count < CENTRES_MAX)
		open->centres[open->count++] = alarm->centre;
	return HYDRO_OK;
}

static int watch_all(struct hd_ledger *ledger, struct watch *w, struct open_alarms *open, int64_t now_ms, struct hydro_error *err)
{
	int rc = hd_ledger_certificate_list(ledger, add_certificate, w, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_alarm_list(ledger, true, HD_LEDGER_ALL, add_alarm, open, err);
	for (uint32_t i = 0; i < open->count && rc == HYDRO_OK; i++) {
		bool still = false;
		for (uint32_t k = 0; k < w->count; k++)
			still = still || (w->rows[k].centre == open->centres[i] && hd_certificate_days_left(w->rows[k].not_after_ms, now_ms) < 60);
		if (!still)
			rc = hd_ledger_alarm_clear(ledger, "certificate", 0, open->centres[i], now_ms, err);
	}
	for (uint32_t i = 0; i < w->count && rc == HYDRO_OK; i++) {
		int64_t days = hd_certificate_days_left(w->rows[i].not_after_ms, now_ms);
		if (days < 60)
			rc = raise(ledger, w->rows[i].centre, w->rows[i].name, days, now_ms, err);
	}
	return rc;
}

int hd_certificates_watch(struct hd_ledger *ledger, int64_t now_ms, struct hydro_error *err)
{
	struct watch *w = calloc(1, sizeof *w);
	struct open_alarms *open = calloc(1, sizeof *open);
	int rc = w && open ? watch_all(ledger, w, open, now_ms, err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	free(w);
	free(open);
	return rc;
}
