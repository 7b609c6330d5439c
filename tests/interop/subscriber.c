/* SPDX-License-Identifier: MPL-2.0 */
#include <arizmq/error.h>
#include <arizmq/subscriber.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char *const prefixes[] = {"StasisStart/", "ArizmqGap/"};
    const struct arizmq_endpoint bridge = {
        .events = argc > 1 ? argv[1] : "tcp://127.0.0.1:5555",
        .gateway = argc > 2 ? argv[2] : "tcp://127.0.0.1:5558"};
    const struct arizmq_subscriber_options options = {
        .prefixes = prefixes, .prefixes_count = 2, .endpoints = &bridge, .endpoints_count = 1};
    struct arizmq_subscriber *subscriber = NULL;
    if (arizmq_subscriber_create(&options, &subscriber) != ARIZMQ_OK) {
        return 1;
    }
    struct arizmq_message message;
    for (;;) {
        if (arizmq_subscriber_receive(subscriber, -1, &message) != ARIZMQ_OK) {
            continue; /* a signal came */
        }
        if (message.kind == ARIZMQ_MESSAGE_EVENT) {
            printf("%.*s\n", (int)message.event_length, message.event);
        } else if (message.kind == ARIZMQ_MESSAGE_LOSS) {
            printf("%llu lost: %s\n", (unsigned long long)message.missing, message.detail);
        }
        fflush(stdout);
    }
}
