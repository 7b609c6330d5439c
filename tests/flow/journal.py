# SPDX-License-Identifier: MPL-2.0
"""The journal of the running daemon: what is found after a restart, after SIGKILL under load, and
after a disk that was full, failing or slow is what was published, or a hole that is told.

    journal.py SCENARIO
"""
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import pathlib
import time

try:
    import zmq  # noqa: F401
except ImportError:
    print("python3-zmq is not installed")
    sys.exit(77)


from journal_stage import (PATIENCE_S, VIEWS, Bridge, Disk, check, expect_same, fleet, wait_until)

SMALL = "max_bytes: 1048576"  # history: one MiB, the least beside a journal
MIB = 1 << 20


def flood(bridge, count, rate=0):
    """Lets the fake send so many events; returns when the bridge has published them."""
    before = bridge.client.info()["seq"]
    bridge.fake.do(f"flood {count} {rate or 20000} ivr")
    wait_until("the flood is published", lambda: bridge.client.info()["seq"] >= before + count)


def flood_stored(bridge, count):
    """The same, no faster than the journal follows: memory need not hold what is not stored yet."""
    portion = 500
    for _ in range(count // portion):
        flood(bridge, portion)
        await_stored(bridge, bridge.client.info()["seq"])


def await_quiet(bridge):
    """Until the subscriber has all that was published; returns the last seq."""
    def is_quiet():
        seq = bridge.client.info()["seq"]
        return bridge.recorder.last_seq >= seq and bridge.recorder.has(seq) and seq
    return wait_until("the subscriber has everything", is_quiet)


def await_stored(bridge, seq):
    wait_until(lambda: f"{seq} is stored, {bridge.client.journal()}",
               lambda: bridge.client.stored() >= seq)


# --- scenarios

def restart(fake):
    """Two runs; of both everything can be had afterwards, frame by frame, in both views."""
    bridge = Bridge(fake, history=SMALL, journal="commit_ms: 20")
    runs = []
    for _ in range(2):
        bridge.start()
        flood_stored(bridge, 5000)
        last = await_quiet(bridge)
        # Of this run, what memory has let go comes from disk, what it has from memory.
        check(bridge.client.info()["history"]["oldest"] > 2, "memory holds everything")
        for view in VIEWS:
            found, holes, header = bridge.client.pages(view=view, limit=777)
            check(holes == [] and header["oldest"] == 1 and "complete" not in header, header)
            expect_same(found, bridge.recorder.messages[view], 1, last, view)
        bridge.stop()
        runs.append((bridge.recorder, last + 2))  # NodeDisconnected, Stopping
    bridge.start()
    expect_earlier_runs(bridge, runs)
    expect_errors(bridge, runs)
    bridge.stop()
    bridge.remove()


def expect_earlier_runs(bridge, runs):
    listed = wait_until("both runs are told", lambda: [
        run for run in bridge.client.journal()["epochs"]
        if run["epoch"] in [recorder.epoch for recorder, _ in runs]])
    check(listed == [{"epoch": recorder.epoch, "oldest": 1, "newest": last, "complete": True}
                     for recorder, last in reversed(runs)], listed)
    for recorder, last in runs:
        for view in VIEWS:
            for name in (view, bridge.endpoints[view]):
                found, holes, header = bridge.client.pages(view=name, epoch=recorder.epoch)
                check(holes == [] and header["complete"] and header["newest"] == last, header)
                expect_same(found, recorder.messages[view], 1, last, name)
        expect_parts(bridge, recorder, last)


def expect_parts(bridge, recorder, last):
    """By prefix, position, limit and until."""
    everything = recorder.messages["events"]
    for prefix in ("ChannelVarset/", "Stasis", "None/"):
        wanted = {seq: list(messages) for seq, messages in everything.items()
                  if messages[0][0].startswith(prefix.encode())}
        found, _, header = bridge.client.pages(epoch=recorder.epoch, prefix=prefix, limit=100)
        check(header["last"] == last, header)
        expect_same(found, wanted, 1, last, prefix)
    for after, until, limit in ((0, 1, 10), (10, 20, 10), (10, 20, 3), (last - 1, last, 9),
                                (5, 5, 9), (last, last + 9, 9)):
        header, _, frames = bridge.client.history(epoch=recorder.epoch, after=after, until=until,
                                                  limit=limit)
        seqs = range(after + 1, min(until, last, after + limit) + 1)
        check(frames == [frame for seq in seqs for frame in everything[seq][0]],
              f"{after} {until} {limit}: {header}")
        end = max([after, *seqs])
        check((header["last"], header["count"]) == (end, len(seqs)), header)
        check(header["more"] == (end < min(until, last)), header)


def expect_errors(bridge, runs):
    recorder, last = runs[0]
    for query, status, error in (
            ({"epoch": 77}, 409, "epoch_changed"),
            ({"epoch": recorder.epoch + 1}, 409, "epoch_changed"),
            ({"epoch": recorder.epoch, "after": last + 1}, 416, "future"),
            ({"epoch": recorder.epoch, "view": "calls"}, 404, "no_such_view"),
            ({"epoch": recorder.epoch, "after": 9, "until": 8}, 400, "bad_request")):
        header, body, frames = bridge.client.history(**query)
        check((header["status_code"], header["error"], frames) == (status, error, []),
              (query, header, body))
        if error == "future":
            check(header["newest"] == last and header["complete"], header)


def bounded(fake):
    """The files stay within max_bytes while ten times as much goes through; what has left is told as
    compacted, of the run that is and of those that were."""
    bridge = Bridge(fake, journal=f"max_bytes: {4 * MIB}, commit_ms: 20", history=SMALL)
    bridge.start()
    most = 0
    for _ in range(10):
        flood_stored(bridge, 5000)
        most = max(most, sum(path.stat().st_size
                             for path in bridge.database.parent.glob("journal.db*")))
    check(2 * MIB < most <= 4 * MIB, f"{most} bytes")
    last = await_quiet(bridge)
    header, _, _ = wait_until("the oldest is compacted", lambda: (
        lambda reply: reply[0]["status_code"] == 410 and reply)(bridge.client.history(after=0)))
    check(header["error"] == "compacted" and 1 < header["oldest"] < last, header)
    header, _, _ = bridge.client.history(after=header["oldest"] - 2)
    check(header["error"] == "compacted", header)
    found, holes, _ = bridge.client.pages(after=header["oldest"] - 1)
    check(holes == [], holes)
    expect_same(found, bridge.recorder.messages["events"], header["oldest"], last, "the rest")
    bridge.stop()
    epoch, recorded = bridge.recorder.epoch, bridge.recorder.messages["events"]
    bridge.start()
    header, _, _ = bridge.client.history(epoch=epoch, after=0)
    check(header["error"] == "compacted" and header["newest"] == last + 2, header)
    found, _, _ = bridge.client.pages(epoch=epoch, after=header["oldest"] - 1)
    expect_same(found, recorded, header["oldest"], last + 2, "after a restart")
    bridge.stop()
    bridge.remove()


KILLS = int(os.environ.get("JOURNAL_KILLS", "24"))


def kill(fake):
    """SIGKILL under load, again and again: the database opens, everything up to the last stored_seq
    that was reported is there, and it is what the subscriber received."""
    bridge = Bridge(fake, journal="commit_ms: 20")
    dice = random.Random(4)
    before = None
    for _ in range(KILLS):
        bridge.start()
        if before:
            expect_survived(bridge, *before)
        fake.do("flood 1000000 10000 ivr")
        wanted = dice.randint(200, 6000)
        wait_until("enough is stored", lambda: bridge.client.stored() >= wanted)
        received = bridge.client.stored()
        wait_until("the subscriber has that", lambda: bridge.recorder.has(received))
        stored = bridge.client.stored()
        bridge.end(signal.SIGKILL)
        fake.do("flood-stop")
        before = bridge.recorder, stored, received
    bridge.start()
    expect_survived(bridge, *before)
    runs = wait_until("all runs are told", lambda: (
        lambda epochs: len(epochs) > KILLS and epochs)(bridge.client.journal()["epochs"]))
    check(not any(run["complete"] for run in runs), runs)
    bridge.stop()
    bridge.remove()


def expect_survived(bridge, recorder, stored, least):
    received = recorder.messages["events"]
    found, holes, header = bridge.client.pages(epoch=recorder.epoch)
    newest = header["newest"]
    check(holes == [] and header["complete"] is False, (holes, header))
    check(newest >= stored, f"{stored} was reported as stored, {newest} is there")
    check(sorted(found) == list(range(1, newest + 1)), f"positions are missing: {len(found)}")
    # What was on its way when the daemon was killed no subscriber has got.
    last = min(newest, max(received))
    expect_same(found, received, 1, last, "after SIGKILL")
    check(last >= least, f"only {last} were compared")
    found, _, _ = bridge.client.pages(epoch=recorder.epoch, view="objects")
    last = min(newest, max(recorder.messages["objects"]) - 1)
    expect_same(found, recorder.messages["objects"], 1, last, "objects after SIGKILL")


FAULTS = {"full": (Disk.FULL, "disk_full"), "eio": (Disk.EIO, "io_error"),
          "sync": (Disk.SYNC_EIO, "io_error")}


def fault(fake, name):
    """A disk that fails for a while: events go on, what memory could not hold so long is a hole, and
    nothing else is missing."""
    fault_number, reason = FAULTS[name]
    disk = Disk(pathlib.Path(tempfile.mkstemp(prefix="arizmq-disk-")[1]))
    bridge = Bridge(fake, history=SMALL, journal="commit_ms: 20", disk=disk)
    bridge.start()
    flood_stored(bridge, 2000)
    await_stored(bridge, await_quiet(bridge))
    disk.set(fault_number, room=30000)
    flood(bridge, 6000)
    last = await_quiet(bridge)  # live events are not held up
    bridge.await_log("error journal_failed: cannot write to")
    journal = wait_until("it is told", lambda: (
        lambda told: told["state"] == "failing" and told)(bridge.client.journal()))
    check(str(bridge.database) in journal["last_error"], journal)
    check(journal["stored_seq"] < last and disk.failures() > 0, journal)
    check(bridge.metric("arizmq_journal_failing") == 1, "the metric does not say so")
    expect_told(bridge, reason, last)
    disk.set(Disk.NONE)
    await_stored(bridge, last)
    flood_stored(bridge, 2000)
    last = await_quiet(bridge)
    await_stored(bridge, last)
    bridge.await_log("info journal_recovered: ")
    bridge.await_log("warning journal_hole: ")
    expect_told(bridge, reason, last)
    missed, = (bridge.metric("arizmq_journal_missed_total"),)
    wait_until("all is well", lambda: bridge.client.journal()["state"] == "writing")
    check(bridge.metric("arizmq_journal_failing") == 0, "still failing")
    bridge.stop()
    bridge.start()
    holes = expect_told(bridge, reason, last + 2, bridge_before=recorded_of(bridge))
    check(missed == sum(hole[1] - hole[0] + 1 for hole in holes), (missed, holes))
    bridge.stop()
    bridge.remove()
    disk.path.unlink()


RECORDED = {}


def recorded_of(bridge):
    return RECORDED[bridge.database]


def expect_told(bridge, reason, last, bridge_before=None):
    """Of every position there is the event that was received, or a hole with that reason."""
    recorder = bridge_before or bridge.recorder
    RECORDED[bridge.database] = recorder
    query = {"epoch": recorder.epoch} if bridge_before else {}
    found, holes, header = bridge.client.pages(**query)
    check(header["last"] >= last, header)
    missing = {seq for first, end, _ in holes for seq in range(first, end + 1)}
    check(holes and {hole[2] for hole in holes} == {reason}, holes)
    check(not missing & set(found), "an event in a hole")
    check(set(range(1, last + 1)) <= missing | set(found), "a position of which nothing is told")
    received = {seq: messages for seq, messages in list(recorder.messages["events"].items())
                if seq not in missing}
    expect_same(found, received, 1, last, reason)
    return holes


def tmpfs(fake):
    """The file system itself is full, and then has room again; it is full when the daemon starts."""
    mount = pathlib.Path(tempfile.mkdtemp(prefix="arizmq-tmpfs-"))
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", mount], check=False).returncode:
        mount.rmdir()
        print("mounting a tmpfs needs root")
        sys.exit(77)
    bridge = Bridge(fake, history=SMALL, journal=f"commit_ms: 20, max_bytes: {4 * MIB}",
                    directory=mount)
    try:
        bridge.start()
        filler = mount / "filler"
        filler.write_bytes(bytes(4 * MIB))
        flood(bridge, 12000)  # more than the rest takes
        last = await_quiet(bridge)
        bridge.await_log("database or disk is full")
        check(bridge.client.stored() < last, "everything fitted")
        filler.unlink()
        await_stored(bridge, last)
        expect_told(bridge, "disk_full", last)
        bridge.stop()
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False,
                       stderr=subprocess.DEVNULL)
        bridge.start()
        bridge.await_log("error journal_failed: ")
        expect_told(bridge, "disk_full", last + 2, bridge_before=recorded_of(bridge))
        filler.unlink()
        await_stored(bridge, await_quiet(bridge))
        bridge.stop()
        bridge.remove()
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
        mount.rmdir()


