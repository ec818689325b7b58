/* SPDX-License-Identifier: MIT */
/* Who somebody is to the API: the roles, and the principal that authentication yields. */
#ifndef HD_AUTH_ROLE_H
#define HD_AUTH_ROLE_H

#include <stdint.h>

/* X(NAME, number, text, doc). Numbers are stored: never reused. */
#define HD_AUTH_ROLES(X) \
	X(ADMIN, 0, "admin", "everything") \
	X(OPERATOR, 1, "operator", "runs the points: configuration, collecting, pipelines; no keys, no plugins") \
	X(ANALYST, 2, "analyst", "reads everything of points and their data") \
	X(CLIENT, 3, "client", "reads what is its own") \
	X(SERVICE, 4, "service", "another system: reads points and data, enters readings")

#define HD_AUTH_ROLE_CONSTANT(NAME, number, text, doc) HD_AUTH_##NAME = number,
enum hd_auth_role { HD_AUTH_ROLES(HD_AUTH_ROLE_CONSTANT) HD_AUTH_ROLE_END };
#undef HD_AUTH_ROLE_CONSTANT

#define HD_ROLE_BIT(NAME) (1u << HD_AUTH_##NAME)
#define HD_ROLES_ADMIN HD_ROLE_BIT(ADMIN)
#define HD_ROLES_WRITE (HD_ROLE_BIT(ADMIN) | HD_ROLE_BIT(OPERATOR))
#define HD_ROLES_ENTER (HD_ROLES_WRITE | HD_ROLE_BIT(SERVICE))
#define HD_ROLES_READ (HD_ROLES_ENTER | HD_ROLE_BIT(ANALYST))

#define HD_PRINCIPAL_NAME_BYTES 64u

struct hd_principal {
	int64_t id;    /* row of the API key; 0 = nobody */
	uint32_t role; /* enum hd_auth_role */
	char name[HD_PRINCIPAL_NAME_BYTES];
};

/* "admin" …; NULL for a number that is none. [any] */
const char *hd_auth_role_name(uint32_t role);
/* HD_AUTH_ROLE_END for an unknown name. [any] */
uint32_t hd_auth_role_by_name(const char *name);

#endif
