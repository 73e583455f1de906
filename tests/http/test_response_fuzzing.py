"""httptools' connection reads what h11 reads, or refuses it; 100,000 more are run by hand."""

import asyncio
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.response_fuzzing import (
    REFUSED,
    Reading,
    compare,
    read_by_h11,
    read_by_httptools,
)


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_random_response_is_read_as_h11_reads_it_or_refused(rng: random.Random) -> None:
    asyncio.run(compare(rng))


def test_both_read_and_both_refuse_a_share_of_the_random_responses() -> None:
    async def main() -> Counter[str]:
        rng = random.Random(1)
        return Counter([await compare(rng) for _ in range(2_000)])

    found = asyncio.run(main())
    assert set(found) == {"read alike", "refused by both", "refused by httptools"}
    assert found["read alike"] > 500
    assert found["refused by both"] > 200
    # Where httptools is the stricter one it is so for responses that are no proper ones.
    assert found["refused by httptools"] < 400


def test_comparison_sees_a_difference() -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    good, cut_short = head + b"Content-Length: 2\r\n\r\n{}", head + b"Content-Length: 3\r\n\r\n{}"
    expected = Reading(200, b"{}", is_reusable=True)
    for data, reading in ((good, expected), (cut_short, REFUSED)):
        assert read_by_h11([data], ends=True) == reading
        assert asyncio.run(read_by_httptools([data], ends=True)) == reading
