/* SPDX-License-Identifier: MPL-2.0 */
#include "zmtp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sockets.h"

enum { GREETING_BYTES = 64, COMMAND_MAX = 512 };

static void write_greeting(int fd)
{
    uint8_t greeting[GREETING_BYTES] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0};
    memcpy(greeting + 12, "NULL", 4);
    sockets_write(fd, greeting, sizeof greeting);
}

static void write_ready(int fd, const char *socket_type)
{
    /* The command's name, the property's name, the value's length in four bytes, the value. */
    char ready[64];
    int length = snprintf(ready, sizeof ready, "\x05READY\x0bSocket-Type%c%c%c%c%s", 0, 0, 0,
                          (int)strlen(socket_type), socket_type);
    uint8_t frame[ZMTP_HEADER_MAX + sizeof ready];
    size_t header = zmtp_write_header(frame, ZMTP_COMMAND, (size_t)length);
    memcpy(frame + header, ready, (size_t)length);
    sockets_write(fd, frame, header + (size_t)length);
}

void zmtp_shake_hands(int fd, const char *socket_type)
{
    uint8_t greeting[GREETING_BYTES];
    uint8_t command[COMMAND_MAX];
    write_greeting(fd);
    sockets_read(fd, greeting, sizeof greeting);
    errno = 0;
    if (greeting[10] < 3 || memcmp(greeting + 12, "NULL", 5) != 0) {
        sockets_fail("the peer does not speak ZMTP 3 with the NULL mechanism");
    }
    write_ready(fd, socket_type);
    sockets_read(fd, command, 2);
    uint8_t length = command[1];
    if (command[0] != ZMTP_COMMAND) {
        sockets_fail("the peer did not send READY");
    }
    sockets_read(fd, command, length);
    if (length < 6 || memcmp(command, "\x05READY", 6) != 0) {
        sockets_fail("the peer did not send READY");
    }
}

void zmtp_subscribe(int fd, const char *prefix)
{
    uint8_t frame[256];
    size_t length = strlen(prefix);
    if (length + 3 > sizeof frame) {
        errno = 0;
        sockets_fail("the prefix is too long");
    }
    zmtp_write_header(frame, 0, length + 1);
    frame[2] = 1;
    memcpy(frame + 3, prefix, length);
    sockets_write(fd, frame, length + 3);
}
