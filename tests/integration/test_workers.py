"""A service of several processes: their ends, their replacement, and what clients see.

Supervisor and workers are programs of their own, clients are plain sockets.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trio

from tests.integration.loopback import connect, connect_socket
from tests.integration.supervised import (
    SECONDS,
    SERVICE,
    Client,
    Service,
    client_of,
    exists,
    sockets_of,
    supervised,
    supervisor,
    wait_until_ended,
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="looks at processes by /proc and pidfd_open(2)"
)

every_signal = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"]
)

BROKEN = "import no_such_module_anywhere\n"
NEVER_READY = "import time\ntime.sleep(1000)\n"
SECOND = SERVICE.replace('VERSION = "first"', 'VERSION = "the second"')


async def pids_of(service: Service, count: int) -> set[int]:
    """Return the processes that serve, by asking until so many have answered."""
    pids: set[int] = set()
    while len(pids) < count:
        async with client_of(service) as client:
            pids.add(int(await client.ask("pid")))
    return pids


async def wait_for_version(service: Service, version: str) -> None:
    """Wait until new code serves new clients: the old accepts a little longer."""
    with trio.fail_after(SECONDS):
        while True:
            async with client_of(service) as client:
                if await client.ask("version") == version:
                    return


async def wait_for_another(service: Service, pid: int) -> None:
    """Wait until another process answers: this one may just have accepted a client."""
    answer = ""
    while answer in {"", str(pid)}:
        async with client_of(service) as client:
            with suppress(trio.BrokenResourceError):
                answer = await client.ask("pid")


# What it is -------------------------------------------------------------------------


async def test_several_processes_serve_one_port(tmp_path: Path) -> None:
    async with supervised(tmp_path, workers=3) as service:
        pids = await pids_of(service, 3)
        assert pids == {ready["pid"] for ready in service.all("WorkerReady")}
        assert service.program.process.pid not in pids


async def test_workers_share_the_listening_socket_and_no_other(tmp_path: Path) -> None:
    """Neither with each other nor with the supervisor."""
    async with supervised(tmp_path, workers=3) as service:
        processes = [service.program.process.pid, *await pids_of(service, 3)]
        found = [sockets_of(pid) for pid in processes]
        shared = [one & other for one, other in itertools.combinations(found, 2)]
        assert all(len(sockets) == 1 for sockets in shared)
        assert all(sockets == shared[0] for sockets in shared)


async def test_with_reuse_port_each_worker_has_a_listening_socket_of_its_own(
    tmp_path: Path,
) -> None:
    """The supervisor has them too, so that whoever waits there outlives a worker."""
    async with supervised(tmp_path, reuse_port=True) as service:
        ours = sockets_of(service.program.process.pid)
        one, other = [sockets_of(pid) for pid in await pids_of(service, 2)]
        assert not one & other
        assert len(one & ours) == len(other & ours) == 1


@pytest.mark.parametrize("reuse_port", [False, True], ids=["shared", "one each"])
async def test_who_comes_while_no_worker_is_there_waits_for_the_next(
    tmp_path: Path, reuse_port: bool
) -> None:
    async with supervised(tmp_path, workers=1, reuse_port=reuse_port) as service:
        [pid] = await pids_of(service, 1)
        os.kill(pid, signal.SIGKILL)
        await service.wait("WorkerEnded", pid=pid)
        assert await pids_of(service, 1) != {pid}


async def test_what_a_worker_starts_is_no_worker(tmp_path: Path) -> None:
    async with supervised(tmp_path) as service, client_of(service) as client:
        names = (await client.ask("environment")).split()
        assert "PATH" in names
        assert "TRIO_TCP_WORKER" not in names


# The end ----------------------------------------------------------------------------


@every_signal
async def test_a_signal_drains_all_workers(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Requests are finished, the idle are sent away, nobody is let in any more."""
    async with supervised(tmp_path) as service, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client_of(service)) for _ in range(20)
        ]
        for client in clients[:10]:
            assert await client.ask("work") == "working"
        for client in clients[10:]:
            assert await client.ask("hello") == "hello"
        service.send_signal(number)
        for client in clients[:10]:
            assert await client.line() == "done"
        for client in clients:
            assert await client.line() == ""
            await client.stream.aclose()
        await service.wait("SupervisorStopping", signal=number)
        with pytest.raises(ConnectionRefusedError):
            connect_socket(service.port)
        assert await service.end() == 0
        ended = service.all("WorkerEnded")
        assert [(e["returncode"], e["expected"]) for e in ended] == [(0, True)] * 2
        assert sum(e["report"]["finished"] for e in ended) == 20
        assert [name for name, _ in service.told[-2:]] == [
            "SupervisorStopped",
            "returned",
        ]


