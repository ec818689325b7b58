/* SPDX-License-Identifier: MIT */
/* The conformance suite: what every plugin must do, whatever it is for. Each check runs in a child of its own. */
#ifndef HYDRO_CONFORMANCE_SUITE_H
#define HYDRO_CONFORMANCE_SUITE_H

#include <hydro/testkit.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct cJSON;

#define BODIES_MAX 16u
#define SECRET_MARK "hush-5ecret"

/* What the checks work with; made before the first check and not changed by them. */
struct subject {
	const char *path;
	hydro_testkit *kit;       /* opened, without an instance */
	const hydro_plugin *plugin;
	char *instance, *account, *point; /* options as JSON */
	char *bodies[BODIES_MAX]; /* good answers, from the options file */
	uint32_t body_count;
	char *code, *centre, *informant; /* of a sink that files: of a work, and of who files for it */
};

/* Ends the check's child with what is wrong. */
#define REQUIRE(cond, ...) ((cond) ? (void)0 : ((void)fprintf(stderr, "%s: ", #cond), (void)fprintf(stderr, __VA_ARGS__), exit(1)))
/* Ends it as not applicable. */
#define SKIP(...) ((void)fprintf(stderr, __VA_ARGS__), exit(77))

struct check {
	const char *name;
	uint32_t kind; /* HYDRO_KIND_*; 0 = every kind */
	void (*run)(struct subject *subject);
};

extern const struct check file_checks[], life_checks[], provider_checks[], parse_checks[], filing_checks[], other_checks[]; /* end with a NULL name */

/* Options that the rows take, secrets carrying SECRET_MARK; `file` (may be NULL) overrides: {"instance":{…},"account":{…},
 * "point":{…},"bodies":["…"],"filing":{"code","centre","informant"}}. false with a message printed when the file is not of that form. */
bool subject_fill(struct subject *subject, const char *file);
/* Creates an instance with the subject's options; skips the check when the plugin's own service is needed and not there. */
void subject_create(struct subject *subject);
/* The same, and begins a poll. */
void subject_poll(struct subject *subject);

#endif
