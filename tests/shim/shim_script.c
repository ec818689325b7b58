/* SPDX-License-Identifier: MIT */
/* Does to a folder what its arguments say, one after the other: what test_powercut.py checks the shim itself with. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 3;
}

static int put(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | flags, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return fail(path);
	return close(fd);
}

static int sync_path(const char *path)
{
	int fd = open(path, O_RDONLY);
	if (fd < 0 || fsync(fd) != 0)
		return fail(path);
	return close(fd);
}

/* write F TEXT | append F TEXT | over F TEXT | sync F | rename A B | unlink F | mkdir D | cut F SIZE */
int main(int argc, char **argv)
{
	int rc = 0;
	for (int i = 1; i < argc && rc == 0;) {
		const char *verb = argv[i], *a = i + 1 < argc ? argv[i + 1] : "", *b = i + 2 < argc ? argv[i + 2] : "";
		bool two = true;
		if (strcmp(verb, "write") == 0)
			rc = put(a, b, O_CREAT | O_TRUNC);
		else if (strcmp(verb, "append") == 0)
			rc = put(a, b, O_CREAT | O_APPEND);
		else if (strcmp(verb, "over") == 0)
			rc = put(a, b, 0);
		else if (strcmp(verb, "rename") == 0)
			rc = rename(a, b) == 0 ? 0 : fail(a);
		else if (strcmp(verb, "cut") == 0)
			rc = truncate(a, atol(b)) == 0 ? 0 : fail(a);
		else
			two = false;
		if (strcmp(verb, "sync") == 0)
			rc = sync_path(a);
		else if (strcmp(verb, "unlink") == 0)
			rc = unlink(a) == 0 ? 0 : fail(a);
		else if (strcmp(verb, "mkdir") == 0)
			rc = mkdir(a, 0700) == 0 ? 0 : fail(a);
		i += two ? 3 : 2;
	}
	return rc;
}
