/* SPDX-License-Identifier: MIT */
/* Changes of slots: each a conditional update with its audit row. */
#include "filing/ledger_inner.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

#define CAUSE_BYTES_MAX 95u

/* A slot as its row is, and what becomes of it. */
struct row {
	bool there;
	struct hd_slot slot;
	struct hd_slot_trail trail;
};

static bool is_filed(uint32_t state)
{
	return state == HD_SLOT_FILED || state == HD_SLOT_FILED_NO_RECEIPT || state == HD_SLOT_FILED_DIFFERS || state == HD_SLOT_BY_HAND;
}

static bool is_claim(const struct hd_slot_change *change)
{
	return change->to == HD_SLOT_CLAIMED ? change->from != HD_SLOT_CLAIMED : change->to == HD_SLOT_SENDING && change->from != HD_SLOT_CLAIMED && change->from != HD_SLOT_SENDING;
}

static int load(struct hd_tx *tx, const struct hd_slot_change *change, struct row *ret, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "SELECT " HD_SLOT_COLUMNS " FROM slots s WHERE s.work = ?1 AND s.due = ?2", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, change->work);
	hd_bind_int(stmt, 2, change->due_ms);
	int rc = hd_db_step(tx->db, stmt, &ret->there, err);
	if (rc == HYDRO_OK && ret->there)
		hd_slot_read(stmt, &ret->slot, &ret->trail);
	(void)sqlite3_reset(stmt);
	return rc;
}

/* ---- what may be ------------------------------------------------------------------------------------------------------ */

static int invalid(const struct hd_slot_change *change, const char *why, struct hydro_error *err)
{
	return hd_error_set(err, HYDRO_E_INVALID, "slot %lld of work %u cannot go from %s to %s: %s", (long long)change->due_ms, change->work,
			    hd_slot_state_name(change->from), hd_slot_state_name(change->to), why);
}

static bool needs_payload(uint32_t state)
{
	return state == HD_SLOT_QUEUED || state == HD_SLOT_CLAIMED || state == HD_SLOT_SENDING || state == HD_SLOT_UNKNOWN || state == HD_SLOT_REFUSED || state == HD_SLOT_SHADOW;
}

/* Of the change alone. */
static int check_change(struct hd_tx *tx, const struct hd_slot_change *change, struct hydro_error *err)
{
	bool chain = false;
	bool joint = change->to == HD_SLOT_SENDING && is_claim(change);
	if (!hd_slot_way_is_open(change->from, joint ? HD_SLOT_CLAIMED : change->to))
		return invalid(change, "there is no such way", err);
	if (is_claim(change) && change->lease_until_ns <= 0)
		return invalid(change, "a claim needs a lease", err);
	if (change->receipt && strlen(change->receipt) >= HD_RECEIPT_BYTES)
		return invalid(change, "its receipt is too long", err);
	if (change->detail && (change->detail_len < 2 || change->detail[0] != '{' || change->detail[change->detail_len - 1] != '}'))
		return invalid(change, "its detail is no JSON object", err);
	if (change->payload && change->from != HD_SLOT_DUE && change->from != HD_SLOT_HELD)
		return invalid(change, "its payload is frozen", err);
	if (change->payload && (!change->adapter || change->payload_len == 0))
		return invalid(change, "a payload needs its bytes and its adapter", err);
	int rc = change->work ? hd_tx_has_chain(tx, change->work, &chain, err) : HYDRO_OK;
	for (uint32_t i = 0; change->values && i < HYDRO_FIELDS; i++)
		if (isinf(change->values[i]))
			return invalid(change, "a value is not a finite number", err);
	return rc == HYDRO_OK && !chain ? invalid(change, "there is no such work", err) : rc;
}

static bool fits(const struct row *row, const struct hd_slot_change *change)
{
	if (change->from == HD_SLOT_DUE || !row->there)
		return change->from == HD_SLOT_DUE && !row->there;
	if (row->slot.state != change->from)
		return false;
	if (is_claim(change) || change->epoch == 0)
		return true;
	if (row->slot.epoch != change->epoch)
		return false;
	/* A process that slept past its lease does not begin to send, even if nobody has taken the claim from it. */
	return !(change->from == HD_SLOT_CLAIMED && change->to == HD_SLOT_SENDING && row->slot.lease_until_ns <= hd_clock_mono_ns());
}