async def test_what_works_on_after_the_grace_is_cancelled(tmp_path: Path) -> None:
    never = SERVICE.replace("with trio.CancelScope(shield=True):", "if True:")
    async with supervised(tmp_path, never, grace=0.1) as service:
        async with client_of(service) as client:
            assert await client.ask("work for ever") == "working"
            service.send_signal(signal.SIGTERM)
            assert await client.line() == ""
        assert await service.end() == 0
        reports = [ended["report"] for ended in service.all("WorkerEnded")]
        assert sum(report["cancelled"] for report in reports) == 1


@every_signal
@pytest.mark.parametrize(
    "second", [signal.SIGINT, signal.SIGTERM], ids=["then SIGINT", "then SIGTERM"]
)
async def test_a_second_signal_kills_everything_at_once(
    tmp_path: Path, number: signal.Signals, second: signal.Signals
) -> None:
    """And the supervisor dies of it, so that a shell sees why."""
    async with supervised(tmp_path) as service, client_of(service) as client:
        assert await client.ask("work for ever") == "working"
        service.send_signal(number)
        await service.wait("SupervisorStopping")
        service.send_signal(second)
        assert await service.end() == -second
        assert await client.line() == ""
        await wait_until_ended(*(w["pid"] for w in service.all("WorkerStarted")))


async def test_when_the_supervisor_is_killed_its_workers_finish_and_end(
    tmp_path: Path,
) -> None:
    """And another one can have the port at once."""
    async with supervised(tmp_path) as service, client_of(service) as busy:
        assert await busy.ask("work") == "working"
        pids = await pids_of(service, 2)
        service.send_signal(signal.SIGKILL)
        assert await busy.line() == "done"
        assert await busy.line() == ""
        await busy.stream.aclose()
        await wait_until_ended(*pids)
        async with supervised(tmp_path, port=service.port) as another:
            assert await pids_of(another, 2) != pids


async def test_a_signal_while_workers_still_start_ends_them(tmp_path: Path) -> None:
    async with supervisor(tmp_path, NEVER_READY) as service:
        await service.wait("WorkerStarted")
        service.send_signal(signal.SIGTERM)
        assert await service.end() == 0
        [ended] = service.all("WorkerEnded")
        assert ended["returncode"] == -signal.SIGTERM


async def test_signals_to_the_whole_group_of_processes_are_taken_once(
    tmp_path: Path,
) -> None:
    """As ``systemctl stop`` sends them: what a worker is at, it finishes."""
    async with supervised(tmp_path) as service, client_of(service) as busy:
        pid = int(await busy.ask("pid"))
        assert await busy.ask("work until told") == "working"
        service.send_signal(signal.SIGTERM)
        # The idle one has ended: the busy one has been told, too.
        ended = await service.wait("WorkerEnded")
        assert ended["pid"] != pid
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        assert await busy.ask("finish") == "done"
        assert await busy.line() == ""
        await busy.stream.aclose()
        assert await service.end() == 0


async def test_ctrl_c_in_a_terminal_reaches_the_supervisor_alone(
    tmp_path: Path,
) -> None:
    """The terminal signals the supervisor's group, and the workers have their own."""
    async with supervised(tmp_path) as service:
        group = os.getpgid(service.program.process.pid)
        for worker in service.all("WorkerReady"):
            assert os.getpgid(worker["pid"]) != group


# A worker's death -------------------------------------------------------------------


async def ask_until_broken(client: Client) -> None:
    """Ask until the connection ends, in whatever way."""
    with suppress(trio.BrokenResourceError):
        while await client.ask("hello"):
            pass


async def ask_until(client: Client, is_enough: trio.Event) -> None:
    """Ask all the time; every answer must come."""
    while not is_enough.is_set():
        assert await client.ask("hello") == "hello"


