"""x."""


async def check_backplane() -> None: ...