def slow(fake):
    """A disk that takes its time: the journal falls behind, what memory lets go meanwhile is a hole,
    and the subscriber notices nothing."""
    disk = Disk(pathlib.Path(tempfile.mkstemp(prefix="arizmq-disk-")[1]))
    bridge = Bridge(fake, history=SMALL, journal="commit_ms: 20", disk=disk)
    bridge.start()
    flood(bridge, 1000)
    await_stored(bridge, await_quiet(bridge))
    disk.set(sync_ms=1500)
    for _ in range(4):
        flood(bridge, 4000)
    last = await_quiet(bridge)
    wait_until("the lag shows", lambda: bridge.metric("arizmq_journal_lag_events") > 0)
    disk.set()
    await_stored(bridge, last)
    expect_told(bridge, "trimmed", last)
    # A stop waits for the disk, as long as it may.
    flood(bridge, 300)
    last = await_quiet(bridge)
    disk.set(sync_ms=700)
    bridge.stop()
    disk.set()
    bridge.start()
    holes = expect_told(bridge, "trimmed", last + 2, bridge_before=recorded_of(bridge))
    check(holes[-1][1] < last - 300, holes)
    _, _, header = bridge.client.pages(epoch=recorded_of(bridge).epoch)
    check(header["complete"], header)
    bridge.stop()
    bridge.remove()
    disk.path.unlink()