async def connect_many(
    service: Service, count: int, stack: AsyncExitStack
) -> dict[int, list[Client]]:
    """Connect clients, and sort them by the process that serves them."""
    found: dict[int, list[Client]] = {}
    while len(found) < 2 or sum(map(len, found.values())) < count:
        client = await stack.enter_async_context(client_of(service))
        found.setdefault(int(await client.ask("pid")), []).append(client)
    return found


async def test_a_killed_worker_breaks_its_own_connections_and_no_other(
    tmp_path: Path,
) -> None:
    """All others are served on, new ones at once, and the worker is replaced."""
    async with supervised(tmp_path) as service, AsyncExitStack() as stack:
        found = await connect_many(service, 50, stack)
        victim, survivor = found
        is_enough = trio.Event()
        async with trio.open_nursery() as nursery:
            for client in found[survivor]:
                nursery.start_soon(ask_until, client, is_enough)
            async with trio.open_nursery() as nursery_of_victims:
                for client in found[victim]:
                    nursery_of_victims.start_soon(ask_until_broken, client)
                os.kill(victim, signal.SIGKILL)
            for _ in range(20):
                async with client_of(service) as client:
                    assert int(await client.ask("pid")) != victim
            is_enough.set()
        ended = await service.wait("WorkerEnded", pid=victim)
        assert (ended["returncode"], ended["expected"]) == (-signal.SIGKILL, False)
        ready = await service.wait("WorkerReady", slot=ended["slot"])
        assert await pids_of(service, 2) == {survivor, ready["pid"]}


async def test_a_worker_that_is_told_to_end_by_hand_drains_and_is_replaced(
    tmp_path: Path,
) -> None:
    async with supervised(tmp_path) as service, client_of(service) as client:
        pid = int(await client.ask("pid"))
        assert await client.ask("work") == "working"
        os.kill(pid, signal.SIGTERM)
        assert await client.line() == "done"
        assert await client.line() == ""
        await client.stream.aclose()
        ended = await service.wait("WorkerEnded", pid=pid)
        assert (ended["returncode"], ended["expected"]) == (0, False)
        await service.wait("WorkerReady", slot=ended["slot"])


@pytest.mark.parametrize("how", ["stopped", "blocked"])
async def test_a_worker_that_hangs_is_killed_and_replaced(
    tmp_path: Path, how: str
) -> None:
    async with supervised(tmp_path, heartbeat=1.5) as service:
        async with client_of(service) as client:
            pid = int(await client.ask("pid"))
            if how == "stopped":
                os.kill(pid, signal.SIGSTOP)
            else:
                assert await client.ask("block") == "blocking"
            await wait_for_another(service, pid)  # the others serve meanwhile
            killed = await service.wait("WorkerKilled", pid=pid)
            assert killed["reason"] == "heartbeat"
        ready = await service.wait("WorkerReady", slot=killed["slot"])
        assert ready["pid"] != pid


async def test_a_worker_that_hangs_while_it_drains_is_killed(tmp_path: Path) -> None:
    """A long grace is for handlers that work, not for a process that does not."""
    async with supervised(tmp_path, heartbeat=1.5, grace=3600) as service:
        [pid, *_] = await pids_of(service, 2)
        os.kill(pid, signal.SIGSTOP)
        service.send_signal(signal.SIGTERM)
        killed = await service.wait("WorkerKilled", pid=pid)
        assert killed["reason"] == "heartbeat"
        assert await service.end() == 0


async def test_a_worker_that_does_not_end_after_its_grace_is_killed(
    tmp_path: Path,
) -> None:
    """As when a handler shields itself for ever."""
    async with supervised(
        tmp_path, workers=1, grace=0, startup=6000, heartbeat=6000, rate=20
    ) as service:
        async with client_of(service) as client:
            assert await client.ask("work for ever") == "working"
            service.send_signal(signal.SIGTERM)
            killed = await service.wait("WorkerKilled")
            assert killed["reason"] == "grace"
            assert await service.end() == 0


# Workers that do not start ----------------------------------------------------------


async def test_code_that_cannot_be_imported_is_told_once(tmp_path: Path) -> None:
    async with supervisor(tmp_path, BROKEN, workers=4) as service:
        assert await service.end() == 1
        assert len(service.all("WorkerStarted")) == 1
        [failed] = service.all("WorkersFailed")
        assert failed["reason"] == "worker 0 ended before it was ready, exit status 1"


