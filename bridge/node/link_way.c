/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where a link's connection goes to, put together once from the configuration, so that a connection
 * never depends on a configuration that has been replaced meanwhile. link.c makes the first one of
 * a link, link_successor.c each further one.
 */
#include "node/link_way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "arizmq/error.h"

static char *print_authorization(const struct config_node *node)
{
    size_t size = 16 + (strlen(node->username) + strlen(node->password) + 1) * 2;
    char *value = malloc(size);
    if (value != NULL &&
        lws_http_basic_auth_gen(node->username, node->password, value, size) != 0) {
        free(value);
        value = NULL;
    }
    return value;
}

/* Without memory the text stays NULL. */
static void print(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print(char **out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(out, format, arguments) < 0) {
        *out = NULL;
    }
    va_end(arguments);
}

static int write_texts(struct link_way *way, const struct config_node *node,
                       const char *application)
{
    char name[512];
    lws_urlencode(name, application, sizeof name);
    print(&way->application_path, "%s/applications/%s", node->path, name);
    print(&way->subscribe_path,
          "%s/applications/%s/subscription?eventSource=channel:,bridge:,endpoint:,deviceState:",
          node->path, name);
    print(&way->unsubscribe_path,
          "%s/applications/%s/subscription?eventSource=deviceState:", node->path, name);
    print(&way->events_path, "%s/events?app=%s%s", node->path, name,
          way->hears_all ? "&subscribeAll=true" : "");
    way->host = strdup(node->host);
    way->address = calloc(1, INET6_ADDRSTRLEN);
    way->authorization = print_authorization(node);
    bool is_whole = way->application_path != NULL && way->subscribe_path != NULL &&
                    way->unsubscribe_path != NULL && way->events_path != NULL &&
                    way->host != NULL && way->address != NULL && way->authorization != NULL;
    return is_whole ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

int link_way_create(const struct link_environment *environment, const struct config_node *node,
                    const char *application, struct tls_host *tls, struct link_way *out)
{
    struct link_way way = {
        .hears_all = node->subscribe_all && strcmp(node->subscribe_all_app, application) == 0,
        .tls = tls_host_hold(tls),
    };
    if (write_texts(&way, node, application) != ARIZMQ_OK) {
        link_way_release(&way);
        return ARIZMQ_ENOMEM;
    }
    way.target = (struct target){
        .context = environment->context,
        .vhost = tls != NULL ? tls_host_vhost(tls) : environment->vhost,
        .address = way.address,
        .host = way.host,
        .port = node->port,
        .use_tls = node->use_tls,
        .verify = node->tls.verify,
        .authorization = way.authorization,
        .max_message_bytes = environment->config->limits.max_event_bytes,
    };
    *out = way;
    return ARIZMQ_OK;
}

void link_way_release(struct link_way *self)
{
    free(self->host);
    free(self->address);
    free(self->authorization);
    free(self->events_path);
    free(self->application_path);
    free(self->subscribe_path);
    free(self->unsubscribe_path);
    tls_host_release(&self->tls);
    *self = (struct link_way){0};
}