def stuck(fake):
    """A disk that does not answer at all holds up neither events nor the stop, which says what is
    not stored."""
    disk = Disk(pathlib.Path(tempfile.mkstemp(prefix="arizmq-disk-")[1]))
    bridge = Bridge(fake, journal="commit_ms: 20", disk=disk, extra="stop_timeout_ms: 2000")
    bridge.start()
    flood(bridge, 1000)
    stored = await_quiet(bridge)
    await_stored(bridge, stored)
    disk.set(sync_ms=3600000)
    flood(bridge, 1000)
    last = await_quiet(bridge)
    header, _, frames = bridge.client.history(after=stored, limit=100000)  # memory has them
    check(header["last"] == last and len(frames) == 3 * (last - stored), header)
    bridge.await_log("warning journal_late: ")
    begin = time.monotonic()
    status = bridge.end()
    took = time.monotonic() - begin
    check(status == 0 and took < 10, (status, took))
    check("error journal_stuck: " in bridge.log(), bridge.log()[-2000:])
    check("ArizmqStopping" in bridge.recorder.messages["events"][last + 2][0][0].decode(), "no end")
    disk.set()
    bridge.start()
    found, holes, header = bridge.client.pages(epoch=bridge_epoch(bridge, stored))
    check(not header["complete"] and header["newest"] >= stored and holes == [], header)
    check(len(found) == header["newest"], header)
    bridge.stop()
    bridge.remove()
    disk.path.unlink()


