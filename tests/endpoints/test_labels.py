from pathlib import Path
from typing import Any

import httpx
import pytest

from clickpost_async import ClickPost, InvalidRequestError, RetryPolicy, ServerError
from clickpost_async._codec.endpoint import Idempotency
from clickpost_async._codec.file_types import FileType
from clickpost_async.endpoints import labels as module
from clickpost_async.endpoints.labels import Labels
from clickpost_async.structures import CreatedOrder, FetchedOrder
from clickpost_async.structures.labels import Label

URL = "https://nila.s3.amazonaws.com/1.pdf"


class Downloads:
    """A caller that can only download, and remembers what."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def download(
        self, download: Any, url: str, path: Path, *, overwrite: bool = False
    ) -> Path:
        self.asked.append((download.name, url, path, overwrite))
        return path


@pytest.mark.parametrize(
    "label", [URL, Label(url=URL), CreatedOrder(label=URL), FetchedOrder(label=URL)]
)
@pytest.mark.asyncio
async def test_any_response_with_a_label_url_can_be_downloaded(label: Any) -> None:
    caller: Any = Downloads()
    path = await Labels(caller).download(label, "labels/1.pdf")
    assert path == Path("labels/1.pdf")
    assert caller.asked == [("labels.download", URL, Path("labels/1.pdf"), False)]


@pytest.mark.parametrize("label", ["", Label(), CreatedOrder(waybill="1")])
@pytest.mark.asyncio
async def test_missing_label_has_advice(label: Any) -> None:
    caller: Any = Downloads()
    with pytest.raises(InvalidRequestError, match=r"fetch it later with labels\.fetch"):
        await Labels(caller).download(label, "1.pdf")
    assert caller.asked == []


@pytest.mark.asyncio
async def test_label_is_overwritten_only_on_request() -> None:
    caller: Any = Downloads()
    await Labels(caller).download(URL, Path("1.pdf"), overwrite=True)
    assert caller.asked == [("labels.download", URL, Path("1.pdf"), True)]


@pytest.mark.parametrize(
    ("verb", "regenerate"), [("fetch", ["false"] * 3), ("regenerate", ["true"])]
)
@pytest.mark.asyncio
async def test_regeneration_is_not_retried_and_a_fetch_is(verb: str, regenerate: list[str]) -> None:
    sent: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.params["regenerate"])
        return httpx.Response(200, json={"meta": {"status": 500, "message": "Ops!"}})

    async with ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(server),
        retry=RetryPolicy(attempts=3, backoff=0.001, max_backoff=0.001),
    ) as clickpost:
        with pytest.raises(ServerError):
            await getattr(clickpost.labels, verb)("1", courier_partner=4)
    assert sent == regenerate


def test_two_declarations_differ_in_what_a_repetition_does() -> None:
    assert module.FETCH.path == module.REGENERATE.path
    assert (module.FETCH.idempotency, module.REGENERATE.idempotency) == (
        Idempotency.SAFE,
        Idempotency.UNSAFE,
    )
    assert module.LABEL.kinds == {FileType.PDF, FileType.PNG, FileType.ZPL}
