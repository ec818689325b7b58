/* SPDX-License-Identifier: MIT */
/* Certificates used towards the regulator; what is said of one is what its PEM says. */
#include "filing/ledger_inner.h"

#include "base/clock.h"
#include "filing/certificates.h"

#include <string.h>

#define NAME_BYTES_MAX 200u

static void add_member(struct hd_buf *out, const char *name, const char *text)
{
	(void)hd_buf_printf(out, ",\"%s\":", name);
	(void)hd_buf_add_json(out, text, strlen(text));
}

static int note(struct hd_tx *tx, const char *act, const struct hd_uuid *id, const char *name, const struct hd_certificate_facts *facts, const char *by, struct hydro_error *err)
{
	struct hd_buf detail = {0};
	char text[HD_UUID_TEXT];
	hd_uuid_format(id, text);
	(void)hd_buf_printf(&detail, "{\"act\":\"%s\",\"certificate\":\"%s\"", act, text);
	add_member(&detail, "name", name);
	if (facts) {
		add_member(&detail, "subject", facts->subject);
		add_member(&detail, "serial", facts->serial);
		(void)hd_buf_printf(&detail, ",\"not_after_ms\":%lld", (long long)facts->not_after_ms);
	}
	(void)hd_buf_add_char(&detail, '}');
	int rc = hd_tx_note(tx, 0, by, &detail, err);
	hd_buf_done(&detail);
	return rc;
}

static int insert(struct hd_tx *tx, struct hd_certificate *c, const struct hd_certificate_facts *facts, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "INSERT INTO certificates (uuid, centre, name, subject, issuer, serial, pem, not_before_ms, not_after_ms, created_ms)"
						   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, &c->id);
	hd_bind_int(stmt, 2, c->centre);
	hd_bind_text(stmt, 3, c->name);
	hd_bind_text(stmt, 4, facts->subject);
	hd_bind_text(stmt, 5, facts->issuer);
	hd_bind_text(stmt, 6, facts->serial);
	hd_bind_text(stmt, 7, c->pem);
	hd_bind_int(stmt, 8, facts->not_before_ms);
	hd_bind_int(stmt, 9, facts->not_after_ms);
	hd_bind_int(stmt, 10, c->created_ms);
	int rc = hd_db_run(tx->db, stmt, err);
	if (rc == HYDRO_OK)
		c->number = (uint32_t)sqlite3_last_insert_rowid(hd_db_handle(tx->db));
	return rc == HYDRO_E_EXISTS ? hd_error_set(err, rc, "id: there is a certificate with it already") : rc;
}

int hd_ledger_certificate_add(struct hd_ledger *ledger, struct hd_certificate *certificate, const char *by, struct hydro_error *err)
{
	static const struct hd_uuid none;
	struct hd_certificate_facts facts;
	struct hd_tx tx;
	if (!certificate->pem || !certificate->name || strlen(certificate->name) > NAME_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "name, pem: not set, or a name longer than %u bytes", NAME_BYTES_MAX);
	int rc = hd_certificate_parse(certificate->pem, strlen(certificate->pem), &facts, err);
	if (rc != HYDRO_OK)
		return rc;
	if (hd_uuid_equal(&certificate->id, &none))
		certificate->id = hd_uuid_new();
	certificate->not_before_ms = facts.not_before_ms;
	certificate->not_after_ms = facts.not_after_ms;
	certificate->created_ms = hd_clock_wall_ms();
	if ((rc = hd_tx_begin(ledger, &tx, err)) != HYDRO_OK)
		return rc;
	rc = insert(&tx, certificate, &facts, err);
	if (rc == HYDRO_OK)
		rc = note(&tx, "certificate_add", &certificate->id, certificate->name, &facts, by, err);
	return hd_tx_end(&tx, rc, err);
}

static int remove_certificate(struct hd_tx *tx, const struct hd_uuid *id, const char *by, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "DELETE FROM certificates WHERE uuid = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, id);
	int rc = hd_db_run(tx->db, stmt, err);
	if (rc == HYDRO_OK && sqlite3_changes(hd_db_handle(tx->db)) == 0)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such certificate");
	return rc == HYDRO_OK ? note(tx, "certificate_remove", id, "", NULL, by, err) : rc;
}

int hd_ledger_certificate_remove(struct hd_ledger *ledger, const struct hd_uuid *id, const char *by, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, remove_certificate(&tx, id, by, err), err) : rc;
}

struct query {
	hd_certificate_fn fn;
	void *arg;
};

static int list_certificates(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct query *query = arg;
	bool row = false;
	int rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT number, uuid, centre, name, subject, issuer, serial, pem, not_before_ms, not_after_ms, created_ms"
					       " FROM certificates ORDER BY number", err);
	if (!stmt)
		return HYDRO_E_IO;
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		struct hd_certificate certificate = {.number = (uint32_t)sqlite3_column_int64(stmt, 0), .id = hd_column_uuid(stmt, 1),
						     .centre = (uint32_t)sqlite3_column_int64(stmt, 2), .name = hd_column_text(stmt, 3), .subject = hd_column_text(stmt, 4),
						     .issuer = hd_column_text(stmt, 5), .serial = hd_column_text(stmt, 6), .pem = hd_column_text(stmt, 7),
						     .not_before_ms = sqlite3_column_int64(stmt, 8), .not_after_ms = sqlite3_column_int64(stmt, 9),
						     .created_ms = sqlite3_column_int64(stmt, 10)};
		if ((rc = query->fn(query->arg, &certificate, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_ledger_certificate_list(struct hd_ledger *ledger, hd_certificate_fn fn, void *arg, struct hydro_error *err)
{
	struct query query = {fn, arg};
	return hd_ledger_read(ledger, list_certificates, &query, err);
}
