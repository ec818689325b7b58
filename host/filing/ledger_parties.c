/* SPDX-License-Identifier: MIT */
/* Control centres and informants, whose secrets are sealed. */
#include "filing/ledger_fields.h"

#include "base/clock.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define CENTRE_FIELDS(X) \
	X(U32, state) X(U32, backlog_scope) X(MS, spacing_ms) X(MS, state_since_ms) X(MS, registered_ms) X(REAL, calls_per_s) X(REAL, check_share) \
	X(TEXT, name) X(TEXT, identifier) X(TEXT, registration) X(TEXT, state_why) X(TEXT, state_by)
#define INFORMANT_FIELDS(X) X(TEXT, name) X(TEXT, identifier)
#define CENTRE_ROW(type_, name_) {.name = #name_, .type = HD_FIELD_##type_, .offset = offsetof(struct hd_centre, name_)},
#define INFORMANT_ROW(type_, name_) {.name = #name_, .type = HD_FIELD_##type_, .offset = offsetof(struct hd_informant, name_)},
static const struct hd_field centre_fields[] = {CENTRE_FIELDS(CENTRE_ROW)};
static const struct hd_field informant_fields[] = {INFORMANT_FIELDS(INFORMANT_ROW)};
#define SELECT_CENTRES "SELECT number, uuid, version, created_ms, updated_ms" CENTRE_FIELDS(HD_FIELD_COLUMN) " FROM centres "
#define SELECT_INFORMANTS "SELECT number, uuid, version, created_ms, updated_ms" INFORMANT_FIELDS(HD_FIELD_COLUMN) ", sealed FROM informants "
#define SEALED_COLUMN (HD_FIELDS_AT + (int)HD_ARRAY_LEN(informant_fields))

/* ---- what both are ---------------------------------------------------------------------------------------------------- */

/* The head of a row, as both tables and both structs have it. */
struct party {
	uint32_t *number;
	struct hd_uuid *id;
	uint64_t *version;
	int64_t *created_ms, *updated_ms;
	const char *what; /* "centre" */
	const char *name;
};

static struct party party_of_centre(struct hd_centre *c)
{
	return (struct party){&c->number, &c->id, &c->version, &c->created_ms, &c->updated_ms, "centre", c->name};
}

static struct party party_of_informant(struct hd_informant *i)
{
	return (struct party){&i->number, &i->id, &i->version, &i->created_ms, &i->updated_ms, "informant", i->name};
}

static void bind_head(sqlite3_stmt *stmt, const struct party *party)
{
	hd_bind_int(stmt, 1, *party->number);
	hd_bind_uuid(stmt, 2, party->id);
	hd_bind_int(stmt, 3, (int64_t)*party->version);
	hd_bind_int(stmt, 4, *party->created_ms);
	hd_bind_int(stmt, 5, *party->updated_ms);
}

static void read_head(sqlite3_stmt *stmt, const struct party *party)
{
	*party->number = (uint32_t)sqlite3_column_int64(stmt, 0);
	*party->id = hd_column_uuid(stmt, 1);
	*party->version = (uint64_t)sqlite3_column_int64(stmt, 2);
	*party->created_ms = sqlite3_column_int64(stmt, 3);
	*party->updated_ms = sqlite3_column_int64(stmt, 4);
}

static void read_centre(sqlite3_stmt *stmt, struct hd_centre *ret)
{
	struct party party = party_of_centre(ret);
	read_head(stmt, &party);
	hd_fields_read(stmt, centre_fields, HD_ARRAY_LEN(centre_fields), ret);
}

static void read_informant(sqlite3_stmt *stmt, struct hd_informant *ret)
{
	struct party party = party_of_informant(ret);
	read_head(stmt, &party);
	hd_fields_read(stmt, informant_fields, HD_ARRAY_LEN(informant_fields), ret);
	ret->has_secret = sqlite3_column_type(stmt, SEALED_COLUMN) != SQLITE_NULL;
	ret->secret = NULL;
}

