/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One thread for one load: the sources again, the nodes into their slots, the differences into a
 * plan. reload.c begins it and takes what came of it. The thread touches nothing but its order and,
 * at the end, the lock.
 */
#include "ops/reload_load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

enum { NAME_SIZE = 65 }; /* nodes[].name has at most 64 bytes */

struct reload_load {
    struct lws_context *context;
    struct config_source source;
    const struct config *running; /* held */
    char (*names)[NAME_SIZE];     /* "": a free slot */
    unsigned names_count;
    struct reload_loaded loaded;

    pthread_mutex_t lock; /* guards what follows */
    bool is_done;
    bool is_dropped;
};

static void load_free(struct reload_load *load)
{
    reload_plan_destroy(&load->loaded.plan);
    config_destroy(&load->loaded.config);
    config_release(&load->running);
    pthread_mutex_destroy(&load->lock);
    free(load->names);
    free(load);
}

/* The gateway keeps its endpoint until a restart, whatever the file says: no view can have it. */
static bool takes_gateway(const struct config *config, char *error, size_t error_size)
{
    for (unsigned i = 0; config->gateway.enabled && i < config->publish_count; i++) {
        if (strcmp(config->publish[i].endpoint, config->gateway.endpoint) == 0 &&
            strstr(config->gateway.endpoint, ":*") == NULL) {
            snprintf(error, error_size,
                     "publish[%u].endpoint: \"%s\" is where the running gateway is; allowed: "
                     "another one, or a restart",
                     i, config->publish[i].endpoint);
            return true;
        }
    }
    return false;
}

static void place_and_compare(struct reload_load *load)
{
    struct reload_loaded *loaded = &load->loaded;
    const char **names = calloc(load->names_count + 1UL, sizeof *names);
    loaded->result = names != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    for (unsigned i = 0; loaded->result == ARIZMQ_OK && i < load->names_count; i++) {
        names[i] = load->names[i][0] != '\0' ? load->names[i] : NULL;
    }
    if (loaded->result == ARIZMQ_OK) {
        loaded->result = config_place_nodes(loaded->config, names, load->names_count);
    }
    free(names);
    if (loaded->result == ARIZMQ_OK) {
        loaded->result = reload_plan_create(load->running, loaded->config, &loaded->plan);
    }
    if (loaded->result == ARIZMQ_OK &&
        takes_gateway(loaded->config, loaded->error, sizeof loaded->error)) {
        loaded->result = ARIZMQ_EINVALID;
    } else if (loaded->result == ARIZMQ_ETOOLARGE) {
        snprintf(loaded->error, sizeof loaded->error,
                 "nodes: too many that were removed are not gone yet; allowed: %d in all, later",
                 CONFIG_SLOTS_MAX);
    } else if (loaded->result != ARIZMQ_OK) {
        snprintf(loaded->error, sizeof loaded->error, "no memory for a second configuration");
    }
}

static void *load_thread(void *argument)
{
    struct reload_load *load = argument;
    struct reload_loaded *loaded = &load->loaded;
    loaded->result =
        config_load(&load->source, &loaded->config, loaded->error, sizeof loaded->error);
    if (loaded->result == ARIZMQ_OK) {
        place_and_compare(load);
    }
    pthread_mutex_lock(&load->lock);
    load->is_done = true;
    bool is_dropped = load->is_dropped;
    if (!is_dropped) {
        lws_cancel_service(load->context); /* inside the lock: it lives until the load is dropped */
    }
    pthread_mutex_unlock(&load->lock);
    if (is_dropped) {
        load_free(load);
    }
    return NULL;
}

static int start_thread(struct reload_load *load)
{
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int failed = pthread_create(&thread, &detached, load_thread, load);
    pthread_attr_destroy(&detached);
    return failed == 0 ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

int reload_load_begin(struct lws_context *context, const struct config_source *source,
                      const struct config *running, const char *const *names, unsigned count,
                      struct reload_load **out)
{
    struct reload_load *load = calloc(1, sizeof *load);
    if (load == NULL) {
        return ARIZMQ_ENOMEM;
    }
    pthread_mutex_init(&load->lock, NULL);
    load->context = context;
    load->source = *source;
    load->running = config_hold(running);
    load->names_count = count;
    load->names = calloc(count + 1UL, sizeof *load->names);
    int result = load->names != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    for (unsigned i = 0; result == ARIZMQ_OK && i < count; i++) {
        snprintf(load->names[i], NAME_SIZE, "%s", names[i] != NULL ? names[i] : "");
    }
    if (result == ARIZMQ_OK) {
        result = start_thread(load);
    }
    if (result != ARIZMQ_OK) {
        load_free(load);
        return result;
    }
    *out = load;
    return ARIZMQ_OK;
}

bool reload_load_take(struct reload_load **self, struct reload_loaded *out)
{
    struct reload_load *load = *self;
    pthread_mutex_lock(&load->lock);
    bool is_done = load->is_done;
    pthread_mutex_unlock(&load->lock);
    if (!is_done) {
        return false;
    }
    *out = load->loaded;
    load->loaded = (struct reload_loaded){0};
    load_free(load);
    *self = NULL;
    return true;
}

void reload_load_drop(struct reload_load **self)
{
    struct reload_load *load = *self;
    *self = NULL;
    if (load == NULL) {
        return;
    }
    pthread_mutex_lock(&load->lock);
    load->is_dropped = true;
    bool is_done = load->is_done;
    pthread_mutex_unlock(&load->lock);
    if (is_done) { /* else the thread frees it */
        load_free(load);
    }
}
