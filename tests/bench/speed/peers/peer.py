# SPDX-License-Identifier: MPL-2.0
"""What one writes in an afternoon with Python: events from ARI's WebSocket to a PUB socket, the
type as the topic.

    peer.py ws://127.0.0.1:8088/ari/events?app=ivr tcp://127.0.0.1:5555
"""
import asyncio
import json
import sys

import websockets
import zmq


async def main(url, endpoint):
    publisher = zmq.Context.instance().socket(zmq.PUB)
    publisher.sndhwm = 10000
    publisher.bind(endpoint)
    print("bound", publisher.last_endpoint.decode(), flush=True)
    async with websockets.connect(url, compression=None) as socket:
        print("connected", flush=True)
        async for text in socket:
            event = json.loads(text)
            publisher.send_multipart([event["type"].encode(), text.encode()])


asyncio.run(main(*sys.argv[1:]))
