/* SPDX-License-Identifier: MIT */
/* The system calls by which the journal writes, so that tests can let them fail. */
#ifndef HD_JOURNAL_IO_H
#define HD_JOURNAL_IO_H

#include <sys/types.h>
#include <sys/uio.h>

/* Each as the system call of its name: -1 and errno on failure. [journal, keeper, control] */
struct hd_journal_io {
	void *arg;
	ssize_t (*pwritev)(void *arg, int fd, const struct iovec *iov, int count, off_t offset);
	int (*fdatasync)(void *arg, int fd);
	int (*fallocate)(void *arg, int fd, off_t bytes);
};

extern const struct hd_journal_io hd_journal_io_system;

#endif