static int check_payload(const struct row *row, const struct hd_slot_change *change, struct hydro_error *err)
{
	if (change->payload && row->slot.marks & HD_SLOT_WAS_UNKNOWN)
		return invalid(change, "it may have been taken: its payload may not be made anew", err);
	if (!change->payload && row->trail.payload == 0 && needs_payload(change->to))
		return invalid(change, "it has no payload", err);
	return HYDRO_OK;
}

/* ---- the audit row ---------------------------------------------------------------------------------------------------- */

void hd_slot_values_json(struct hd_buf *out, int64_t measured_ms, const double *values)
{
	(void)hd_buf_printf(out, "\"measured_ms\":%lld", (long long)measured_ms);
	for (uint32_t i = 0; values && i < HYDRO_FIELDS; i++) {
		(void)hd_buf_add_text(out, i ? "," : ",\"values\":[");
		(void)hd_buf_add_number(out, values[i]);
	}
	if (values)
		(void)hd_buf_add_char(out, ']');
}

static bool says_something(const struct hd_slot_change *change)
{
	return change->receipt || change->add_marks || change->cause || change->adapter || change->payload || change->measured_ms;
}

static void slot_members(struct hd_buf *out, const struct hd_slot_change *change)
{
	size_t from = out->len;
	if (change->receipt) {
		(void)hd_buf_add_text(out, ",\"receipt\":");
		(void)hd_buf_add_json(out, change->receipt, strlen(change->receipt));
	}
	if (change->add_marks)
		(void)hd_buf_printf(out, ",\"marks\":%u", change->add_marks);
	if (change->cause) {
		(void)hd_buf_add_text(out, ",\"cause\":");
		(void)hd_buf_add_json(out, change->cause, strlen(change->cause));
	}
	if (change->adapter) {
		(void)hd_buf_add_text(out, ",\"adapter\":");
		(void)hd_buf_add_json(out, change->adapter, strlen(change->adapter));
	}
	if (change->payload || change->measured_ms) {
		(void)hd_buf_add_char(out, ',');
		hd_slot_values_json(out, change->measured_ms, change->values);
	}
	if (!out->failed)
		out->data[from] = '{';
	(void)hd_buf_add_char(out, '}');
}

/* What the row of the slot takes on is in its audit row too ("slot"), so that the chain proves it; then what the caller adds. */
static const char *detail_of(struct hd_tx *tx, const struct hd_slot_change *change, const struct row *row, bool claim, struct hydro_error *err)
{
	struct hd_buf *out = &tx->scratch;
	/* A joint claim's second row tells the rest. */
	bool all = !claim || change->to != HD_SLOT_SENDING, slot = all && says_something(change), more = all && change->detail && change->detail_len > 2;
	hd_buf_clear(out);
	if (claim)
		(void)hd_buf_printf(out, "{\"claim\":{\"epoch\":%u,\"owner\":%u}", row->slot.epoch, row->slot.owner);
	else
		(void)hd_buf_add_char(out, '{');
	if (slot) {
		(void)hd_buf_add_text(out, claim ? ",\"slot\":" : "\"slot\":");
		slot_members(out, change);
	}
	if (more) {
		(void)hd_buf_add_text(out, claim || slot ? "," : "");
		(void)hd_buf_add(out, change->detail + 1, change->detail_len - 1);
	} else {
		(void)hd_buf_add_char(out, '}');
	}
	const char *text = hd_buf_text(out);
	if (!text || out->failed) {
		(void)hd_error_set(err, HYDRO_E_NOMEM, "no memory for an audit row");
		return NULL;
	}
	return text;
}

