/* SPDX-License-Identifier: MIT */
/* Control centres and informants, whose secrets are sealed. */
#include "filing/ledger_fields.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HEAD "number, uuid, version, created_ms, updated_ms"
#define HEAD_SET "number = ?1, uuid = ?2, version = ?3, created_ms = ?4, updated_ms = ?5"
#define CENTRE_FIELDS(X) \
	X(U32, state) X(U32, backlog_scope) X(MS, spacing_ms) X(MS, state_since_ms) X(MS, registered_ms) X(REAL, calls_per_s) X(REAL, check_share) \
	X(TEXT, name) X(TEXT, identifier) X(TEXT, registration) X(TEXT, state_why) X(TEXT, state_by)
#define INFORMANT_FIELDS(X) X(TEXT, name) X(TEXT, identifier)
#define CENTRE_ROW(type_, name_) {.name = #name_, .type = HD_FIELD_##type_, .offset = offsetof(struct hd_centre, name_)},
#define INFORMANT_ROW(type_, name_) {.name = #name_, .type = HD_FIELD_##type_, .offset = offsetof(struct hd_informant, name_)},
static const struct hd_field centre_fields[] = {CENTRE_FIELDS(CENTRE_ROW)};
static const struct hd_field informant_fields[] = {INFORMANT_FIELDS(INFORMANT_ROW)};
#define SELECT_CENTRES "SELECT " HEAD CENTRE_FIELDS(HD_FIELD_COLUMN) " FROM centres "
#define SELECT_INFORMANTS "SELECT " HEAD INFORMANT_FIELDS(HD_FIELD_COLUMN) ", sealed FROM informants "
#define SEALED_COLUMN (HD_FIELDS_AT + (int)HD_ARRAY_LEN(informant_fields))
#define CONTEXT_BYTES 64u

/* The head of a row, as both tables and both structs have it. */
struct party {
	uint32_t *number;
	struct hd_uuid *id;
	uint64_t *version;
	int64_t *created_ms, *updated_ms;
	const char *name;
};

struct query;

/* What is different between centres and informants. */
struct kind {
	const char *what; /* in texts and in the audit */
	const char *next_number, *insert, *update, *by_number, *by_id, *all; /* SQL */
	const struct hd_field *fields;
	size_t field_count;
	bool has_secret; /* its rows are struct hd_informant, and their table has `sealed` */
	struct party (*party_of)(void *row);
	int (*check)(const void *row, struct hydro_error *err);
	int (*exists)(const void *row, struct hydro_error *err); /* the error of a row that is there already */
	int (*give)(const struct query *query, sqlite3_stmt *stmt, struct hydro_error *err);
};

/* ---- rows ------------------------------------------------------------------------------------------------------------- */

static struct party party_of_centre(void *row)
{
	struct hd_centre *c = row;
	return (struct party){&c->number, &c->id, &c->version, &c->created_ms, &c->updated_ms, c->name};
}

static struct party party_of_informant(void *row)
{
	struct hd_informant *i = row;
	return (struct party){&i->number, &i->id, &i->version, &i->created_ms, &i->updated_ms, i->name};
}

static void read_row(const struct kind *kind, sqlite3_stmt *stmt, void *ret)
{
	struct party party = kind->party_of(ret);
	*party.number = (uint32_t)sqlite3_column_int64(stmt, 0);
	*party.id = hd_column_uuid(stmt, 1);
	*party.version = (uint64_t)sqlite3_column_int64(stmt, 2);
	*party.created_ms = sqlite3_column_int64(stmt, 3);
	*party.updated_ms = sqlite3_column_int64(stmt, 4);
	hd_fields_read(stmt, kind->fields, kind->field_count, ret);
	if (kind->has_secret) {
		struct hd_informant *informant = ret;
		informant->has_secret = sqlite3_column_type(stmt, SEALED_COLUMN) != SQLITE_NULL;
		informant->secret = NULL;
	}
}

/* A sealed secret is bound to its row. */
static void context_of(const struct hd_uuid *id, char ret[CONTEXT_BYTES])
{
	char text[HD_UUID_TEXT];
	hd_uuid_format(id, text);
	(void)snprintf(ret, CONTEXT_BYTES, "filing.informants/%s", text);
}

