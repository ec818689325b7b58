/* SPDX-License-Identifier: MIT */
/* What is wrong with a script, and where: for people at an editor, a terminal or a REST client. */
#ifndef HD_LUA_DIAG_H
#define HD_LUA_DIAG_H

#include "base/buf.h"

#include <stdint.h>

#define HD_DIAG_FILE_BYTES 192u
#define HD_DIAG_TEXT_BYTES 400u

struct hd_diag {
	char file[HD_DIAG_FILE_BYTES];
	uint32_t line;   /* from 1; 0 = the file as a whole */
	uint32_t column; /* from 1, in bytes; 0 = unknown */
	char message[HD_DIAG_TEXT_BYTES];
	char hint[HD_DIAG_TEXT_BYTES]; /* "" = none */
};

/*
 * Fills `diag` from a Lua message "file:line: text" (without such a head: line 0 of `file`). The column is that of the
 * quoted word of the message ('near <word>', 'unknown step <word>') in its line of `source`, when it stands there once
 * or more. A text after "\nhint: " becomes the hint. `source` may be NULL. [any]
 */
void hd_diag_from_lua(struct hd_diag *diag, const char *file, const char *source, const char *message);
/* "file:line:column: message (hint)", what is unknown left out. [any] */
void hd_diag_text(const struct hd_diag *diag, char *ret, size_t ret_bytes);
/* {"file":…,"line":…,"column":…,"message":…,"hint":…} [any] */
bool hd_diag_json(const struct hd_diag *diag, struct hd_buf *ret);
/* Column (from 1, bytes) of `word` as a whole word in a line of `source`; 0 when it is not there. [any] */
uint32_t hd_diag_column(const char *source, uint32_t line, const char *word);
/* The one of `count` names (the i-th by `name(arg, i)`) nearest to `word` by edits; NULL when none is near. [any] */
const char *hd_diag_nearest(const char *word, const char *(*name)(const void *arg, uint32_t i), const void *arg, uint32_t count);

#endif
