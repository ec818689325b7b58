/* SPDX-License-Identifier: MIT */
/* hydro-conformance [--options FILE.json] PLUGIN.so: prints one line a check (TAP), status 0 when none failed. */
#include "suite.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_SECONDS 60u
#define SKIPPED 77

static const char usage[] = "usage: hydro-conformance [--options FILE.json] PLUGIN.so\n"
			    "FILE.json: {\"instance\":{…},\"account\":{…},\"point\":{…},\"bodies\":[\"a good answer\",…],\n"
			    " \"filing\":{\"code\":\"a work's\",\"centre\":\"who files\",\"informant\":\"for whom\"}}\n";

/* Runs one check in a child; its words into `text`. Returns the child's wait status. */
static int run_check(const struct check *check, struct subject *subject, char *text, size_t size)
{
	int ends[2], status = 0;
	(void)fflush(NULL);
	if (pipe(ends) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		struct rlimit no_core = {0, 0};
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)dup2(ends[1], STDERR_FILENO);
		(void)close(ends[0]);
		(void)close(ends[1]);
		(void)alarm(CHECK_SECONDS);
		check->run(subject);
		hydro_testkit_close(&subject->kit);
		exit(0);
	}
	(void)close(ends[1]);
	size_t used = 0;
	for (ssize_t n; (n = read(ends[0], text + used, size - 1 - used)) > 0 || (n < 0 && errno == EINTR);)
		used += n > 0 ? (size_t)n : 0;
	text[used] = '\0';
	/* The first line that says something: a sanitizer's report begins with a rule. */
	char *line = text + strspn(text, "\n= ");
	line[strcspn(line, "\n")] = '\0';
	memmove(text, line, strlen(line) + 1);
	(void)close(ends[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return child > 0 ? status : -1;
}

static bool report(unsigned number, const struct check *check, int status, const char *text)
{
	bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED, good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	(void)printf("%s %u - %s%s%s\n", good || skipped ? "ok" : "not ok", number, check->name, skipped ? " # SKIP " : "", skipped ? text : "");
	if (!good && !skipped && WIFSIGNALED(status))
		(void)printf("# %s in the child of this check\n", WTERMSIG(status) == SIGALRM ? "no end within 60 s" : strsignal(WTERMSIG(status)));
	else if (!good && !skipped)
		(void)printf("# %s\n", text);
	return good || skipped;
}

static unsigned run_all(struct subject *subject)
{
	static const struct check *const lists[] = {file_checks, life_checks, provider_checks, parse_checks, filing_checks, other_checks};
	unsigned number = 0, failed = 0;
	for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++)
		for (const struct check *check = lists[l]; check->name; check++) {
			if (check->kind && check->kind != subject->plugin->kind)
				continue;
			static char text[65536];
			int status = run_check(check, subject, text, sizeof text);
			failed += !report(++number, check, status, text);
		}
	(void)printf("1..%u\n", number);
	return failed;
}

int main(int argc, char **argv)
{
	const char *options = argc == 4 && strcmp(argv[1], "--options") == 0 ? argv[2] : NULL;
	struct hydro_error err = {.struct_size = sizeof err};
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0;
	if (argc != 2 && !options) {
		(void)fputs(usage, stderr);
		return 2;
	}
	struct subject subject = {.path = argv[argc - 1]};
	if (hydro_testkit_open_file(subject.path, &subject.kit, &err) != HYDRO_OK) {
		(void)printf("not ok 1 - is a plugin\n# %s: %s\n1..1\n", subject.path, err.text);
		return 1;
	}
	subject.plugin = hydro_testkit_plugin(subject.kit);
	if (!subject_fill(&subject, options))
		return 2;
	unsigned failed = run_all(&subject);
	free(subject.instance);
	free(subject.account);
	free(subject.point);
	free(subject.code);
	free(subject.centre);
	free(subject.informant);
	for (uint32_t i = 0; i < subject.body_count; i++)
		free(subject.bodies[i]);
	hydro_testkit_close(&subject.kit);
	return failed ? 1 : 0;
}
