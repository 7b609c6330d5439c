/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The running daemon: the event loop, its timers and its signals.
 */
#ifndef ARIZMQ_OPS_SERVICE_H
#define ARIZMQ_OPS_SERVICE_H

#include "ops/config.h"
#include "ops/options.h"

/* Runs until SIGTERM or SIGINT, or until another bridge has taken over, and then drains; SIGUSR1
 * writes the metrics to stderr. Takes over itself where options->takeover says so. All are
 * borrowed. Must be called before any thread is started, because it takes the signals over. Returns
 * the process's exit status: 0 after an orderly stop, 1 where it could not start (the log says
 * why) or could not take over. */
int service_run(const struct config *config, const struct options *options);

#endif