/* `sealed` must live until the statement has run. */
static int bind_secret(struct hd_tx *tx, sqlite3_stmt *stmt, const struct hd_informant *informant, struct hd_buf *sealed, struct hydro_error *err)
{
	char context[CONTEXT_BYTES];
	if (!informant->secret)
		return HYDRO_OK;
	context_of(&informant->id, context);
	int rc = hd_seal_text(&tx->ledger->key, context, informant->secret, strlen(informant->secret), sealed, err);
	if (rc == HYDRO_OK)
		hd_bind_blob(stmt, SEALED_COLUMN + 1, sealed->data, sealed->len);
	return rc;
}

static int write_row(struct hd_tx *tx, const struct kind *kind, void *row, bool is_new, struct hydro_error *err)
{
	struct party party = kind->party_of(row);
	HD_CLEANUP(hd_buf_done) struct hd_buf sealed = {0};
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, is_new ? kind->insert : kind->update, err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, *party.number);
	hd_bind_uuid(stmt, 2, party.id);
	hd_bind_int(stmt, 3, (int64_t)*party.version);
	hd_bind_int(stmt, 4, *party.created_ms);
	hd_bind_int(stmt, 5, *party.updated_ms);
	hd_fields_bind(stmt, kind->fields, kind->field_count, row);
	int rc = kind->has_secret ? bind_secret(tx, stmt, row, &sealed, err) : HYDRO_OK;
	if (rc == HYDRO_OK)
		rc = hd_db_run(tx->db, stmt, err);
	return rc == HYDRO_E_EXISTS ? kind->exists(row, err) : rc;
}

/* ---- creating and replacing ------------------------------------------------------------------------------------------- */

static int begin_new(struct hd_db *db, const struct kind *kind, const struct party *party, struct hydro_error *err)
{
	static const struct hd_uuid none;
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, kind->next_number, err);
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
static int begin_replace(const struct kind *kind, const struct party *party, const struct party *before, bool row, struct hydro_error *err)
{
	if (!row)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such %s", kind->what);
	if (*party->version && *party->version != *before->version)
		return hd_error_set(err, HYDRO_E_STALE, "%s %s was changed since: it is at version %llu", kind->what, before->name, (unsigned long long)*before->version);
	*party->number = *before->number;
	*party->version = *before->version + 1;
	*party->created_ms = *before->created_ms;
	*party->updated_ms = hd_clock_wall_ms();
	return HYDRO_OK;
}

/* For the audit; a new secret as "***". `before` NULL: it is new. */
static void note(struct hd_buf *out, const struct kind *kind, const void *before, void *row, const char *why)
{
	struct party party = kind->party_of(row);
	char id[HD_UUID_TEXT];
	hd_uuid_format(party.id, id);
	(void)hd_buf_printf(out, "{\"act\":\"%s\",\"%s\":%u,\"id\":\"%s\",\"why\":", before ? "replace" : "create", kind->what, *party.number, id);
	(void)hd_buf_add_json(out, why, strlen(why));
	hd_fields_json(out, kind->fields, kind->field_count, before, row);
	bool new_secret = kind->has_secret && ((const struct hd_informant *)row)->secret;
	(void)hd_buf_add_text(out, new_secret ? ",\"secret\":\"***\"}" : "}");
}

static int create(struct hd_tx *tx, const struct kind *kind, void *row, const char *by, struct hydro_error *err)
{
	struct party party = kind->party_of(row);
	HD_CLEANUP(hd_buf_done) struct hd_buf detail = {0};
	int rc = kind->check(row, err);
	if (rc == HYDRO_OK)
		rc = begin_new(tx->db, kind, &party, err);
	if (rc == HYDRO_OK)
		rc = write_row(tx, kind, row, true, err);
	if (rc != HYDRO_OK)
		return rc;
	note(&detail, kind, NULL, row, "");
	tx->revises = true;
	return hd_tx_note(tx, 0, by, &detail, err);
}

static int create_in(struct hd_ledger *ledger, const struct kind *kind, void *row, const char *by, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, create(&tx, kind, row, by, err), err) : rc;
}