static int audit(struct hd_tx *tx, const struct hd_slot_change *change, struct row *row, uint32_t from, uint32_t to, bool claim, struct hydro_error *err)
{
	const char *detail = detail_of(tx, change, row, claim, err);
	if (!detail)
		return HYDRO_E_NOMEM;
	struct hd_audit_row audited = {.work = change->work, .from = from, .to = to, .due_ms = change->due_ms, .at_ms = change->at_ms,
				       .actor = change->actor ? change->actor : "", .detail = detail,
				       .payload = claim ? NULL : change->payload, .payload_len = change->payload_len};
	int rc = hd_tx_audit(tx, &audited, &row->trail.row, err);
	if (rc != HYDRO_OK)
		return rc;
	if (row->trail.first == 0)
		row->trail.first = audited.sequence;
	if (audited.payload)
		row->trail.payload = audited.sequence;
	row->trail.last = audited.sequence;
	return HYDRO_OK;
}

/* ---- the slot's row --------------------------------------------------------------------------------------------------- */

static void take_cause(struct hd_slot *slot, const char *cause)
{
	size_t len = strlen(cause);
	if (len > CAUSE_BYTES_MAX)
		for (len = CAUSE_BYTES_MAX; len > 0 && ((unsigned char)cause[len] & 0xc0) == 0x80;)
			len--;
	memcpy(slot->cause, cause, len);
	slot->cause[len] = '\0';
}

static int freeze(struct hd_tx *tx, struct hd_slot *slot, const struct hd_slot_change *change, struct hydro_error *err)
{
	if (change->measured_ms)
		slot->measured_ms = change->measured_ms;
	for (uint32_t i = 0; change->values && i < HYDRO_FIELDS; i++)
		slot->values[i] = change->values[i];
	if (change->payload)
		slot->queued_ms = change->at_ms;
	return change->adapter ? hd_tx_name(tx, change->adapter, &slot->adapter, err) : HYDRO_OK;
}

static int change_slot(struct hd_tx *tx, struct hd_slot *slot, const struct hd_slot_change *change, struct hydro_error *err)
{
	uint32_t to = change->to;
	if (is_claim(change)) {
		slot->attempts = ++slot->epoch;
		slot->owner = tx->ledger->owner;
		slot->lease_until_ns = change->lease_until_ns;
	} else if (to != HD_SLOT_CLAIMED && to != HD_SLOT_SENDING) {
		slot->lease_until_ns = 0;
	}
	if (to != change->from && (to == HD_SLOT_CLAIMED || to == HD_SLOT_SENDING))
		slot->last_attempt_ms = change->at_ms;
	if (is_filed(to) && !is_filed(change->from))
		slot->filed_ms = change->at_ms;
	slot->state = to;
	slot->marks |= change->add_marks | (to == HD_SLOT_UNKNOWN ? HD_SLOT_WAS_UNKNOWN : 0);
	if (change->cause)
		take_cause(slot, change->cause);
	if (change->receipt)
		memcpy(slot->receipt, change->receipt, strlen(change->receipt) + 1);
	return change->payload || change->measured_ms || change->adapter ? freeze(tx, slot, change, err) : HYDRO_OK;
}

static void bind_time(sqlite3_stmt *stmt, int at, int64_t ms, int64_t due_ms)
{
	if (ms)
		hd_bind_int(stmt, at, ms - due_ms);
}

static void bind_value(sqlite3_stmt *stmt, int at, double value)
{
	if (!isnan(value))
		(void)sqlite3_bind_double(stmt, at, value);
}

