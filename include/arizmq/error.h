/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The errors that functions of this project return: 0 is success, a failure is one of these,
 * always negative. Out-parameters are written only on success.
 */
#ifndef ARIZMQ_ERROR_H
#define ARIZMQ_ERROR_H

enum arizmq_error {
    ARIZMQ_OK = 0,
    ARIZMQ_EINVALID = -1,  /* the input breaks the rules of its format */
    ARIZMQ_ETOOLARGE = -2, /* a configured or documented bound was exceeded */
    ARIZMQ_ENOMEM = -3,
    ARIZMQ_EIO = -4, /* the operating system or a library refused; errno may tell more */
    ARIZMQ_ENOTFOUND = -5,
    ARIZMQ_ECLOSED = -6, /* the peer or the owner is gone */
    ARIZMQ_EUNREACHABLE =
        -7,                /* nobody answers there, or nobody who speaks ZeroMQ: nothing was sent */
    ARIZMQ_ETIMEOUT = -8,  /* it did not come in time */
    ARIZMQ_EPROTOCOL = -9, /* what the peer sent is not what it should be */
};

#endif
