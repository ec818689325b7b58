/* SPDX-License-Identifier: MIT */
/* A certificate for 127.0.0.1, made by the openssl tool at run time, so that no key lies in the tree. */
#ifndef HD_TESTS_CERTIFICATE_H
#define HD_TESTS_CERTIFICATE_H

/* Leaves key.pem and cert.pem in the folder. */
void certificate_make(const char *dir);

#endif