def bridge_epoch(bridge, least):
    """The run before, which has that many events at the least."""
    runs = wait_until("the run before is told", lambda: [
        run for run in bridge.client.journal()["epochs"] if run["newest"] >= least])
    return runs[0]["epoch"]


def moved(fake):
    """The file is taken away while the daemon runs: it says so and begins a new one."""
    bridge = Bridge(fake, history=SMALL, journal="commit_ms: 20")
    bridge.start()
    flood_stored(bridge, 5000)
    first = await_quiet(bridge)
    await_stored(bridge, first)
    bridge.database.rename(bridge.directory / "taken.db")
    bridge.await_log(f"error journal_moved: {bridge.database} was moved or deleted")
    flood_stored(bridge, 5000)
    last = await_quiet(bridge)
    await_stored(bridge, last)
    check(bridge.client.history(after=0)[0]["error"] == "compacted", "what is gone is promised")
    found, holes, _ = bridge.client.pages(after=first)
    check(holes == [], holes)
    expect_same(found, bridge.recorder.messages["events"], first + 1, last, "behind the move")
    bridge.stop()
    bridge.remove()


def takeover(fake):
    """A bridge takes over from one with the same journal: it waits for it, and then has both runs.
    A second time, so that the one that has waited is waited for."""
    bridges = [Bridge(fake)]
    bridges[0].start()
    runs = []
    for _ in range(2):
        old = bridges[-1]
        fake.do("flood 1000000 2000 ivr")
        wait_until("it is under way", lambda: old.client.info()["seq"] > 1000)
        new = Bridge(fake, directory=bridges[0].directory)
        new.launch("--takeover", old.endpoints["gateway"])
        new.join()
        status = old.await_end()
        check(status == 0, (status, old.log()[-3000:]))
        runs.append((old.recorder, max(old.recorder.messages["events"])))
        wait_until("the new one stores", lambda: new.client.stored() > 1000)
        fake.do("flood-stop")
        last = await_quiet(new)
        await_stored(new, last)
        found, holes, _ = new.client.pages()
        check(holes == [], holes)
        expect_same(found, new.recorder.messages["events"], 1, last, "the new one")
        bridges.append(new)
    for recorder, last in runs:
        found, holes, header = bridges[-1].client.pages(epoch=recorder.epoch)
        check(holes == [] and header["complete"] and header["newest"] == last, header)
        expect_same(found, recorder.messages["events"], 1, last, "the old one")
    bridges[-1].stop()
    for bridge in bridges:
        bridge.remove()


