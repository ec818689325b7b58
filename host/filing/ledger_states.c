/* SPDX-License-Identifier: MIT */
/* The states of a slot and the ways between them, as tables. */
#include "filing/ledger_inner.h"

#include <string.h>

#define NAME(NAME_, number, text, doc) [number] = text,
static const char *const names[HD_SLOT_STATE_COUNT] = {HD_SLOT_STATES(NAME)};
#undef NAME

#define TO(state) (1u << HD_SLOT_##state)
#define TAKEN (TO(FILED) | TO(FILED_NO_RECEIPT) | TO(FILED_DIFFERS))

/*
 * What may follow a state, beside itself (an event that changes none). CLAIMED and SENDING come back to QUEUED only where no byte
 * can have left. UNKNOWN goes straight to what a late answer tells. QUEUED and REFUSED become UNKNOWN after a restore. What is filed is never
 * sent again: nothing leads from there to CLAIMED.
 */
static const uint32_t ways[HD_SLOT_STATE_COUNT] = {
	[HD_SLOT_DUE] = TO(QUEUED) | TO(HELD) | TO(MISSING) | TO(SHADOW) | TO(BY_HAND),
	[HD_SLOT_QUEUED] = TO(CLAIMED) | TO(HELD) | TO(UNKNOWN) | TO(SHADOW) | TO(BY_HAND),
	[HD_SLOT_CLAIMED] = TO(SENDING) | TO(QUEUED) | TO(UNKNOWN) | TO(REFUSED) | TO(HELD),
	[HD_SLOT_SENDING] = TAKEN | TO(UNKNOWN) | TO(REFUSED) | TO(HELD) | TO(QUEUED),
	[HD_SLOT_FILED] = TO(FILED_DIFFERS),
	[HD_SLOT_FILED_NO_RECEIPT] = TO(FILED) | TO(FILED_DIFFERS) | TO(BY_HAND),
	[HD_SLOT_FILED_DIFFERS] = TO(FILED) | TO(BY_HAND),
	[HD_SLOT_UNKNOWN] = TO(CLAIMED) | TAKEN | TO(REFUSED) | TO(HELD) | TO(BY_HAND),
	[HD_SLOT_REFUSED] = TO(CLAIMED) | TO(HELD) | TO(UNKNOWN) | TO(BY_HAND),
	[HD_SLOT_HELD] = TO(QUEUED) | TO(UNKNOWN) | TO(REFUSED) | TO(SHADOW) | TO(BY_HAND),
	[HD_SLOT_MISSING] = TO(BY_HAND),
	[HD_SLOT_SHADOW] = TO(BY_HAND),
	[HD_SLOT_BY_HAND] = 0,
};

const char *hd_slot_state_name(uint32_t state)
{
	return state < HD_SLOT_STATE_COUNT && names[state] ? names[state] : "";
}

bool hd_slot_state_parse(const char *text, uint32_t *ret)
{
	for (uint32_t i = 0; i < HD_SLOT_STATE_COUNT; i++) {
		if (names[i] && strcmp(text, names[i]) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

bool hd_slot_state_is_final(uint32_t state)
{
	return (1u << state & (TAKEN | TO(MISSING) | TO(SHADOW) | TO(BY_HAND))) != 0;
}

bool hd_slot_way_is_open(uint32_t from, uint32_t to)
{
	if (from >= HD_SLOT_STATE_COUNT || to >= HD_SLOT_STATE_COUNT || !names[from] || !names[to])
		return false;
	return from == to ? from != HD_SLOT_DUE : (ways[from] & 1u << to) != 0;
}
