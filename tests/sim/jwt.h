/* SPDX-License-Identifier: MIT */
/* Tokens in the form of a JWT (HS256); the signature is a keyed hash of our own, good for nothing but this simulator. All [any]. */
#ifndef SIM_JWT_H
#define SIM_JWT_H

#include "sim.h"

#define SIM_JWT_TEXT 512u

#define SIM_JWT_OK 0
#define SIM_JWT_UNKNOWN 1
#define SIM_JWT_EXPIRED 2

void sim_account_user(uint32_t provider, uint32_t account, char ret[SIM_KEY_TEXT]);
/* Obviously not a secret, but hard to guess by accident. */
void sim_account_password(const struct sim *sim, uint32_t provider, uint32_t account, char ret[SIM_TOKEN_TEXT]);

/* A token for the account, to live for config.token_life_ms from now_ms. */
void sim_jwt_make(struct sim *sim, uint32_t account, int64_t now_ms, char ret[SIM_JWT_TEXT]);
/* SIM_JWT_*; the account of a token that is good. */
int sim_jwt_check(struct sim *sim, const char *token, size_t len, int64_t now_ms, uint32_t *ret_account);

#endif