static int begin_new(struct hd_db *db, const struct party *party, bool centre, struct hydro_error *err)
{
	static const struct hd_uuid none;
	bool row = false;
	sqlite3_stmt *stmt = centre ? hd_db_prepare(db, "SELECT coalesce(max(number), 0) + 1 FROM centres", err)
				    : hd_db_prepare(db, "SELECT coalesce(max(number), 0) + 1 FROM informants", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*party->number = (uint32_t)sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	if (hd_uuid_equal(party->id, &none))
		*party->id = hd_uuid_new();
	*party->version = 1;
	*party->created_ms = *party->updated_ms = hd_clock_wall_ms();
	return rc;
}

/* The row that is there, whose version must be the one meant; party becomes its successor. */
static int begin_replace(const struct party *party, const struct party *before, bool row, struct hydro_error *err)
{
	if (!row)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such %s", party->what);
	if (*party->version && *party->version != *before->version)
		return hd_error_set(err, HYDRO_E_STALE, "%s %s was changed since: it is at version %llu", party->what, before->name, (unsigned long long)*before->version);
	*party->number = *before->number;
	*party->version = *before->version + 1;
	*party->created_ms = *before->created_ms;
	*party->updated_ms = hd_clock_wall_ms();
	return HYDRO_OK;
}

static void begin_note(struct hd_buf *out, const char *act, const struct party *party, const char *why)
{
	char id[HD_UUID_TEXT];
	hd_uuid_format(party->id, id);
	(void)hd_buf_printf(out, "{\"act\":\"%s\",\"%s\":%u,\"id\":\"%s\",\"why\":", act, party->what, *party->number, id);
	(void)hd_buf_add_json(out, why ? why : "", why ? strlen(why) : 0);
}

/* ---- centres ---------------------------------------------------------------------------------------------------------- */

static int check_centre(const struct hd_centre *centre, struct hydro_error *err)
{
	int rc = hd_fields_check(centre_fields, HD_ARRAY_LEN(centre_fields), centre, err);
	if (rc != HYDRO_OK)
		return rc;
	if (!centre->identifier[0])
		return hd_error_set(err, HYDRO_E_INVALID, "identifier: not set");
	if (centre->state > HD_CENTRE_STOPPED || centre->backlog_scope > HD_BACKLOG_PER_CENTRE)
		return hd_error_set(err, HYDRO_E_INVALID, "state, backlog_scope: no such number");
	if (centre->spacing_ms < 0 || !(centre->calls_per_s >= 0) || !(centre->check_share >= 0 && centre->check_share <= 1))
		return hd_error_set(err, HYDRO_E_INVALID, "spacing_ms, calls_per_s: 0 or more; check_share: 0 to 1");
	return HYDRO_OK;
}

static int write_centre(struct hd_db *db, struct hd_centre *centre, bool is_new, struct hydro_error *err)
{
	struct party party = party_of_centre(centre);
	sqlite3_stmt *stmt = is_new ? hd_db_prepare(db, "INSERT INTO centres (number, uuid, version, created_ms, updated_ms" CENTRE_FIELDS(HD_FIELD_COLUMN)
						    ") VALUES (?1, ?2, ?3, ?4, ?5" CENTRE_FIELDS(HD_FIELD_PARAMETER) ")", err)
				    : hd_db_prepare(db, "UPDATE centres SET number = ?1, uuid = ?2, version = ?3, created_ms = ?4, updated_ms = ?5" CENTRE_FIELDS(HD_FIELD_SET)
						    " WHERE number = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_head(stmt, &party);
	hd_fields_bind(stmt, centre_fields, HD_ARRAY_LEN(centre_fields), centre);
	int rc = hd_db_run(db, stmt, err);
	return rc == HYDRO_E_EXISTS ? hd_error_set(err, rc, "identifier: there is a centre \"%.64s\" already", centre->identifier) : rc;
}

static int create_centre(struct hd_tx *tx, struct hd_centre *centre, const char *by, struct hydro_error *err)
{
	struct party party = party_of_centre(centre);
	struct hd_buf detail = {0};
	int rc = check_centre(centre, err);
	if (rc == HYDRO_OK)
		rc = begin_new(tx->db, &party, true, err);
	if (rc == HYDRO_OK)
		rc = write_centre(tx->db, centre, true, err);
	if (rc != HYDRO_OK)
		return rc;
	begin_note(&detail, "create", &party, NULL);
	hd_fields_json(&detail, centre_fields, HD_ARRAY_LEN(centre_fields), NULL, centre);
	(void)hd_buf_add_char(&detail, '}');
	rc = hd_tx_note(tx, 0, by, &detail, err);
	hd_buf_done(&detail);
	tx->revises = true;
	return rc;
}

int hd_ledger_centre_create(struct hd_ledger *ledger, struct hd_centre *centre, const char *by, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, create_centre(&tx, centre, by, err), err) : rc;
}

static int replace_centre(struct hd_tx *tx, struct hd_centre *centre, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_centre before = {.name = ""};
	struct hd_buf detail = {0};
	bool row = false;
	int rc = check_centre(centre, err);
	sqlite3_stmt *stmt = rc == HYDRO_OK ? hd_db_prepare(tx->db, SELECT_CENTRES "WHERE uuid = ?1", err) : NULL;
	if (!stmt)
		return rc != HYDRO_OK ? rc : HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, &centre->id);
	rc = hd_db_step(tx->db, stmt, &row, err);
	if (row)
		read_centre(stmt, &before);
	struct party party = party_of_centre(centre), old = party_of_centre(&before);
	if (rc == HYDRO_OK)
		rc = begin_replace(&party, &old, row, err);
	if (rc == HYDRO_OK) {
		begin_note(&detail, "replace", &party, why);
		hd_fields_json(&detail, centre_fields, HD_ARRAY_LEN(centre_fields), &before, centre);
		(void)hd_buf_add_char(&detail, '}');
	}
	(void)sqlite3_reset(stmt);
	if (rc == HYDRO_OK)
		rc = write_centre(tx->db, centre, false, err);
	if (rc == HYDRO_OK)
		rc = hd_tx_note(tx, 0, by, &detail, err);
	hd_buf_done(&detail);
	tx->revises = true;
	return rc;
}

