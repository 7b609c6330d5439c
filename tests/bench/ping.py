# SPDX-License-Identifier: MPL-2.0
"""bench_ping in Python: sends GET asterisk/ping many times and prints one line of JSON with what it
took. tests/bench/gateway runs it.

Ways: http (http.client, one connection), threads (as many of these as are in flight, one thread
each), asyncio (as many connections, raw streams), gateway (pyzmq: REQ, or one DEALER). Every answer
is checked; the first that is wrong ends it with status 1.
"""
import argparse
import asyncio
import http.client
import json
import sys
import threading
import time


class Load:
    def __init__(self, arguments):
        self.target = arguments.target
        self.authorization = arguments.authorization
        self.in_flight = arguments.in_flight
        self.warm_up, self.requests = arguments.warm_up, arguments.requests
        self.unsent = self.warm_up + self.requests
        self.unanswered = self.unsent
        self.latencies_ns = []
        self.begun = self.ended = None

    def take(self):
        """Whether one more is to be sent."""
        self.unsent -= 1
        return self.unsent >= 0

    def answered(self, sent_ns):
        now_ns = time.perf_counter_ns()
        self.unanswered -= 1
        if self.unanswered == self.requests:
            self.begun = now_ns, time.process_time_ns()
        elif self.unanswered < self.requests:
            self.latencies_ns.append(now_ns - sent_ns)
        if self.unanswered == 0:
            self.ended = now_ns, time.process_time_ns()

    def report(self):
        self.latencies_ns.sort()
        last = len(self.latencies_ns) - 1
        return {"requests": self.requests, "in_flight": self.in_flight,
                "p50_us": self.latencies_ns[int(0.5 * last)] / 1000,
                "p99_us": self.latencies_ns[int(0.99 * last)] / 1000,
                "max_us": self.latencies_ns[-1] / 1000,
                "per_s": self.requests * 1e9 / (self.ended[0] - self.begun[0]),
                "client_cpu_us": (self.ended[1] - self.begun[1]) / 1000 / self.requests}


def check(status, body):
    if status != 200 or b'"pong"' not in body:
        sys.exit(f"ping.py: a wrong answer: {status} {body!r}")


# --- straight to Asterisk

# Connections are made one after the other: Asterisk queues ten, and a SYN beyond them is sent again
# after a second.

def connect(load):
    connection = http.client.HTTPConnection(load.target)
    connection.connect()
    return connection


def one_connection(load, connection, lock):
    headers = {"Authorization": load.authorization}
    while True:
        with lock:
            if not load.take():
                break
        sent_ns = time.perf_counter_ns()
        connection.request("GET", "/ari/asterisk/ping", headers=headers)
        response = connection.getresponse()
        check(response.status, response.read())
        with lock:
            load.answered(sent_ns)
    connection.close()


def run_http(load):
    one_connection(load, connect(load), threading.Lock())


def run_threads(load):
    lock = threading.Lock()
    threads = [threading.Thread(target=one_connection, args=(load, connect(load), lock),
                                daemon=True)
               for _ in range(load.in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def one_stream(load, reader, writer):
    request = (f"GET /ari/asterisk/ping HTTP/1.1\r\nHost: {load.target}\r\n"
               f"Authorization: {load.authorization}\r\n\r\n").encode()
    while load.take():
        sent_ns = time.perf_counter_ns()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        length = next(int(line.partition(b":")[2]) for line in lines
                      if line[:15].lower() == b"content-length:")
        check(int(status.split(b" ", 2)[1]), await reader.readexactly(length))
        load.answered(sent_ns)
    writer.close()


def run_asyncio(load):
    async def run():
        host, port = load.target.rsplit(":", 1)
        streams = [await asyncio.open_connection(host, port) for _ in range(load.in_flight)]
        await asyncio.gather(*(one_stream(load, *stream) for stream in streams))
    asyncio.run(run())


# --- through the gateway

def run_gateway(load):
    import zmq  # pylint: disable=import-outside-toplevel

    context = zmq.Context()
    socket = context.socket(zmq.REQ if load.in_flight == 1 else zmq.DEALER)
    socket.setsockopt(zmq.RCVTIMEO, 10000)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(load.target)
    sent_ns = {}

    def send(slot):
        if load.take():
            sent_ns[slot] = time.perf_counter_ns()
            socket.send(json.dumps({"method": "GET", "uri": "asterisk/ping",
                                    "transaction_id": slot}).encode())

    for slot in range(load.in_flight):
        send(str(slot))
    while load.unanswered > 0:
        header, body = socket.recv_multipart()
        reply = json.loads(header)
        check(reply["status_code"], body)
        slot = reply["transaction_id"]
        load.answered(sent_ns[slot])
        send(slot)
    context.destroy()


WAYS = {"http": run_http, "threads": run_threads, "asyncio": run_asyncio, "gateway": run_gateway}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("target", help="host:port, or the gateway's endpoint")
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=500)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--authorization", default="")
    arguments = parser.parse_args()
    load = Load(arguments)
    WAYS[arguments.way](load)
    if load.unanswered != 0:
        sys.exit(f"ping.py: {load.unanswered} answers are missing")
    print(json.dumps(load.report()))


if __name__ == "__main__":
    main()
