"""What every chapter of endpoints is made of."""

from clickpost_async._wire.endpoint import Caller


class Namespace:
    """A chapter: it only knows whom to call."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