async def test_a_worker_that_does_not_become_ready_is_killed(tmp_path: Path) -> None:
    async with supervisor(tmp_path, NEVER_READY, startup=0.1) as service:
        killed = await service.wait("WorkerKilled")
        assert killed["reason"] == "startup"
        assert await service.end() == 1


async def test_workers_that_die_again_and_again_are_given_up(tmp_path: Path) -> None:
    async with supervised(tmp_path, workers=1, healthy=3600) as service:
        for _ in range(3):
            ready = service.all("WorkerReady")[-1]
            os.kill(ready["pid"], signal.SIGKILL)
            await service.wait("WorkerEnded", pid=ready["pid"])
            if len(service.all("WorkerEnded")) < 3:
                await service.wait("WorkerReady")
        assert await service.end() == 1
        [failed] = service.all("WorkersFailed")
        assert failed["reason"] == "worker 0 ended, killed by SIGKILL, 3 times in a row"


async def test_while_others_serve_a_worker_that_cannot_start_is_tried_on(
    tmp_path: Path,
) -> None:
    """As when the code was changed, and is only half there."""
    async with supervised(tmp_path, healthy=3600) as service:
        service.write(BROKEN)
        victim = service.all("WorkerReady")[0]
        os.kill(victim["pid"], signal.SIGKILL)
        for _ in range(4):  # one more than would be given up otherwise
            await service.wait("WorkerEnded", slot=victim["slot"])
        async with client_of(service) as client:
            assert await client.ask("hello") == "hello"
        service.write(SERVICE)
        await service.wait("WorkerReady", slot=victim["slot"])


# New code ---------------------------------------------------------------------------


async def test_sighup_brings_new_code_and_the_old_finishes_its_work(
    tmp_path: Path,
) -> None:
    async with supervised(tmp_path) as service, client_of(service) as busy:
        assert await busy.ask("version") == "first"
        assert await busy.ask("work") == "working"
        service.write(SECOND)
        service.send_signal(signal.SIGHUP)
        finished = await service.wait("ReloadFinished")
        assert finished["generation"] == 2
        await wait_for_version(service, "the second")
        assert await busy.line() == "done"
        assert await busy.line() == ""
        await busy.stream.aclose()
        for _ in range(2):
            ended = await service.wait("WorkerEnded", generation=1)
            assert (ended["returncode"], ended["expected"]) == (0, True)


async def test_when_new_code_does_not_start_the_old_goes_on(tmp_path: Path) -> None:
    async with supervised(tmp_path) as service:
        pids = await pids_of(service, 2)
        service.write(BROKEN)
        service.send_signal(signal.SIGHUP)
        failed = await service.wait("ReloadFailed")
        assert "worker 0 ended before it was ready" in failed["reason"]
        assert await pids_of(service, 2) == pids
        service.write(SECOND)
        service.send_signal(signal.SIGHUP)
        await service.wait("ReloadFinished")
        await wait_for_version(service, "the second")


async def test_when_new_code_starts_and_dies_again_and_again_the_old_goes_on(
    tmp_path: Path,
) -> None:
    """It has not taken over so far: another of the new workers is not ready."""
    one_hangs = """
if '"slot": 1' in os.environ.get("TRIO_TCP_WORKER", ""):
    time.sleep(1000)
"""
    async with supervised(tmp_path, healthy=3600) as service:
        pids = await pids_of(service, 2)
        service.write(SERVICE + one_hangs)
        service.send_signal(signal.SIGHUP)
        for _ in range(3):
            ready = await service.wait("WorkerReady", generation=2, slot=0)
            os.kill(ready["pid"], signal.SIGKILL)
        failed = await service.wait("ReloadFailed")
        assert failed["reason"] == "worker 0 ended, killed by SIGKILL, 3 times in a row"
        assert await pids_of(service, 2) == pids


async def test_a_sighup_during_a_reload_is_another_reload_after_it(
    tmp_path: Path,
) -> None:
    """What was changed since the first began is not overlooked."""
    async with supervised(tmp_path) as service:
        service.send_signal(signal.SIGHUP)
        await service.wait("ReloadStarted")
        await service.wait("WorkerReady", generation=2, slot=1)
        service.write(SECOND)
        service.send_signal(signal.SIGHUP)
        await service.wait("ReloadFinished", generation=3)
        await wait_for_version(service, "the second")


