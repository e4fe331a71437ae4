"""What `Hub.subscribe` promises a task."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_tcp
from trio_tcp import Lagged, Publication

Items = list[Any]


def everything(subscription: trio_tcp.Subscription[Any]) -> Items:
    """Return what is there: messages, and how many are missing as a `Lagged`."""
    items: Items = []
    while True:
        try:
            item = subscription.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return items
        items.append(item.message if isinstance(item, Publication) else item)


async def test_what_is_published_comes_in_order_to_everybody_who_subscribes() -> None:
    """And to nobody else."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a") as one, hub.subscribe("a", "b") as two:
        for number in range(3):
            await hub.publish("a", number)
        await hub.publish("b", 3)
        await hub.publish("c", 4)
        assert everything(one) == [0, 1, 2]
        assert everything(two) == [0, 1, 2, 3]


async def test_a_subscriber_waits_for_the_next_publication() -> None:
    """In `receive`, and as an iterator, until the hub is closed."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    got: list[int] = []

    async def collect(subscription: trio_tcp.Subscription[int]) -> None:
        async for item in subscription:
            assert isinstance(item, Publication)
            got.append(item.message)

    with hub.subscribe("a") as subscription:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect, subscription)
            for number in range(100):
                await hub.publish("a", number)
            await wait_all_tasks_blocked()
            assert got == list(range(100))
            hub.close()
            await wait_all_tasks_blocked()


async def test_after_the_block_nothing_is_kept_for_it() -> None:
    """Nor before."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    hub.publish_nowait("a", 1)
    with hub.subscribe("a") as subscription:
        hub.publish_nowait("a", 2)
    hub.publish_nowait("a", 3)
    assert hub.statistics().subscribers == 0
    with pytest.raises(trio.ClosedResourceError):
        await subscription.receive()


async def test_a_task_that_waits_is_told_when_its_subscription_is_closed() -> None:
    """By another task."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    subscription = hub.subscribe("a")
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await subscription.receive()

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await subscription.aclose()


async def test_only_one_task_receives_at_a_time() -> None:
    """Two would each get a part."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a") as subscription:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(subscription.receive)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await subscription.receive()
            await hub.publish("a", 1)
            await wait_all_tasks_blocked()


async def test_what_a_task_is_woken_for_is_not_taken_by_another() -> None:
    """Which would leave the first with an end that is none."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a") as subscription:
        got: list[Publication[int] | Lagged] = []

        async def receive() -> None:
            got.append(await subscription.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            published = hub.publish_nowait("a", 1)
            with pytest.raises(trio.BusyResourceError):
                subscription.receive_nowait()
            with pytest.raises(trio.BusyResourceError):
                await subscription.receive()
        assert got == [published]
        with pytest.raises(trio.WouldBlock):
            subscription.receive_nowait()


async def test_receive_is_a_checkpoint_and_loses_nothing_when_cancelled() -> None:
    """Whether something is there or not."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a") as subscription:
        with trio.move_on_after(0) as scope:
            await subscription.receive()
        assert scope.cancelled_caught
        hub.publish_nowait("a", 1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await subscription.receive()
        assert scope.cancelled_caught
        with assert_checkpoints():
            item = await subscription.receive()
        assert isinstance(item, Publication)
        assert item.message == 1
        hub.publish_nowait("a", 2)
        with assert_checkpoints():
            await subscription.receive()


async def test_the_oldest_are_left_out_and_it_is_said_how_many_and_where() -> None:
    """The default, with a thousand."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a", capacity=3) as subscription:
        for number in range(10):
            await hub.publish("a", number)
        assert subscription.missed == 7
        assert everything(subscription) == [Lagged(7), 7, 8, 9]
        await hub.publish("a", 10)
        assert everything(subscription) == [10]
        assert hub.statistics().left_out == 7
    assert hub.statistics().left_out == 7


async def test_the_newest_are_left_out_and_it_is_said_where() -> None:
    """What came before them is whole, and so is what came after."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    options: dict[str, Any] = {"capacity": 2, "when_full": "drop_newest"}
    with hub.subscribe("a", **options) as subscription:
        for number in range(5):
            await hub.publish("a", number)
        first = await subscription.receive()
        assert isinstance(first, Publication)
        await hub.publish("a", 5)
        assert everything(subscription) == [1, Lagged(3), 5]
        assert subscription.missed == 3


async def test_the_latest_of_each_key_is_kept_at_the_place_of_the_first() -> None:
    """By topic, or by what the user says."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with (
        hub.subscribe("p.*", when_full="keep_latest") as by_topic,
        hub.subscribe(
            "p.*", when_full="keep_latest", key=lambda p: p.message % 2
        ) as by_parity,
    ):
        for number, topic in enumerate(["p.a", "p.b", "p.a", "p.c", "p.a"]):
            await hub.publish(topic, number)
        assert everything(by_topic) == [4, 1, 3]
        assert by_topic.missed == 2
        assert everything(by_parity) == [4, 3]


async def test_more_keys_than_there_is_room_for_leave_out_the_oldest() -> None:
    """Which is said, as no newer one has taken its place."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe(">", when_full="keep_latest", capacity=2) as subscription:
        for topic in "abcd":
            await hub.publish(topic, ord(topic))
        assert everything(subscription) == [Lagged(2), ord("c"), ord("d")]


async def test_one_that_is_disconnected_gets_what_had_room_then_an_error() -> None:
    """And is a subscriber no more."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a", when_full="disconnect", capacity=2) as subscription:
        for number in range(3):
            await hub.publish("a", number)
        assert hub.statistics().subscribers == 0
        assert hub.statistics().disconnected == 1
        for _ in range(2):
            await subscription.receive()
        with pytest.raises(trio_tcp.SlowSubscriberError):
            await subscription.receive()


async def test_a_key_that_fails_ends_its_subscription_and_touches_no_other() -> None:
    """What came before is still there; then its subscriber gets the error."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with (
        hub.subscribe(
            "a", when_full="keep_latest", key=lambda p: 1 // p.message
        ) as bad,
        hub.subscribe("a") as other,
    ):
        for number in (1, 0, 2):
            await hub.publish("a", number)
        assert everything(other) == [1, 0, 2]
        assert hub.statistics().subscribers == 1
        item = await bad.receive()
        assert isinstance(item, Publication)
        assert item.message == 1
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await bad.receive()


