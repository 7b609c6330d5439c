/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The header of a request as JSON.
 */
#ifndef ARIZMQ_CLIENT_REQUEST_HEADER_H
#define ARIZMQ_CLIENT_REQUEST_HEADER_H

#include <jansson.h>

#include "arizmq/gateway.h"

/* Makes the header, with a new UUID where the request has no request_id; the caller frees it with
 * json_decref(). Returns ARIZMQ_OK; ARIZMQ_EINVALID with *why a few words about what is wrong;
 * ARIZMQ_EIO without random numbers, ARIZMQ_ENOMEM. */
int request_header_make(const struct arizmq_request *request, json_t **out, const char **why);

#endif
