#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""A plain subscriber: prints the events under some prefixes and says when messages were lost.

    subscriber.py tcp://127.0.0.1:5555 StasisStart/ivr/ Channel
"""
import json
import struct
import sys

import zmq


def counter_of(topic, prefixes):
    """Which count tells about this topic, and its name: the first tokens, as many as the prefix."""
    prefix = min((p for p in prefixes if topic.startswith(p)), key=len)  # overlapping: the widest
    depth = prefix.count("/") + (not prefix.endswith("/") if prefix else 0)
    return depth, "".join(token + "/" for token in topic.split("/")[:depth])


def missing(last, key, epoch, reached):
    """How many messages of this counter did not come before it reached that number."""
    known_epoch, known = last.get(key, (epoch, reached))
    if known_epoch != epoch or known > reached:
        print(f"{key or 'all'}: counted anew (bridge restarted, or a rare topic)", flush=True)
        known = 0
    return reached - known


def main(endpoint, *prefixes):
    prefixes = (*(prefixes or ("",)), "ArizmqGap/")  # what the bridge did not get from Asterisk
    socket = zmq.Context.instance().socket(zmq.SUB)
    for prefix in (*prefixes, "ArizmqHeartbeat/"):  # both begin with "arizmq/-/" in view objects
        socket.subscribe(prefix)
    socket.connect(endpoint)
    last = {}  # counter: the epoch and the number it had
    while True:
        topic, event, stamp = socket.recv_multipart()
        topic = topic.decode()
        epoch, seq, received_ns, *count = struct.unpack(f">{len(stamp) // 8}Q", stamp)
        event = json.loads(event)
        if count[1] == 0:  # a heartbeat numbers nothing, but knows how far the counters are
            reached = {"": count[0], **{t + "/": n for t, n in event["counts"].items()}}
            checks = [(key, reached[key], 0) for key in last if key in reached]
        else:
            depth, key = counter_of(topic, prefixes)
            checks = [(key, count[depth] - 1, 1)]
            print(f"{seq} {topic} {json.dumps(event)}", flush=True)
        for key, number, step in checks:
            if lost := missing(last, key, epoch, number):
                print(f"{key or 'all'}: {lost} lost before seq {seq}", flush=True)
            last[key] = (epoch, number + step)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: subscriber.py ENDPOINT [PREFIX]...")
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