async def test_publishers_wait_for_one_that_wants_all_and_keep_their_order() -> None:
    """While the others have had it long since."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    done: list[int] = []

    async def publish(number: int) -> None:
        await hub.publish("a", number)
        done.append(number)

    async with trio.open_nursery() as nursery:
        with (
            hub.subscribe("a", when_full="wait", capacity=1) as patient,
            hub.subscribe("a") as other,
        ):
            for number in range(4):
                nursery.start_soon(publish, number)
                await wait_all_tasks_blocked()
            assert done == [0]
            assert everything(other) == [0, 1, 2, 3]
            with pytest.raises(trio.WouldBlock):
                hub.publish_nowait("a", 9)
            assert everything(other) == []
            for number in range(4):
                item = await patient.receive()
                assert isinstance(item, Publication)
                assert item.message == number
                await wait_all_tasks_blocked()
                assert done == list(range(min(number + 2, 4)))


async def test_publishers_that_come_at_once_are_waited_for_in_their_order() -> None:
    """Whichever of their tasks runs first afterwards."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"a": 1})
    with hub.subscribe("a", when_full="wait", capacity=1) as patient:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(hub.publish, "a", number)
            await wait_all_tasks_blocked()
            sequence: list[int] = []
            while len(sequence) < 20:
                item = await patient.receive()
                assert isinstance(item, Publication)
                assert item.position is not None
                sequence.append(item.position.sequence)
    assert sequence == list(range(1, 21))


async def test_a_publisher_that_is_cancelled_has_published_to_who_had_room() -> None:
    """Who did not wait has it; who waited for room goes on with the next."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a", when_full="wait", capacity=1) as patient:
        await hub.publish("a", 0)
        with trio.move_on_after(0) as scope:
            await hub.publish("a", 1)
        assert scope.cancelled_caught
        await patient.receive()
        await hub.publish("a", 2)
        assert everything(patient) == [2]


@pytest.mark.parametrize("how", ["close", "close the hub"])
async def test_publishers_that_wait_go_on_when_the_subscriber_is_gone(
    how: Literal["close", "close the hub"],
) -> None:
    """They have waited for nothing."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    async with trio.open_nursery() as nursery:
        subscription = hub.subscribe("a", when_full="wait", capacity=1)
        for number in range(3):
            nursery.start_soon(hub.publish, "a", number)
        await wait_all_tasks_blocked()
        (subscription if how == "close" else hub).close()


async def test_a_closed_hub_gives_what_is_left_then_the_end() -> None:
    """And takes nothing more."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with hub.subscribe("a") as subscription:
        await hub.publish("a", 1)
        hub.close()
        assert everything(subscription) == [1]
        with pytest.raises(trio.EndOfChannel):
            await subscription.receive()
        with pytest.raises(trio_tcp.HubClosedError):
            await hub.publish("a", 2)
        with pytest.raises(trio_tcp.HubClosedError):
            hub.subscribe("a")


@pytest.mark.parametrize(
    "options",
    [
        {"capacity": 0},
        {"when_full": "explode"},
        {"key": len},
        {"last": -1},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    """And nobody is subscribed."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    with pytest.raises(ValueError, match=r"\w"):
        hub.subscribe("a", **options)
    assert hub.statistics().subscribers == 0


async def test_one_that_takes_each_at_once_needs_no_room_for_many() -> None:
    """Whoever publishes lets it run."""
    hub: trio_tcp.Hub[int] = trio_tcp.Hub()
    got: list[int] = []

    async def take(prices: trio_tcp.Subscription[int]) -> None:
        async for item in prices:
            assert isinstance(item, Publication)
            got.append(item.message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, hub.subscribe("a", capacity=2))
        await wait_all_tasks_blocked()
        for number in range(100):
            await hub.publish("a", number)
        hub.close()
    assert got == list(range(100))
