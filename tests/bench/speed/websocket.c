/* SPDX-License-Identifier: MPL-2.0 */
#include "websocket.h"

#include <string.h>
#include <sys/socket.h>

#include "sockets.h"

int websocket_connect(uint16_t port)
{
    static const char request[] = "GET /ari/events?app=bench HTTP/1.1\r\n"
                                  "Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Sec-WebSocket-Version: 13\r\n\r\n";
    int fd = sockets_connect(port);
    sockets_write(fd, request, sizeof request - 1);
    /* Byte by byte: what comes behind the head is the first frame. */
    char head[1024] = {0};
    for (size_t length = 0; strstr(head, "\r\n\r\n") == NULL; length++) {
        if (length == sizeof head - 1 || recv(fd, head + length, 1, 0) != 1) {
            sockets_fail("the generator did not answer the handshake");
        }
    }
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0) {
        sockets_fail("the generator refused the handshake");
    }
    return fd;
}