/* *ret_before is what it was, without its texts. */
static int replace(struct hd_tx *tx, const struct kind *kind, void *row, void *ret_before, const char *by, const char *why, struct hydro_error *err)
{
	struct party party = kind->party_of(row);
	HD_CLEANUP(hd_buf_done) struct hd_buf detail = {0};
	bool found = false;
	int rc = kind->check(row, err);
	sqlite3_stmt *stmt = rc == HYDRO_OK ? hd_db_prepare(tx->db, kind->by_id, err) : NULL;
	if (!stmt)
		return rc != HYDRO_OK ? rc : HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, party.id);
	rc = hd_db_step(tx->db, stmt, &found, err);
	if (found)
		read_row(kind, stmt, ret_before);
	struct party old = kind->party_of(ret_before);
	if (rc == HYDRO_OK)
		rc = begin_replace(kind, &party, &old, found, err);
	if (rc == HYDRO_OK)
		note(&detail, kind, ret_before, row, why ? why : "");
	(void)sqlite3_reset(stmt);
	if (rc == HYDRO_OK)
		rc = write_row(tx, kind, row, false, err);
	tx->revises = true;
	return rc == HYDRO_OK ? hd_tx_note(tx, 0, by, &detail, err) : rc;
}

static int replace_in(struct hd_ledger *ledger, const struct kind *kind, void *row, void *ret_before, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, replace(&tx, kind, row, ret_before, by, why, err), err) : rc;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

struct query {
	const struct kind *kind;
	struct hd_ledger *ledger;
	uint32_t number; /* 0 and id NULL: all */
	const struct hd_uuid *id;
	bool with_secret;
	hd_centre_fn centre;
	hd_informant_fn informant;
	void *arg;
};

