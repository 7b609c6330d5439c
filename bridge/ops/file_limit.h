/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How many files may be open: each link and each subscriber is one, and libzmq aborts where it gets
 * none.
 */
#ifndef ARIZMQ_OPS_FILE_LIMIT_H
#define ARIZMQ_OPS_FILE_LIMIT_H

#include <stddef.h>

#include "ops/config.h"

/* Raises the soft limit of the process as far as it is sensible and allowed. */
void file_limit_raise(void);

/* Whether it suffices for `config`. Returns ARIZMQ_OK, or ARIZMQ_EIO with one line in
 * error[error_size]. */
int file_limit_check(const struct config *config, char *error, size_t error_size);

#endif