def expect_refused(bridge, *texts):
    bridge.launch()
    status = bridge.process.wait(PATIENCE_S)
    lines = [line for line in bridge.log().splitlines() if " start_failed: " in line]
    check(status == 1 and len(lines) == 1, (status, bridge.log()))
    for text in ("journal.path: ", str(bridge.database), *texts):
        check(text in lines[0], f"{text} is not in {lines[0]}")


def refused(fake):
    """What is no journal, or cannot be one, is refused with one line, and left as it is."""
    bridge = Bridge(fake)
    bridge.start()
    flood(bridge, 3000)
    await_stored(bridge, await_quiet(bridge))
    other = Bridge(fake, directory=bridge.directory)
    expect_refused(other, "in use by another process; give each bridge a journal of its own")
    bridge.stop()
    good = bridge.database.read_bytes()

    def expect(content, *texts):
        bridge.database.write_bytes(content)
        expect_refused(bridge, *texts)
        check(bridge.database.read_bytes() == content, "it was written to")
    expect(b"# a file of somebody else\n" * 500, "is no SQLite database; name another file")
    expect(good[:100] + b"Z" * 1000 + good[1100:], "is damaged", "move it away")
    bridge.database.write_bytes(good)
    with sqlite3.connect(bridge.database) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    expect(bridge.database.read_bytes(), "has format 2, this arizmqd writes 1; move it away")
    bridge.database.unlink()
    sqlite3.connect(bridge.database).executescript("CREATE TABLE cdr(a)").connection.close()
    expect(bridge.database.read_bytes(), "the database of another program; name another file")
    nowhere = Bridge(fake, directory=bridge.directory / "none")
    expect_refused(nowhere, "cannot write to the directory", "No such file or directory")
    bridge.database.write_bytes(good)
    bridge.start()
    check(bridge.client.pages(epoch=bridge_epoch(bridge, 3000))[2]["complete"], "not as before")
    bridge.stop()
    for one in (bridge, other, nowhere):
        one.remove()


SCENARIOS = {"restart": restart, "bounded": bounded, "kill": kill, "tmpfs": tmpfs, "slow": slow,
             "stuck": stuck, "moved": moved, "refused": refused, "takeover": takeover,
             **{name: lambda fake, name=name: fault(fake, name) for name in FAULTS}}


def main(name):
    fake = fleet.Fake()
    try:
        SCENARIOS[name](fake)
    finally:
        fake.stop()
    print("as it should be")


if __name__ == "__main__":
    main(sys.argv[1])