static int store_slot(struct hd_tx *tx, const struct row *row, struct hydro_error *err)
{
	const struct hd_slot *slot = &row->slot;
	const struct hd_slot_trail *trail = &row->trail;
	sqlite3_stmt *stmt = row->there ? hd_db_prepare(tx->db, "UPDATE slots SET state = ?3, marks = ?4, adapter = ?5, epoch = ?6, owner = ?7, measured = ?8, queued = ?9,"
								" attempted = ?10, filed = ?11, lease = ?12, flow = ?13, total = ?14, level = ?15, receipt = ?16,"
								" cause = ?17, first = ?18, payload = ?19, last = ?20, row = ?21 WHERE work = ?1 AND due = ?2", err)
					: hd_db_prepare(tx->db, "INSERT INTO slots VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
								" ?18, ?19, ?20, ?21)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, slot->work);
	hd_bind_int(stmt, 2, slot->due_ms);
	hd_bind_int(stmt, 3, slot->state);
	hd_bind_int(stmt, 4, slot->marks);
	hd_bind_int(stmt, 5, slot->adapter);
	hd_bind_int(stmt, 6, slot->epoch);
	hd_bind_int(stmt, 7, slot->owner);
	bind_time(stmt, 8, slot->measured_ms, slot->due_ms);
	bind_time(stmt, 9, slot->queued_ms, slot->due_ms);
	bind_time(stmt, 10, slot->last_attempt_ms, slot->due_ms);
	bind_time(stmt, 11, slot->filed_ms, slot->due_ms);
	hd_bind_int(stmt, 12, slot->lease_until_ns);
	for (uint32_t i = 0; i < HYDRO_FIELDS; i++)
		bind_value(stmt, 13 + (int)i, slot->values[i]);
	hd_bind_text(stmt, 16, slot->receipt);
	hd_bind_text(stmt, 17, slot->cause);
	hd_bind_int(stmt, 18, (int64_t)trail->first);
	if (trail->payload)
		hd_bind_int(stmt, 19, (int64_t)(trail->payload - trail->first));
	hd_bind_int(stmt, 20, (int64_t)(trail->last - trail->first));
	hd_bind_int(stmt, 21, trail->row);
	return hd_db_run(tx->db, stmt, err);
}

/* ---- changes ---------------------------------------------------------------------------------------------------------- */

static int write_rows(struct hd_tx *tx, struct hd_slot_change *change, struct row *row, const struct hd_slot *before, struct hydro_error *err)
{
	bool claim = is_claim(change);
	int rc = HYDRO_OK;
	if (claim)
		rc = audit(tx, change, row, change->from, HD_SLOT_CLAIMED, true, err);
	if (rc == HYDRO_OK && (!claim || change->to == HD_SLOT_SENDING))
		rc = audit(tx, change, row, claim ? HD_SLOT_CLAIMED : change->from, change->to, false, err);
	if (rc == HYDRO_OK)
		rc = store_slot(tx, row, err);
	if (rc == HYDRO_OK && row->there)
		rc = hd_tx_count(tx, change->work, change->due_ms, before->state, before->marks, -1, err);
	if (rc == HYDRO_OK)
		rc = hd_tx_count(tx, change->work, change->due_ms, row->slot.state, row->slot.marks, 1, err);
	return rc;
}

int hd_tx_apply(struct hd_tx *tx, struct hd_slot_change *change, struct hydro_error *err)
{
	struct row row = {.slot = {.work = change->work, .due_ms = change->due_ms, .values = {NAN, NAN, NAN}}};
	int rc = check_change(tx, change, err);
	if (rc == HYDRO_OK)
		rc = load(tx, change, &row, err);
	if (rc != HYDRO_OK)
		return rc;
	if (!fits(&row, change)) {
		change->rc = HYDRO_E_CONFLICT;
		return HYDRO_OK;
	}
	struct hd_slot before = row.slot;
	rc = check_payload(&row, change, err);
	if (rc == HYDRO_OK)
		rc = change_slot(tx, &row.slot, change, err);
	if (rc == HYDRO_OK)
		rc = write_rows(tx, change, &row, &before, err);
	if (rc != HYDRO_OK)
		return rc;
	if (is_claim(change)) {
		change->epoch = row.slot.epoch;
		tx->claims = true;
	}
	tx->slots_ms = HD_MAX(tx->slots_ms, change->at_ms);
	change->rc = HYDRO_OK;
	return HYDRO_OK;
}

int hd_ledger_apply(struct hd_ledger *ledger, struct hd_slot_change *changes, uint32_t count, struct hydro_error *err)
{
	struct hd_tx tx;
	if (count == 0)
		return HYDRO_OK;
	int rc = hd_tx_begin(ledger, &tx, err);
	if (rc != HYDRO_OK)
		return rc;
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++)
		if ((rc = hd_tx_apply(&tx, &changes[i], err)) != HYDRO_OK)
			changes[i].rc = rc;
	return hd_tx_end(&tx, rc, err);
}
