"""What it has to reach, beside what it did reach."""

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from benchmarks import bulk, codec, gather, limited, limiters, single
from benchmarks._figures import Figures, NotMeasuredError


@frozen(kw_only=True)
class Target:
    """A figure that is to be at most, or at least, so much.

    Costs are medians of their rounds; what is promised of every run is the worst of them.
    """

    what: str
    figure: Callable[[Figures], float]
    most: float | None = None
    least: float | None = None
    unit: str = ""
    digits: int = 0

    def measured(self, figures: Figures) -> float | None:
        """Return what was reached, if it was measured."""
        try:
            return self.figure(figures)
        except NotMeasuredError:
            return None

    def reached(self, value: float) -> bool:
        """Tell whether that is enough."""
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )

    @property
    def goal(self) -> str:
        """The target in words."""
        signs = (("≤", self.most), ("≥", self.least))
        return " and ".join(
            f"{sign} {goal:,g}{self.unit}" for sign, goal in signs if goal is not None
        )


def _cost(client: str, orders: int) -> Callable[[Figures], float]:
    return lambda found: found.median("gather", "cpu_us", client=client, orders=orders)


def _ratio(
    one: Callable[[Figures], float], other: Callable[[Figures], float]
) -> Callable[[Figures], float]:
    return lambda found: one(found) / other(found)


def _of(part: str, figure: str, label: str, value: str) -> Callable[[Figures], float]:
    return lambda found: found.median(part, figure, **{label: value})


def _worst(part: str, figure: str, label: str, value: str) -> Callable[[Figures], float]:
    return lambda found: max(found.values(part, figure, **{label: value}))


def _gathers() -> Iterator[Target]:
    ours = {"as it comes": gather.PLAIN, "with httptools and orjson": gather.FAST}
    peers = {
        gather.PLAIN: ("what one puts together with httpx", gather.OBVIOUS, 270, 0.18),
        gather.FAST: ("the expert's script", gather.SCRIPT, None, 1.05),
    }
    for words, client in ours.items():
        peer, other, most, times = peers[client]
        if most is not None:
            yield Target(
                what=f"CPU per order, {words}, 10,000 gathered",
                figure=_cost(client, 10_000),
                most=most,
                unit=" µs",
            )
        yield Target(
            what=f"CPU per order, {words}, 10,000 gathered ÷ {peer}",
            figure=_ratio(_cost(client, 10_000), _cost(other, 10_000)),
            most=times,
            digits=2,
        )
        yield Target(
            what=f"CPU per order, {words}, 50,000 gathered ÷ 1,000 gathered",
            figure=_ratio(_cost(client, 50_000), _cost(client, 1_000)),
            most=1.05,
            digits=2,
        )
        yield Target(
            what=f"connections opened in any gather of up to 50,000, {words}",
            figure=_worst("gather", "connections", "client", client),
            most=100,
        )
        yield Target(
            what=f"memory of a call that waits, beyond its order, 50,000 gathered, {words}",
            figure=lambda found, client=client: found.median(
                "gather", "waiting_bytes", client=client, orders=50_000
            ),
            most=2_200,
            unit=" bytes",
        )
        yield Target(
            what=f"peak memory, 50,000 gathered, {words} ÷ the expert's script",
            figure=_ratio(
                lambda found, client=client: found.median(
                    "gather", "peak_mb", client=client, orders=50_000
                ),
                lambda found: found.median(
                    "gather", "peak_mb", client=gather.SCRIPT, orders=50_000
                ),
            ),
            most=1,
            digits=2,
        )
        yield Target(
            what=f"longest time the event loop is blocked, 10,000 gathered, {words}",
            figure=lambda found, client=client: found.median(
                "gather", "longest_block_ms", client=client, orders=10_000
            ),
            most=100,
            unit=" ms",
        )

    yield Target(
        what="CPU per order, with httptools and orjson ÷ the expert's script, both on uvloop",
        figure=_ratio(_cost(gather.FAST_UVLOOP, 10_000), _cost(gather.SCRIPT_UVLOOP, 10_000)),
        most=1,
        digits=2,
    )
    for figure, words in (("cpu_us", "CPU"), ("p50_us", "p50")):
        yield Target(
            what=f"one call at a time, as it comes ÷ httpx by hand: {words}",
            figure=_ratio(
                _of("single", figure, "client", single.PLAIN),
                _of("single", figure, "client", single.HTTPX),
            ),
            most=0.5,
            digits=2,
        )


