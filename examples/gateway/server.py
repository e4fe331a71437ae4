"""The gateway: readings come up and are published, commands go down."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import TypeAlias

import attrs
import trio

import trio_tcp
from examples.gateway.protocol import CODEC, Connection, Done, Fan, Reading
from trio_tcp import codecs

__all__ = ["Gateway"]

Console: TypeAlias = trio_tcp.Connection[str, str]

TOO_WARM, COOL_ENOUGH = 25.0, 22.0
NOBODYS = 0  # the number of commands for whose answer nobody waits
ANSWER_SECONDS, ATTEMPTS = 1.0, 3

HELP = """\
watch TOPIC ...   readings from now on: device.7, device.*
fan NUMBER on     or off; answers when the device has done it
devices           how many there are"""


@attrs.define(eq=False)
class Device:
    """A device that is connected.

    Not a `trio_tcp.Requester`: for that a damaged frame, which might be anybody's
    reply, is the end of the connection. Here frames get lost, and are sent again.
    """

    connection: Connection
    number: int
    _numbers: Iterator[int] = attrs.Factory(itertools.count)
    _waiting: dict[int, trio.Event] = attrs.Factory(dict[int, trio.Event])

    async def switch_fan(self, *, on: bool) -> bool:
        """Switch the fan, and return whether the device says that it has done it.

        A command that is obeyed twice does no harm, so it is repeated.
        """
        number = NOBODYS + 1 + next(self._numbers) % 0xFFFF
        done = self._waiting[number] = trio.Event()
        try:
            for _ in range(ATTEMPTS):
                await self.connection.send(Fan(self.number, number, on=on))
                with trio.move_on_after(ANSWER_SECONDS):
                    await done.wait()
                    return True
        finally:
            del self._waiting[number]
        return False

    def has_done(self, number: int) -> None:
        """Wake up who waits for this; nobody does where it came too late."""
        if number in self._waiting:
            self._waiting[number].set()


class Gateway:
    """Devices, and operators who watch and command them."""

    def __init__(self) -> None:
        # The last reading of each greets whoever begins to watch.
        self.hub: trio_tcp.Hub[Reading] = trio_tcp.Hub(history={"device.*": 1})
        self.devices: dict[int, Device] = {}

    async def serve(self, host: str, port: int, console_port: int) -> None:
        """Serve devices on one port, and operators on another."""
        async with trio.open_nursery() as nursery:
            serve = partial(trio_tcp.serve_tcp, host=host)
            await nursery.start(partial(serve, self.talk_to_device, port, codec=CODEC))
            await nursery.start(
                partial(
                    serve, self.talk_to_operator, console_port, codec=codecs.Lines()
                )
            )

    # Devices

    async def talk_to_device(self, connection: Connection) -> None:
        """Serve one device. Its first good frame says which."""
        device: Device | None = None
        try:
            while True:
                try:
                    message = await connection.receive()
                except trio_tcp.MalformedMessageError:
                    continue  # it is in the log; the next frame follows
                if device is None:
                    device = self.add(connection, message.device)
                if isinstance(message, Done):
                    device.has_done(message.number)
                elif isinstance(message, Reading):
                    await self.take(device, message)
        finally:
            if device is not None and self.devices.get(device.number) is device:
                del self.devices[device.number]

    def add(self, connection: Connection, number: int) -> Device:
        """Know a device; one that has come back takes the place of its old self."""
        connection.label = f"device {number}"  # for the log
        device = self.devices[number] = Device(connection, number)
        return device

    async def take(self, device: Device, reading: Reading) -> None:
        """Publish a reading, and keep the device at a reasonable temperature."""
        await self.hub.publish(f"device.{device.number}", reading)
        if not COOL_ENOUGH < reading.celsius < TOO_WARM:
            # Nobody waits for the answer: what gets lost is repeated with the next
            # reading, which is to be received meanwhile.
            on = reading.celsius >= TOO_WARM
            await device.connection.send(Fan(device.number, NOBODYS, on=on))

    # Operators

    async def talk_to_operator(self, console: Console) -> None:
        """Obey one operator, line by line."""
        with ExitStack() as watching:
            async for line in console:
                match line.split():
                    case ["watch", *topics]:
                        await self.watch(console, topics, watching)
                    case ["fan", number, ("on" | "off") as state] if number.isdecimal():
                        answer = await self.command(int(number), on=state == "on")
                        await console.send(answer)
                    case ["devices"]:
                        await console.send(f"{len(self.devices)} devices")
                    case _:
                        await console.send_many(HELP.splitlines())

    async def watch(
        self, console: Console, topics: list[str], watching: ExitStack
    ) -> None:
        """Send what is published under these topics, and no longer what was before."""
        try:
            attachment = self.hub.attach(
                console, *topics, render=show, when_full="keep_latest", last=1
            )
        except ValueError as error:
            await console.send(f"error: {error}")
        else:
            watching.close()
            watching.enter_context(attachment)

    async def command(self, number: int, *, on: bool) -> str:
        """Switch a device's fan, and say what has come of it."""
        device = self.devices.get(number)
        if device is None:
            return f"there is no device {number}"
        try:
            done = await device.switch_fan(on=on)
        except trio_tcp.ConnectionFault:
            return f"device {number} has gone"
        if not done:
            return f"device {number} does not answer"
        return f"device {number} has switched its fan {'on' if on else 'off'}"


def show(item: trio_tcp.Publication[Reading] | trio_tcp.Lagged) -> str | None:
    """Make a line of a reading; nothing is told about those left out."""
    if isinstance(item, trio_tcp.Lagged):
        return None
    return f"{item.topic} {item.message.celsius:.1f} °C"
