"""The settings of a sandbox."""

import time
from collections.abc import Callable
from os import PathLike

from attrs import Factory, define, field, setters, validators

from clickpost_async.sandbox.http.faults import Faults

DEFAULT_KEY = "sandbox-key-not-a-secret"


@define(kw_only=True, eq=False, slots=False, repr=False, on_setattr=setters.frozen)
class SandboxSettings:
    """The settings of a sandbox, as documented at `Sandbox`; all are fixed but the API key."""

    path: str | PathLike[str] | None = None
    username: str = "sandbox"
    api_key: str = field(default=DEFAULT_KEY, on_setattr=setters.NO_OP)
    password: str = "sandbox-password-not-a-secret"  # noqa: S105 - a placeholder
    rate: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    burst: int | None = None
    courier_seconds: float = 0.0
    async_polls: int = 1
    racy: bool = False
    seed: int = 0
    clock: Callable[[], float] = time.time
    scan_every: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    page_size: int = field(default=100, validator=validators.ge(1))
    faults: Faults = Factory(lambda settings: Faults(seed=settings.seed), takes_self=True)

    def __attrs_post_init__(self) -> None:
        """Set up what depends on the settings; for the subclasses."""