def _limits() -> Iterator[Target]:
    ours = limiters.OURS
    yield Target(
        what="calls beyond `burst + rate × w` in the worst window of any length w",
        figure=_worst("limiters", "over", "limiter", ours),
        most=0,
    )
    yield Target(
        what="of what the rate allows, used by those who queue for it",
        figure=_of("limiters", "used_percent", "limiter", ours),
        least=99,
        unit=" %",
        digits=1,
    )
    for client, refusals in ((limited.GIVEN, 2), (limited.LEARNED, 50)):
        words = "with the rate given" if client == limited.GIVEN else "with the rate unknown"
        yield Target(
            what=f"500 gathered where 50/s are let in, {words}: completed",
            figure=lambda found, client=client: min(
                found.values("limited", "completed", client=client)
            ),
            least=500,
        )
        yield Target(
            what=f"the same, {words}: refused with 429 on the way",
            figure=_of("limited", "refused", "client", client),
            most=refusals,
        )
        yield Target(
            what=f"the same, {words}: time ÷ the shortest possible",
            figure=_ratio(
                _of("limited", "seconds", "client", client),
                _of("limited", "ideal", "client", client),
            ),
            most=1.1 if client == limited.GIVEN else 1.2,
            digits=2,
        )


def _rest() -> Iterator[Target]:
    for journal, words, most in (("yes", "with", 480), ("no", "without", 380)):
        yield Target(
            what=f"CPU per order of a file of 100,000 at full speed, {words} a journal",
            figure=lambda found, journal=journal: found.median(
                "bulk", "cpu_us", orders=100_000, pace=bulk.FREE, journal=journal
            ),
            most=most,
            unit=" µs",
        )
    yield Target(
        what="CPU per order of a file at 100/s, with a journal",
        figure=lambda found: found.median("bulk", "cpu_us", pace="100/s", journal="yes"),
        most=1_200,
        unit=" µs",
    )
    yield Target(
        what="orders a second of a file at 100/s, with a journal",
        figure=lambda found: found.median("bulk", "per_second", pace="100/s", journal="yes"),
        least=99.5,
        digits=1,
    )
    yield Target(
        what="memory growth while 100,000 orders of a file are created with a journal",
        figure=lambda found: found.median(
            "bulk", "growth_mb", orders=100_000, pace=bulk.FREE, journal="yes"
        ),
        most=5,
        unit=" MB",
        digits=1,
    )
    for figure, words in (("out_us", "order to bytes"), ("in_us", "bytes to response")):
        yield Target(
            what=f"{words}, with orjson ÷ written by hand",
            figure=_ratio(
                _of("codec", figure, "with", codec.FAST),
                _of("codec", figure, "with", codec.BY_HAND),
            ),
            most=2,
            digits=2,
        )
    yield Target(
        what="mapping with 171 fields to an order, every rule checked",
        figure=_of("codec", "structure_us", "with", codec.FULL),
        most=60,
        unit=" µs",
    )
    for imported, most in (("clickpost_async", 10), ("clickpost_async.ClickPost", 90)):
        yield Target(
            what=f"import of `{imported}`",
            figure=_of("imports", "ms", "import", imported),
            most=most,
            unit=" ms",
            digits=1,
        )


TARGETS: Sequence[Target] = (*_gathers(), *_limits(), *_rest())


def table(figures: Figures) -> str:
    """Write every target, what was measured, and whether that is enough."""
    lines = ["| what | target | measured | |", "| --- | ---: | ---: | --- |"]
    for target in TARGETS:
        value = target.measured(figures)
        if value is None:
            cells = "– | not measured"
        else:
            verdict = "reached" if target.reached(value) else "**missed**"
            cells = f"{value:,.{target.digits}f}{target.unit} | {verdict}"
        lines.append(f"| {target.what} | {target.goal} | {cells} |")
    return "\n".join(lines)