int hd_ledger_centre_replace(struct hd_ledger *ledger, struct hd_centre *centre, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, replace_centre(&tx, centre, by, why, err), err) : rc;
}

struct query {
	struct hd_ledger *ledger;
	uint32_t number;
	const struct hd_uuid *id;
	bool with_secret;
	hd_centre_fn centre;
	hd_informant_fn informant;
	void *arg;
};

static int read_centres(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct query *query = arg;
	struct hd_centre centre;
	bool row = false, one = query->number || query->id;
	int rc;
	uint32_t count = 0;
	sqlite3_stmt *stmt = query->number ? hd_db_prepare(db, SELECT_CENTRES "WHERE number = ?1", err)
			   : query->id ? hd_db_prepare(db, SELECT_CENTRES "WHERE uuid = ?1", err) : hd_db_prepare(db, SELECT_CENTRES "ORDER BY number", err);
	if (!stmt)
		return HYDRO_E_IO;
	if (query->number)
		hd_bind_int(stmt, 1, query->number);
	else if (query->id)
		hd_bind_uuid(stmt, 1, query->id);
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		read_centre(stmt, &centre);
		count++;
		if ((rc = query->centre(query->arg, &centre, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	return rc == HYDRO_OK && one && count == 0 ? hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such centre") : rc;
}

int hd_ledger_centre_get(struct hd_ledger *ledger, uint32_t number, const struct hd_uuid *id, hd_centre_fn fn, void *arg, struct hydro_error *err)
{
	struct query query = {.number = number, .id = id, .centre = fn, .arg = arg};
	return hd_ledger_read(ledger, read_centres, &query, err);
}

int hd_ledger_centre_list(struct hd_ledger *ledger, hd_centre_fn fn, void *arg, struct hydro_error *err)
{
	return hd_ledger_centre_get(ledger, 0, NULL, fn, arg, err);
}

/* ---- informants ------------------------------------------------------------------------------------------------------- */

#define CONTEXT_BYTES 64u

/* A sealed secret is bound to its row. */
static void context_of(const struct hd_uuid *id, char ret[CONTEXT_BYTES])
{
	char text[HD_UUID_TEXT];
	hd_uuid_format(id, text);
	(void)snprintf(ret, CONTEXT_BYTES, "filing.informants/%s", text);
}

static int write_informant(struct hd_tx *tx, struct hd_informant *informant, bool is_new, struct hydro_error *err)
{
	struct party party = party_of_informant(informant);
	struct hd_buf sealed = {0};
	char context[CONTEXT_BYTES];
	sqlite3_stmt *stmt = is_new ? hd_db_prepare(tx->db, "INSERT INTO informants (number, uuid, version, created_ms, updated_ms" INFORMANT_FIELDS(HD_FIELD_COLUMN)
						    ", sealed) VALUES (?1, ?2, ?3, ?4, ?5" INFORMANT_FIELDS(HD_FIELD_PARAMETER) ", ?)", err)
				    : hd_db_prepare(tx->db, "UPDATE informants SET number = ?1, uuid = ?2, version = ?3, created_ms = ?4, updated_ms = ?5"
						    INFORMANT_FIELDS(HD_FIELD_SET) ", sealed = coalesce(?, sealed) WHERE number = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = HYDRO_OK;
	bind_head(stmt, &party);
	hd_fields_bind(stmt, informant_fields, HD_ARRAY_LEN(informant_fields), informant);
	if (informant->secret) {
		context_of(&informant->id, context);
		rc = hd_seal_text(&tx->ledger->key, context, informant->secret, strlen(informant->secret), &sealed, err);
		if (rc == HYDRO_OK)
			hd_bind_blob(stmt, SEALED_COLUMN + 1, sealed.data, sealed.len);
	}
	if (rc == HYDRO_OK)
		rc = hd_db_run(tx->db, stmt, err);
	hd_buf_done(&sealed);
	return rc == HYDRO_E_EXISTS ? hd_error_set(err, rc, "id: there is an informant with it already") : rc;
}

static int check_informant(const struct hd_informant *informant, struct hydro_error *err)
{
	int rc = hd_fields_check(informant_fields, HD_ARRAY_LEN(informant_fields), informant, err);
	return rc == HYDRO_OK && !informant->identifier[0] ? hd_error_set(err, HYDRO_E_INVALID, "identifier: not set") : rc;
}

/* The secret as "***", whether there is one, and whether it is a new one. */
static void end_note(struct hd_buf *out, const struct hd_informant *informant)
{
	(void)hd_buf_add_text(out, informant->secret ? ",\"secret\":\"***\"}" : "}");
}

static int create_informant(struct hd_tx *tx, struct hd_informant *informant, const char *by, struct hydro_error *err)
{
	struct party party = party_of_informant(informant);
	struct hd_buf detail = {0};
	int rc = check_informant(informant, err);
	if (rc == HYDRO_OK)
		rc = begin_new(tx->db, &party, false, err);
	if (rc == HYDRO_OK)
		rc = write_informant(tx, informant, true, err);
	if (rc != HYDRO_OK)
		return rc;
	informant->has_secret = informant->secret != NULL;
	begin_note(&detail, "create", &party, NULL);
	hd_fields_json(&detail, informant_fields, HD_ARRAY_LEN(informant_fields), NULL, informant);
	end_note(&detail, informant);
	rc = hd_tx_note(tx, 0, by, &detail, err);
	hd_buf_done(&detail);
	tx->revises = true;
	return rc;
}

int hd_ledger_informant_create(struct hd_ledger *ledger, struct hd_informant *informant, const char *by, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, create_informant(&tx, informant, by, err), err) : rc;
}

static int replace_informant(struct hd_tx *tx, struct hd_informant *informant, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_informant before = {.name = ""};
	struct hd_buf detail = {0};
	bool row = false;
	int rc = check_informant(informant, err);
	sqlite3_stmt *stmt = rc == HYDRO_OK ? hd_db_prepare(tx->db, SELECT_INFORMANTS "WHERE uuid = ?1", err) : NULL;
	if (!stmt)
		return rc != HYDRO_OK ? rc : HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, &informant->id);
	rc = hd_db_step(tx->db, stmt, &row, err);
	if (row)
		read_informant(stmt, &before);
	struct party party = party_of_informant(informant), old = party_of_informant(&before);
	if (rc == HYDRO_OK)
		rc = begin_replace(&party, &old, row, err);
	if (rc == HYDRO_OK) {
		begin_note(&detail, "replace", &party, why);
		hd_fields_json(&detail, informant_fields, HD_ARRAY_LEN(informant_fields), &before, informant);
		end_note(&detail, informant);
		informant->has_secret = informant->secret || before.has_secret;
	}
	(void)sqlite3_reset(stmt);
	if (rc == HYDRO_OK)
		rc = write_informant(tx, informant, false, err);
	if (rc == HYDRO_OK)
		rc = hd_tx_note(tx, 0, by, &detail, err);
	hd_buf_done(&detail);
	tx->revises = true;
	return rc;
}

int hd_ledger_informant_replace(struct hd_ledger *ledger, struct hd_informant *informant, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, replace_informant(&tx, informant, by, why, err), err) : rc;
}

static void wipe(struct hd_buf *buf)
{
	if (buf->data)
		sodium_memzero(buf->data, buf->cap);
	hd_buf_done(buf);
}

static int give_informant(struct query *query, sqlite3_stmt *stmt, struct hydro_error *err)
{
	struct hd_informant informant;
	struct hd_buf secret = {0};
	char context[CONTEXT_BYTES];
	int rc = HYDRO_OK;
	read_informant(stmt, &informant);
	if (query->with_secret && informant.has_secret) {
		context_of(&informant.id, context);
		rc = hd_unseal_text(&query->ledger->key, context, sqlite3_column_blob(stmt, SEALED_COLUMN), (size_t)sqlite3_column_bytes(stmt, SEALED_COLUMN), &secret, err);
		informant.secret = hd_buf_text(&secret);
	}
	if (rc == HYDRO_OK)
		rc = query->informant(query->arg, &informant, err);
	wipe(&secret);
	return rc;
}

static int read_informants(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct query *query = arg;
	bool row = false, one = query->number || query->id;
	int rc;
	uint32_t count = 0;
	sqlite3_stmt *stmt = query->number ? hd_db_prepare(db, SELECT_INFORMANTS "WHERE number = ?1", err)
			   : query->id ? hd_db_prepare(db, SELECT_INFORMANTS "WHERE uuid = ?1", err) : hd_db_prepare(db, SELECT_INFORMANTS "ORDER BY number", err);
	if (!stmt)
		return HYDRO_E_IO;
	if (query->number)
		hd_bind_int(stmt, 1, query->number);
	else if (query->id)
		hd_bind_uuid(stmt, 1, query->id);
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		count++;
		if ((rc = give_informant(query, stmt, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	return rc == HYDRO_OK && one && count == 0 ? hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such informant") : rc;
}

int hd_ledger_informant_get(struct hd_ledger *ledger, uint32_t number, const struct hd_uuid *id, bool with_secret, hd_informant_fn fn, void *arg, struct hydro_error *err)
{
	struct query query = {.ledger = ledger, .number = number, .id = id, .with_secret = with_secret, .informant = fn, .arg = arg};
	return hd_ledger_read(ledger, read_informants, &query, err);
}

int hd_ledger_informant_list(struct hd_ledger *ledger, hd_informant_fn fn, void *arg, struct hydro_error *err)
{
	return hd_ledger_informant_get(ledger, 0, NULL, false, fn, arg, err);
}
