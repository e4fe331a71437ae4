from trio_tcp import codecs, testing
async def test_it_keeps_the_promises_of_a_backplane(autojump_clock) -> None:
    broker = testing.MemoryBroker(delay=0.01)
    await testing.check_backplane(
        lambda: testing.MemoryBackplane(broker, codec=codecs.Lines())
    )
