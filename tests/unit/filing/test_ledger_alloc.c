/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for n = 1, 2, … until the call gets through: what fails says so and leaves nothing. SQLite's own memory is not
 * touched, as its statements may keep what they have for a while. */
#include "ledger_kit.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local long until_failure;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
	return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

#define N_MAX 500

/* `undo` runs after a failed try. */
#define FOR_EACH_ALLOCATION(code, call, undo)                                              \
	for (long n_ = 1;; n_++) {                                                         \
		cr_assert_lt(n_, N_MAX);                                                   \
		until_failure = n_;                                                        \
		int code = (call);                                                         \
		bool reached_ = until_failure == 0;                                        \
		until_failure = 0;                                                         \
		if (!reached_) {                                                           \
			cr_assert_eq(code, HYDRO_OK);                                      \
			cr_assert_gt(n_, 1, "nothing was allocated");                      \
			break;                                                             \
		}                                                                          \
		cr_assert_eq(code, HYDRO_E_NOMEM, "allocation %d: %d", (int)n_, code);     \
		undo;                                                                      \
	}

static uint64_t rows(struct ledger_kit *kit)
{
	struct hd_ledger_verdict verdict;
	cr_assert_eq(hd_ledger_verify(kit->ledger, HD_LEDGER_ALL, &verdict, &kit->err), HYDRO_OK, "%s", kit->err.text);
	cr_assert(verdict.good, "%s", verdict.text);
	return verdict.rows;
}

static int file_one(struct ledger_kit *kit, int64_t due_ms)
{
	struct hd_slot_change changes[2] = {ledger_kit_change(1, due_ms, HD_SLOT_DUE, HD_SLOT_QUEUED), ledger_kit_change(1, due_ms, HD_SLOT_QUEUED, HD_SLOT_SENDING)};
	changes[0].cause = "a \"cause\"";
	return hd_ledger_apply(kit->ledger, changes, 2, &kit->err);
}

static int pack(struct ledger_kit *kit)
{
	struct hd_pack_plan plan = {.before_ms = INT64_MAX, .rows_min = 12};
	struct hd_pack_done done = {.more = true};
	return hd_ledger_pack(kit->ledger, &plan, &done, &kit->err);
}

static int see(void *arg, const struct hd_informant *informant, struct hydro_error *err)
{
	(void)err;
	*(bool *)arg = strcmp(informant->secret, "secreta") == 0;
	return HYDRO_OK;
}

static int drop(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	(void)arg, (void)row, (void)err;
	return HYDRO_OK;
}

static int verify(struct ledger_kit *kit)
{
	struct hd_ledger_verdict verdict;
	return hd_ledger_verify(kit->ledger, HD_LEDGER_ALL, &verdict, &kit->err);
}

Test(ledger_alloc, changes_packs_anchors_and_verification_survive_each_failing_allocation)
{
	struct ledger_kit kit;
	struct hd_buf payload = {0};
	char adapter[64];
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	for (int hour = 0; hour < 8; hour++)
		ledger_kit_file(&kit, 1, KIT_DUE + hour * KIT_HOUR, "R");
	uint64_t before = rows(&kit);
	FOR_EACH_ALLOCATION(rc, file_one(&kit, KIT_DUE + 20 * KIT_HOUR), cr_assert_eq(rows(&kit), before));
	cr_assert_eq(rows(&kit), before + 3);
	FOR_EACH_ALLOCATION(rc, hd_ledger_anchor(kit.ledger, 20454, KIT_DUE, &kit.err), (void)0);
	FOR_EACH_ALLOCATION(rc, verify(&kit), (void)0);
	FOR_EACH_ALLOCATION(rc, hd_ledger_audit(kit.ledger, 1, 0, drop, NULL, &kit.err), (void)0);
	FOR_EACH_ALLOCATION(rc, pack(&kit), cr_assert_eq(rows(&kit), before + 3));
	cr_assert_eq(rows(&kit), before + 3);
	FOR_EACH_ALLOCATION(rc, verify(&kit), (void)0);
	FOR_EACH_ALLOCATION(rc, hd_ledger_audit(kit.ledger, 1, KIT_DUE, drop, NULL, &kit.err), (void)0);
	FOR_EACH_ALLOCATION(rc, hd_ledger_payload(kit.ledger, 1, KIT_DUE, &payload, adapter, &kit.err), hd_buf_done(&payload));
	cr_assert_str_eq(hd_buf_text(&payload), KIT_PAYLOAD);
	hd_buf_done(&payload);
	ledger_kit_end(&kit);
}

static int try_open(struct ledger_kit *kit)
{
	int rc = ledger_kit_open(kit);
	return rc;
}

Test(ledger_alloc, opening_and_the_registry_survive_each_failing_allocation)
{
	struct ledger_kit kit;
	bool opened = false;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 1);
	ledger_kit_file(&kit, 1, KIT_DUE, "R");
	struct hd_informant informant = {.name = "Juana", .identifier = "12531909-2", .secret = "secreta"};
	FOR_EACH_ALLOCATION(rc, hd_ledger_informant_create(kit.ledger, &informant, "ana", &kit.err), memset(&informant.id, 0, sizeof informant.id));
	cr_assert_eq(informant.number, 1, "what failed took no number");
	FOR_EACH_ALLOCATION(rc, hd_ledger_informant_get(kit.ledger, 1, NULL, true, see, &opened, &kit.err), (void)0);
	cr_assert(opened);
	struct hd_work work = ledger_kit_work("OB-0001-99");
	work.options = work.adapters = "";
	FOR_EACH_ALLOCATION(rc, hd_ledger_work_create(kit.ledger, &work, "ana", &kit.err), memset(&work.id, 0, sizeof work.id));
	cr_assert_eq(work.number, 2);
	work.name = "otro";
	FOR_EACH_ALLOCATION(rc, hd_ledger_work_replace(kit.ledger, &work, "ana", "", &kit.err), work.version = 1);
	FOR_EACH_ALLOCATION(rc, hd_ledger_setting_put(kit.ledger, "k", "v", "ana", "", &kit.err), (void)0);
	ledger_kit_close(&kit);
	FOR_EACH_ALLOCATION(rc, try_open(&kit), cr_assert_null(kit.ledger));
	cr_assert_not(kit.restored);
	(void)rows(&kit);
	ledger_kit_end(&kit);
}
