# SPDX-License-Identifier: MPL-2.0
"""Stands between the bridge and one Asterisk's HTTP port, passes everything on byte for byte, and
keeps the request lines: what Asterisk was asked, by whatever evidence Asterisk keeps of it."""
import asyncio
import threading

HEAD_BYTES = 65536


class Proxy:
    def __init__(self, port):
        """`port` is Asterisk's, on 127.0.0.1."""
        self.asterisk_port = port
        self.requests = []  # (method, target) in the order in which they came
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self.serve, "127.0.0.1", 0, limit=HEAD_BYTES))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    async def serve(self, reader, writer):
        try:
            answers, there = await asyncio.open_connection("127.0.0.1", self.asterisk_port)
        except OSError:  # nobody there; so is nobody here
            writer.close()
            return
        ways = [asyncio.ensure_future(self.pass_requests(reader, there)),
                asyncio.ensure_future(self.pass_on(answers, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            there.close()

    async def pass_requests(self, reader, writer):
        """Follows HTTP/1.1 until the connection becomes a WebSocket."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, _, value in
                       (line.partition(":") for line in lines[1:])}
            self.requests.append(tuple(lines[0].split(" ")[:2]))
            writer.write(head + await reader.readexactly(int(headers.get("content-length", "0"))))
            await writer.drain()
            if "upgrade" in headers:
                await self.pass_on(reader, writer)
                return

    async def pass_on(self, reader, writer):
        while data := await reader.read(HEAD_BYTES):
            writer.write(data)
            await writer.drain()

    async def end(self):
        self.server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
