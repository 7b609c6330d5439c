# SPDX-License-Identifier: MPL-2.0
"""What a request of operations.json can be about: each method of Scene that a row names as $NAME
makes one fresh object of that sort in an Asterisk, whose id is the argument, or what is returned
where Asterisk or its sort has chosen another. clear() ends all of
them, so that every request meets the same Asterisk."""
import json
import re
import socket
import urllib.parse

from asterisk_stage import TIMEOUT_S, check, wait_until

MODULE = "func_rand.so"


class Phone:
    """alice's telephone, which can register and call, and listens to no answer."""

    def __init__(self, asterisk):
        self.host, port = asterisk.values["sip"].split(":")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect((self.host, int(port)))
        self.own = "{}:{}".format(*self.socket.getsockname())
        self.sequence = 0
        self.send("REGISTER", "alice", "Expires: 3600\r\n")
        answer = self.socket.recv(4096)
        check(re.match(rb"SIP/2.0 200 ", answer), f"no registration: {answer}")

    def send(self, method, user, headers="", body=""):
        self.sequence += 1
        target = f"sip:{self.host}" if method == "REGISTER" else f"sip:{user}@{self.host}"
        self.socket.send((
            f"{method} {target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.own};branch=z9hG4bK-{self.sequence}-{self.own}\r\n"
            f"From: <sip:alice@{self.host}>;tag={self.sequence}\r\n"
            f"To: <sip:{user}@{self.host}>\r\nMax-Forwards: 70\r\n"
            f"Call-ID: {self.sequence}-{self.own}\r\nCSeq: {self.sequence} {method}\r\n"
            f"Contact: <sip:alice@{self.own}>\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            f"{body}").encode())

    def call(self, user):
        self.send("INVITE", user, "Content-Type: application/sdp\r\n",
                  f"v=0\r\no=- 1 1 IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
                  "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n")

    def close(self):
        self.socket.close()


class Scene:
    def __init__(self, asterisk, direct, app):
        self.phone = Phone(asterisk)
        self.direct = direct
        self.app = app
        self.recordings = asterisk.directory / "asterisk/spool/recording"

    def is_there(self, path):
        return self.direct.ask("GET", path).status == 200

    def state(self, path):
        answer = self.direct.ask("GET", path)
        return json.loads(answer.body).get("state") if answer.status == 200 else None

    def originate(self, name, endpoint, *, uri="/channels", **query):
        self.direct.must("POST", uri, endpoint=endpoint, channelId=name,
                         otherChannelId=name + "-far", **query)

    def wait_for_application(self, channel, application="Stasis"):
        def is_inside():
            answer = self.direct.ask("GET", f"/channels/{channel}")
            return answer.status == 200 and json.loads(
                answer.body)["dialplan"].get("app_name") == application
        wait_until(f"{channel} is in {application}", is_inside)

    # ---- Objects

    def new(self, name):
        """Only an id."""

    def channel(self, name):
        self.originate(name, "Local/silent@far/n", app=self.app)
        self.wait_for_application(name)
        wait_until(f"{name} is up", lambda: self.state(f"/channels/{name}") == "Up")

    def incoming(self, name):
        """A channel that nobody has answered."""
        self.originate(name + "-near", f"Local/{self.app}@apps/n", context="far",
                       extension="silent")
        wait_until(f"the other end of {name}", lambda: self.is_there(f"/channels/{name}-near-far"))
        self.wait_for_application(name + "-near-far")
        return name + "-near-far"

    def created(self, name):
        """A channel that nobody has dialled."""
        self.originate(name, "Local/silent@far/n", uri="/channels/create", app=self.app)
        self.wait_for_application(name)

    def outside(self, name):
        """A channel in the dialplan."""
        self.originate(name, "Local/silent@far/n", context="far", extension="silent")
        self.wait_for_application(name, "Wait")

    def broadcast(self, name):
        """A channel that is offered to every application."""
        self.originate(name, "Local/silent@far/n", context="broadcast", extension="call")
        self.wait_for_application(name, "StasisBroadcast")

    def media(self, name):
        self.direct.must("POST", "/channels/externalMedia", channelId=name, app=self.app,
                         external_host="127.0.0.1:9", format="ulaw")
        self.wait_for_application(name)

    def call(self, _):
        """alice calls and is answered, which she does not confirm; so her media is known."""
        self.phone.call(self.app)

        def of_alice():
            return next((channel["id"] for channel in self.listed("/channels")
                         if channel["name"].startswith("PJSIP/alice-")), None)
        channel = wait_until("alice's call", of_alice)
        self.wait_for_application(channel)
        self.direct.must("POST", f"/channels/{channel}/answer")
        wait_until("alice's media", lambda: self.is_there(f"/channels/{channel}/rtp_statistics"))
        return channel

    def bridge(self, name):
        self.direct.must("POST", f"/bridges/{name}", type="mixing", name="one")

    def noted(self, name):
        """A bridge with a variable."""
        self.bridge(name)
        self.direct.must("POST", f"/bridges/{name}/variable", variable="A", value="1")

    def musical(self, name):
        """A bridge with music."""
        self.bridge(name)
        self.direct.must("POST", f"/bridges/{name}/moh")

    def joined(self, name):
        """A bridge with a channel in it."""
        self.bridge(name)
        self.channel(name + "-channel")
        self.direct.must("POST", f"/bridges/{name}/addChannel", channel=name + "-channel")
        wait_until(f"the channel is in {name}", lambda: json.loads(self.direct.ask(
            "GET", f"/bridges/{name}").body)["channels"])

    def playback(self, name):
        self.channel(name + "-channel")
        self.direct.must("POST", f"/channels/{name}-channel/play/{name}", media="tone:1004")
        wait_until(f"{name} plays", lambda: self.state(f"/playbacks/{name}") == "playing")

    def recording(self, name):
        self.channel(name + "-channel")
        self.direct.must("POST", f"/channels/{name}-channel/record", name=name, format="wav")
        wait_until(f"{name} records", lambda: self.state(f"/recordings/live/{name}") == "recording")

    def paused(self, name):
        self.recording(name)
        self.direct.must("POST", f"/recordings/live/{name}/pause")
        wait_until(f"{name} pauses", lambda: self.state(f"/recordings/live/{name}") == "paused")

    def muted(self, name):
        self.recording(name)
        self.direct.must("POST", f"/recordings/live/{name}/mute")

    def stored(self, name):
        """A file with every byte in it; Asterisk takes what lies in its directory."""
        (self.recordings / f"{name}.wav").write_bytes(bytes(range(256)) * 200)

    def device(self, name):
        self.direct.must("PUT", f"/deviceStates/Stasis:{name}", deviceState="BUSY")

    def subscribed(self, name):
        """A device whose state the other application hears."""
        self.direct.must("POST", "/applications/other/subscription",
                         eventSource=f"deviceState:Stasis:{name}")

    def log(self, name):
        self.direct.must("POST", f"/asterisk/logging/{name}", configuration="notice")

    def dynamic(self, name):
        self.direct.must("PUT", f"/asterisk/config/dynamic/res_pjsip/auth/{name}",
                         {"fields": [{"attribute": "username", "value": "u"},
                                     {"attribute": "password", "value": "p"}]})

    def unloaded(self, _):
        self.direct.must("DELETE", f"/asterisk/modules/{MODULE}")
        return MODULE

    # ---- The end of all of them

    def listed(self, path):
        return self.direct.must("GET", path)

    def delete(self, path, name):
        self.direct.ask("DELETE", f"{path}/{urllib.parse.quote(name, safe='')}")

    def clear(self, names):
        """`names` are the ids that were given away; what Asterisk lists is ended by the lists."""
        for bridge in self.listed("/bridges"):
            self.delete("/bridges", bridge["id"])

        def no_channels():
            channels = self.listed("/channels")
            for channel in channels:
                self.delete("/channels", channel["id"])
            return not channels
        wait_until("no channel is left", no_channels)
        for device in self.listed("/deviceStates"):
            self.delete("/deviceStates", device["name"])
        for name in names:
            self.delete("/asterisk/logging", name)
            self.delete("/asterisk/config/dynamic/res_pjsip/auth", name)
        for file in self.recordings.iterdir():
            file.unlink(missing_ok=True)
        if not self.is_there(f"/asterisk/modules/{MODULE}"):
            self.direct.must("POST", f"/asterisk/modules/{MODULE}")
        for device in self.listed("/applications/other")["device_names"]:
            self.direct.ask("DELETE", "/applications/other/subscription",
                            [("eventSource", "deviceState:" + device)])
        self.direct.must("PUT", "/applications/other/eventFilter", {})