async def test_a_sigterm_during_a_reload_ends_old_and_new(tmp_path: Path) -> None:
    async with supervised(tmp_path) as service, client_of(service) as busy:
        assert await busy.ask("work") == "working"
        service.write(NEVER_READY)
        service.send_signal(signal.SIGHUP)
        new = await service.wait("WorkerStarted", generation=2)
        service.send_signal(signal.SIGTERM)
        assert await busy.line() == "done"
        assert await busy.line() == ""
        await busy.stream.aclose()
        assert await service.end() == 0
        assert not exists(new["pid"])
        assert not service.all("ReloadFailed")


# Under load -------------------------------------------------------------------------


class Load:
    """Clients that never stop: some stay, some come for one request.

    Attributes:
        answered: requests that were answered.
        unanswered: those whose connection ended in order before an answer.
        wrong: what must not happen: a refused client, a reset, a wrong answer.
    """

    def __init__(self, service: Service) -> None:
        self.answered = 0
        self.unanswered = 0
        self.wrong: list[str] = []
        self._service = service
        self._is_over = False
        self._awaited = 0
        self._reached = trio.Event()

    async def go_on(self, count: int) -> None:
        """Wait until so many more requests are answered."""
        self._awaited = self.answered + count
        self._reached = trio.Event()
        with trio.fail_after(SECONDS):
            await self._reached.wait()

    def end(self) -> None:
        """Let all clients finish what they are at."""
        self._is_over = True

    async def stay(self) -> None:
        """Ask over one connection as long as there is one, then over the next."""
        while not self._is_over:
            await self._converse(1_000_000)

    async def come_and_go(self) -> None:
        """Ask three times, then come again."""
        while not self._is_over:
            await self._converse(3)

    async def _converse(self, requests: int) -> None:
        try:
            async with connect(self._service.port) as stream:
                client = Client(stream)
                for number in range(requests):
                    if self._is_over or not await self._ask(client, str(number)):
                        return
        except (OSError, trio.BrokenResourceError, AssertionError) as error:
            self.wrong.append(repr(error))

    async def _ask(self, client: Client, request: str) -> bool:
        answer = await client.ask(request)
        if answer == request:
            self.answered += 1
            if self.answered == self._awaited:
                self._reached.set()
        elif answer:
            self.wrong.append(f"{answer!r} to {request!r}")
        else:
            self.unanswered += 1
        return bool(answer)


async def test_under_load_new_code_comes_and_no_client_is_refused_or_reset(
    tmp_path: Path,
) -> None:
    """Whatever a worker has read, it has answered."""
    counting = SERVICE + COUNTING
    async with supervised(tmp_path, counting) as service:
        load = Load(service)
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(load.stay)
                nursery.start_soon(load.come_and_go)
            for generation in (2, 3):
                await load.go_on(200)
                service.send_signal(signal.SIGHUP)
                await service.wait("ReloadFinished", generation=generation)
            await load.go_on(200)
            load.end()
        service.send_signal(signal.SIGTERM)
        assert await service.end() == 0
    assert load.wrong == []
    counts = counted(tmp_path)
    assert len(counts) == 6
    assert sum(received for received, _ in counts) == load.answered
    assert sum(sent for _, sent in counts) == load.answered


COUNTING = """
from pathlib import Path

received = sent = 0

def count(event):
    global received, sent
    match event:
        case trio_tcp.ConnectionEnded():
            received += event.statistics.messages_received
            sent += event.statistics.messages_sent
        case trio_tcp.ServerStopped():
            file = Path(__file__).with_name(f"count.{os.getpid()}")
            file.write_text(f"{received} {sent}")

serve = functools.partial(serve, observer=count)
"""
"""What is added to `SERVICE`, so that each worker leaves what it has counted."""


def counted(folder: Path) -> list[tuple[int, int]]:
    """Return what each worker has counted: messages that it received, and sent."""
    pairs = [path.read_text().split() for path in folder.glob("count.*")]
    return [(int(received), int(sent)) for received, sent in pairs]
