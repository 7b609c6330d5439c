# SPDX-License-Identifier: MPL-2.0
"""Does the ledger find what is wrong? A real run, in which events were dropped, refused, lost and
repaired, comes out even. Then one thing in what was written down is changed: an event removed,
doubled, moved, invented, a notice taken away, a number off by one. Each must be found, each time.
"""
import json
import pathlib
import random
import re
import signal
import struct
import subprocess
import tempfile
import unittest

from ledger_stage import BUILD, RATE, Proxy, Recorder, Stage

HEAD = struct.Struct("<BBBBIII5IHHQQ")
SUBSCRIBER, EPOCH, LINK, MESSAGE, OTHER, HEARTBEAT, JOINED, LOST, ENDED = range(1, 10)
MASK = (1 << 64) - 1
EVENTS, TIMES = 20000, 4


def hash_bytes(value, data):
    """record_hash() of record.c."""
    value ^= len(data) * 0x9E3779B97F4A7C15 & MASK
    for at in range(0, len(data), 8):
        value = (value ^ int.from_bytes(data[at:at + 8], "little")) * 0xD6E8FEB86659FD93 & MASK
        value ^= value >> 32
    return value


class Record:
    def __init__(self, values, text):
        (self.kind, self.repaired, self.endpoint, self.counts, _, self.seq, self.serial, *self.count,
         self.link, self.epoch, self.content, self.stamp) = values
        self.text = text

    def copy(self):
        return Record.read(self.write(), 0)[0]

    def write(self):
        return HEAD.pack(self.kind, self.repaired, self.endpoint, self.counts, len(self.text),
                         self.seq, self.serial, *self.count, self.link, self.epoch, self.content,
                         self.stamp) + self.text

    @staticmethod
    def read(data, at):
        values = HEAD.unpack_from(data, at)
        at += HEAD.size
        return Record(values, data[at:at + values[4]]), at + values[4]

    def topic_and_event(self):
        topic, event = self.text.split(b"\0", 1)
        return topic, event.rstrip(b"\0")

    def change_event(self, old, new):
        """Other bytes of the same length, as if they had been published so."""
        assert len(old) == len(new) and old in self.text
        self.text = self.text.replace(old, new)
        topic, event = self.topic_and_event()
        self.content = hash_bytes(hash_bytes(0, topic), event)


def is_message(record):
    return record.kind in (MESSAGE, OTHER)


def is_own(record, name):
    return record.kind == OTHER and b'\0{"type":"' + name + b'"' in record.text


def read_file(path):
    data, at, records = path.read_bytes(), 0, []
    while at < len(data):
        record, at = Record.read(data, at)
        records.append(record)
    return records


class LedgerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One run for all tests."""
        cls.stage = stage = Stage("test_ledger")
        cls.addClassCleanup(stage.__exit__, None, None, None)
        proxy = Proxy(stage.fake.port)
        bridge = stage.bridge(port=proxy.port, sndhwm=500)
        stage.wait_up(bridge)
        stage.books()
        Recorder(stage, "all", "").wait_joined()
        Recorder(stage, "some", "Channel", "Stasis").wait_joined()
        stopped = [Recorder(stage, "told", "", view="objects").wait_joined(),
                   Recorder(stage, "repaired", "channel/", view="objects",
                            repairs=True).wait_joined()]
        for recorder in stopped:
            recorder.send(signal.SIGSTOP)
        stage.flood(EVENTS, min(RATE, 8000), "huge=1001:70000", "broken=4001")
        for i in range(1, 6):
            stage.wait_until_flooded(EVENTS * i // 7)
            stage.wait_up(bridge)
            proxy.do("reset")
        stage.wait_flooded()
        for recorder in stopped:
            recorder.send(signal.SIGCONT)
        stage.settle(bridge)
        stage.end()
        proxy.stop()
        cls.files = {recorder.path: read_file(recorder.path) for recorder in stage.recorders}
        cls.truth = (stage.directory / "truth.log").read_text()
        cls.counters = json.loads(stage.counters[-1].read_text())
        cls.random = random.Random(20261123)

    def judge(self, files=None, truth=None, counters=None):
        """The ledger's status and words; what is not given is as it was."""
        with tempfile.TemporaryDirectory() as directory:
            paths = {path: path for path in self.files}
            for path, records in (files or {}).items():
                paths[path] = pathlib.Path(directory) / path.name
                paths[path].write_bytes(b"".join(record.write() for record in records))
            truth_path = pathlib.Path(directory) / "truth.log"
            truth_path.write_text(self.truth if truth is None else truth)
            counters_path = pathlib.Path(directory) / "counters.json"
            counters_path.write_text(json.dumps(self.counters if counters is None else counters))
            done = subprocess.run([BUILD / "ledger", f"--truth=pbx1={truth_path}",
                                   f"--counters={counters_path}", "--", *paths.values()],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  check=False)
            return done.returncode, done.stdout

    def must_find(self, words, **changed):
        status, text = self.judge(**changed)
        self.assertEqual(status, 1, text)
        self.assertRegex(text, words)

    def some(self, is_it, names=None):
        """TIMES times (path, a copy of its records, an index) where the record is such a one."""
        places = [(path, i) for path, records in self.files.items()
                  if names is None or path.stem in names
                  for i, record in enumerate(records) if is_it(record)]
        self.assertGreaterEqual(len(places), 1, "the run has no such record")
        for path, i in self.random.sample(places, min(TIMES, len(places))):
            yield path, list(self.files[path]), i

    def everywhere(self, is_it, change):
        """All files in which such records are, those of one event changed."""
        seqs = sorted({record.seq for record in self.files[self.stage.recorders[0].path]
                       if is_it(record)})
        self.assertGreaterEqual(len(seqs), 1, "the run has no such record")
        for seq in self.random.sample(seqs, min(TIMES, len(seqs))):
            files = {}
            for path, records in self.files.items():
                if any(is_it(record) and record.seq == seq for record in records):
                    files[path] = [
                        change(record.copy()) if is_it(record) and record.seq == seq else record
                        for record in records]
                    files[path] = [record for record in files[path] if record is not None]
            yield files

    def is_needed(self, gap):
        """Whether events are missing where this gap was announced."""
        app = re.search(rb'"application":"(\w+)"', gap.text).group(1)
        records = self.files[self.stage.recorders[0].path]
        links = [record.text.rstrip(b"\0") for record in records if record.kind == LINK]
        around = {record.seq: record.serial for record in records
                  if record.kind == MESSAGE and links[record.link - 1].endswith(b"/" + app)}
        before = max((seq for seq in around if seq < gap.seq), default=None)
        after = min((seq for seq in around if seq > gap.seq), default=None)
        return None not in (before, after) and around[after] - around[before] > 1

    # --- the run itself

    def test_nothing_changed_comes_out_even(self):
        status, text = self.judge()
        self.assertEqual(status, 0, text)
        for words in (r"link .* [1-9]\d* dropped", r"link .* [1-9]\d* lost with", r"link .* "
                      r"[1-9]\d* refused", r"subscriber  told: .* [1-9]\d* told as lost",
                      r"subscriber  repaired: .* [1-9]\d* from history \+ 0 told"):
            self.assertRegex(text, words, "a run without that proves less")

    # --- one subscriber's records

    def test_an_event_removed(self):
        for path, records, i in self.some(is_message):
            del records[i]
            # Where nobody else got it, there is nothing by which to tell what it was.
            self.must_find("did not come|got by nobody", files={path: records})

    def test_an_event_doubled(self):
        for path, records, i in self.some(is_message):
            records.insert(i, records[i])
            self.must_find("it got this twice", files={path: records})

    def test_two_events_reordered(self):
        for path, records, i in self.some(lambda record: is_message(record) and not record.repaired,
                                          ["all", "books", "some"]):
            k = next(k for k in range(i + 1, len(records))
                     if is_message(records[k]) and not records[k].repaired)
            records[i], records[k] = records[k], records[i]
            self.must_find("behind a later one", files={path: records})

    def test_an_event_invented(self):
        for path, records, i in self.some(is_message):
            invented = records[i].copy()
            invented.count[0] = max(record.count[0] for record in records) + self.random.randint(1, 9)
            records.insert(i + 1, invented)
            self.must_find("FAULT", files={path: records})

    def test_another_serial_number(self):
        for path, records, i in self.some(lambda record: record.kind == MESSAGE):
            records[i] = records[i].copy()
            records[i].serial += self.random.choice([-1, 1, 50])
            self.must_find("is not what others got|bytes are not", files={path: records})

    def test_other_bytes_of_an_event_or_a_stamp(self):
        # That of a stamp's time shows only where somebody else got the message, too.
        for member, names in (("content", None), ("stamp", ["books", "all", "some"])):
            for path, records, i in self.some(is_message, names):
                records[i] = records[i].copy()
                changed = getattr(records[i], member) ^ 1 << self.random.randint(0, 63)
                setattr(records[i], member, changed)
                self.must_find("is not what others got|bytes are not", files={path: records})

    def test_a_loss_that_was_told_otherwise(self):
        def removed(records, i):
            del records[i]

        def one_more(records, i):
            records[i].count[0] += 1

        def one_less(records, i):
            records[i].count[0] -= 1

        def elsewhere(records, i):
            records[i].seq = records[i].serial

        for change in (removed, one_more, one_less, elsewhere):
            for path, records, i in self.some(lambda record: record.kind == LOST):
                if change is elsewhere and records[i].seq == records[i].serial:
                    continue  # it stands there
                records[i] = records[i].copy()
                change(records, i)
                self.must_find("told of|did not tell", files={path: records})

    def test_another_heartbeat(self):
        for member in ("seq", "count"):
            for path, records, i in self.some(lambda record: record.kind == HEARTBEAT and
                                              1 < record.count[0] < EVENTS // 2):
                records[i] = records[i].copy()
                records[i].count[0] += member == "count"
                records[i].seq -= 2 * (member == "seq")
                self.must_find("a heartbeat says", files={path: records})

    def test_joined_at_another_position(self):
        for path, records, i in self.some(lambda record: record.kind == JOINED, ["all", "told"]):
            records[i] = records[i].copy()
            records[i].count[0] += 2 + next(record.count[0] for record in records if
                                            is_message(record))
            self.must_find("had not joined yet", files={path: records})

    # --- what the bridge did, as all saw it

    def test_an_event_that_nobody_got(self):
        for files in self.everywhere(is_message, lambda record: None):
            self.must_find("got by nobody", files=files)

    def test_another_counter_in_a_stamp(self):
        for depth in range(1, 5):
            def change(record, depth=depth):
                record.count[depth] += 1
                return record
            for files in self.everywhere(is_message, change):
                self.must_find("a counter of its stamp is wrong", files=files)

    def test_another_event_in_its_place(self):
        """One that happened, too, and is published in another place."""
        books = [record for record in self.files[self.stage.recorders[0].path]
                 if record.kind == MESSAGE]
        for _ in range(TIMES):
            right, wrong = self.random.sample(books, 2)

            def change(record, right=right):
                record.serial, record.content, record.link = right.serial, right.content, right.link
                return record
            files = {path: [change(record.copy()) if record.kind == MESSAGE and
                            record.seq == wrong.seq else record for record in records]
                     for path, records in self.files.items()
                     if path.stem in ("books", "all", "some")}
            with self.subTest(seq=wrong.seq):
                self.must_find("was published twice", files=files)

    def test_a_gap_that_was_not_announced(self):
        def change(record):
            record.change_event(b'"application":"', b'"applicatiom":"')
            return record
        for files in self.everywhere(lambda record: is_own(record, b"ArizmqGap") and
                                     self.is_needed(record), change):
            self.must_find("nothing announces it", files=files)

    def test_a_gap_at_another_time(self):
        def change(record):
            for member in (b"from", b"to"):
                begin = record.text.index(b'"%s":"' % member) + len(member) + 4
                record.change_event(record.text[begin:begin + 4], b"2031")
            return record
        found = 0
        for files in self.everywhere(lambda record: is_own(record, b"ArizmqGap"), change):
            status, text = self.judge(files=files)
            found += status == 1 and "at another time" in text
        self.assertGreater(found, 0, "gaps in which nothing was dropped may name any time")

    def test_a_refusal_that_was_not_announced(self):
        def change(record):
            record.change_event(b'"application":"', b'"applicatiom":"')
            return record
        for files in self.everywhere(lambda record: is_own(record, b"ArizmqRefused"), change):
            self.must_find("refusals announced|refused for", files=files)

    def test_other_counters_of_the_bridge(self):
        for member in ("received", "published", "responses", "size", "utf8", "memory"):
            for app in range(2):
                with self.subTest(member=member, app=app):
                    counters = json.loads(json.dumps(self.counters))
                    events = counters["nodes"][0]["apps"][app]["events"]
                    (events if member in events else events["refused"])[member] += 1
                    self.must_find("is not published|the books have", counters=counters)

    # --- truth

    def change_truth(self, begins, change):
        """TIMES times the truth log with one line changed."""
        lines = self.truth.splitlines()
        places = [i for i, line in enumerate(lines) if line.startswith(begins)]
        for i in self.random.sample(places, min(TIMES, len(places))):
            changed = list(lines)
            changed[i] = change(lines, i)
            yield "\n".join(changed) + "\n"

    def test_events_that_happened_and_were_not_published(self):
        """Dropped, says truth; had they been sent, they would be missing."""
        def change(lines, i):
            word, wall_ns, app, _, first, last = lines[i].split()
            later = next(line.split()[3] for line in lines[i:]
                         if line.startswith("sent") and line.split()[2] == app)
            return f"sent {wall_ns} {app} {later} {first} {last}"
        for truth in self.change_truth("dropped ", change):
            self.must_find("though later ones of their connection", truth=truth)

    def test_events_that_were_published_and_did_not_happen(self):
        def change(lines, i):
            word, wall_ns, app, _, first, last = lines[i].split()
            return f"dropped {wall_ns} {app} 0 {first} {last}"
        found = 0
        for truth in self.change_truth("sent ", change):
            status, text = self.judge(truth=truth)
            found += status == 1 and "nobody was sent it" in text
        self.assertGreater(found, 0, "some of those sent were lost; but all of these?")

    def test_events_at_the_end_that_nobody_announced(self):
        for app in ("ivr", "queue"):
            runs = [line.split() for line in self.truth.splitlines()
                    if re.match(rf"\w+ \d+ {app} ", line)]
            _, wall_ns, _, connection, _, last = runs[-1]
            self.assertNotEqual(connection, "0", "the flood ended while nobody was connected")
            for word, where in (("sent", connection), ("dropped", "0")):
                line = f"{word} {wall_ns} {app} {where} {int(last) + 1} {int(last) + 1}\n"
                self.must_find("nothing announces it", truth=self.truth + line)


if __name__ == "__main__":
    unittest.main(verbosity=2)
