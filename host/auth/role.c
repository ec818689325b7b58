/* SPDX-License-Identifier: MIT */
#include "auth/role.h"

#include <stddef.h>
#include <string.h>

#define ROLE_TEXT(NAME, number, text, doc) [number] = text,
static const char *const role_names[HD_AUTH_ROLE_END] = {HD_AUTH_ROLES(ROLE_TEXT)};
#undef ROLE_TEXT

const char *hd_auth_role_name(uint32_t role)
{
	return role < HD_AUTH_ROLE_END ? role_names[role] : NULL;
}

uint32_t hd_auth_role_by_name(const char *name)
{
	uint32_t role = 0;
	while (role < HD_AUTH_ROLE_END && strcmp(role_names[role], name) != 0)
		role++;
	return role;
}