static int read_rows(struct hd_db *db, void *arg, struct hydro_error *err)
{
	const struct query *query = arg;
	const struct kind *kind = query->kind;
	bool row = false, one = query->number || query->id;
	int rc;
	uint32_t count = 0;
	sqlite3_stmt *stmt = hd_db_prepare(db, query->number ? kind->by_number : query->id ? kind->by_id : kind->all, err);
	if (!stmt)
		return HYDRO_E_IO;
	if (query->number)
		hd_bind_int(stmt, 1, query->number);
	else if (query->id)
		hd_bind_uuid(stmt, 1, query->id);
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		count++;
		if ((rc = kind->give(query, stmt, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	return rc == HYDRO_OK && one && count == 0 ? hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such %s", kind->what) : rc;
}

/* ---- centres ---------------------------------------------------------------------------------------------------------- */

static int check_centre(const void *row, struct hydro_error *err)
{
	const struct hd_centre *centre = row;
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

static int centre_exists(const void *row, struct hydro_error *err)
{
	const struct hd_centre *centre = row;
	return hd_error_set(err, HYDRO_E_EXISTS, "identifier: there is a centre \"%.64s\" already", centre->identifier);
}

static int give_centre(const struct query *query, sqlite3_stmt *stmt, struct hydro_error *err)
{
	struct hd_centre centre;
	read_row(query->kind, stmt, &centre);
	return query->centre(query->arg, &centre, err);
}

static const struct kind centres = {
	.what = "centre",
	.next_number = "SELECT coalesce(max(number), 0) + 1 FROM centres",
	.insert = "INSERT INTO centres (" HEAD CENTRE_FIELDS(HD_FIELD_COLUMN) ") VALUES (?1, ?2, ?3, ?4, ?5" CENTRE_FIELDS(HD_FIELD_PARAMETER) ")",
	.update = "UPDATE centres SET " HEAD_SET CENTRE_FIELDS(HD_FIELD_SET) " WHERE number = ?1",
	.by_number = SELECT_CENTRES "WHERE number = ?1",
	.by_id = SELECT_CENTRES "WHERE uuid = ?1",
	.all = SELECT_CENTRES "ORDER BY number",
	.fields = centre_fields,
	.field_count = HD_ARRAY_LEN(centre_fields),
	.party_of = party_of_centre,
	.check = check_centre,
	.exists = centre_exists,
	.give = give_centre,
};

int hd_ledger_centre_create(struct hd_ledger *ledger, struct hd_centre *centre, const char *by, struct hydro_error *err)
{
	return create_in(ledger, &centres, centre, by, err);
}

int hd_ledger_centre_replace(struct hd_ledger *ledger, struct hd_centre *centre, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_centre before = {.name = ""};
	return replace_in(ledger, &centres, centre, &before, by, why, err);
}

int hd_ledger_centre_get(struct hd_ledger *ledger, uint32_t number, const struct hd_uuid *id, hd_centre_fn fn, void *arg, struct hydro_error *err)
{
	struct query query = {.kind = &centres, .number = number, .id = id, .centre = fn, .arg = arg};
	return hd_ledger_read(ledger, read_rows, &query, err);
}

int hd_ledger_centre_list(struct hd_ledger *ledger, hd_centre_fn fn, void *arg, struct hydro_error *err)
{
	return hd_ledger_centre_get(ledger, 0, NULL, fn, arg, err);
}

/* ---- informants ------------------------------------------------------------------------------------------------------- */

static int check_informant(const void *row, struct hydro_error *err)
{
	const struct hd_informant *informant = row;
	int rc = hd_fields_check(informant_fields, HD_ARRAY_LEN(informant_fields), informant, err);
	return rc == HYDRO_OK && !informant->identifier[0] ? hd_error_set(err, HYDRO_E_INVALID, "identifier: not set") : rc;
}

static int informant_exists(const void *row, struct hydro_error *err)
{
	(void)row;
	return hd_error_set(err, HYDRO_E_EXISTS, "id: there is an informant with it already");
}

static int give_informant(const struct query *query, sqlite3_stmt *stmt, struct hydro_error *err)
{
	struct hd_informant informant;
	HD_CLEANUP(hd_buf_done) struct hd_buf secret = {0};
	char context[CONTEXT_BYTES];
	int rc = HYDRO_OK;
	read_row(query->kind, stmt, &informant);
	if (query->with_secret && informant.has_secret) {
		context_of(&informant.id, context);
		rc = hd_unseal_text(&query->ledger->key, context, sqlite3_column_blob(stmt, SEALED_COLUMN), (size_t)sqlite3_column_bytes(stmt, SEALED_COLUMN), &secret, err);
		informant.secret = hd_buf_text(&secret);
	}
	return rc == HYDRO_OK ? query->informant(query->arg, &informant, err) : rc;
}

static const struct kind informants = {
	.what = "informant",
	.next_number = "SELECT coalesce(max(number), 0) + 1 FROM informants",
	.insert = "INSERT INTO informants (" HEAD INFORMANT_FIELDS(HD_FIELD_COLUMN) ", sealed) VALUES (?1, ?2, ?3, ?4, ?5" INFORMANT_FIELDS(HD_FIELD_PARAMETER) ", ?)",
	.update = "UPDATE informants SET " HEAD_SET INFORMANT_FIELDS(HD_FIELD_SET) ", sealed = coalesce(?, sealed) WHERE number = ?1",
	.by_number = SELECT_INFORMANTS "WHERE number = ?1",
	.by_id = SELECT_INFORMANTS "WHERE uuid = ?1",
	.all = SELECT_INFORMANTS "ORDER BY number",
	.fields = informant_fields,
	.field_count = HD_ARRAY_LEN(informant_fields),
	.has_secret = true,
	.party_of = party_of_informant,
	.check = check_informant,
	.exists = informant_exists,
	.give = give_informant,
};

int hd_ledger_informant_create(struct hd_ledger *ledger, struct hd_informant *informant, const char *by, struct hydro_error *err)
{
	int rc = create_in(ledger, &informants, informant, by, err);
	if (rc == HYDRO_OK)
		informant->has_secret = informant->secret != NULL;
	return rc;
}

int hd_ledger_informant_replace(struct hd_ledger *ledger, struct hd_informant *informant, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_informant before = {.name = ""};
	int rc = replace_in(ledger, &informants, informant, &before, by, why, err);
	if (rc == HYDRO_OK)
		informant->has_secret = informant->secret || before.has_secret;
	return rc;
}

int hd_ledger_informant_get(struct hd_ledger *ledger, uint32_t number, const struct hd_uuid *id, bool with_secret, hd_informant_fn fn, void *arg, struct hydro_error *err)
{
	struct query query = {.kind = &informants, .ledger = ledger, .number = number, .id = id, .with_secret = with_secret, .informant = fn, .arg = arg};
	return hd_ledger_read(ledger, read_rows, &query, err);
}

int hd_ledger_informant_list(struct hd_ledger *ledger, hd_informant_fn fn, void *arg, struct hydro_error *err)
{
	return hd_ledger_informant_get(ledger, 0, NULL, false, fn, arg, err);
}
