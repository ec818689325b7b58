/* SPDX-License-Identifier: MIT */
#include "net/certificate.h"

#include "check.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

void certificate_make(const char *dir)
{
	pid_t child = fork();
	if (child == 0) {
		if (chdir(dir) != 0 || !freopen("/dev/null", "w", stderr))
			_exit(126);
		execlp("openssl", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
		       "key.pem", "-out", "cert.pem", "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
		       (char *)NULL);
		_exit(127);
	}
	int status;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the openssl tool is needed");
}
