/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The running daemon: the event loop, its timers and its signals.
 */
#ifndef ARIZMQ_OPS_SERVICE_H
#define ARIZMQ_OPS_SERVICE_H

#include "ops/config.h"
#include "ops/options.h"

/* Keeps a SIGHUP back until service_run() can answer it; to be called before the configuration is
 * read, because what it says may be older than the signal. */
void service_hold_reload(void);

/* Runs until SIGTERM or SIGINT, or until another bridge has taken over, and then drains; SIGUSR1
 * writes the metrics to stderr, SIGHUP reads `source` again. Takes over itself where
 * options->takeover says so. `config` is what was read from `source`; it is held, the others are
 * borrowed for the process's life. Must be called before any thread is started, because it takes
 * the signals over. Returns the process's exit status: 0 after an orderly stop, 1 where it could
 * not start (the log says why) or could not take over. */
int service_run(const struct config *config, const struct config_source *source,
                const struct options *options);

#endif
