"""One row of the table of expected sandbox responses."""

from collections.abc import Mapping
from typing import Any

import httpx
from attrs import field, frozen

from tests.sandbox.samples import CREDENTIALS

KEY = {"key": CREDENTIALS["key"]}
META = {"status": "int", "message": "str", "success": "bool"}


@frozen
class Row:
    """One operation, as it succeeds."""

    name: str
    method: str
    path: str
    response: Any
    query: Mapping[str, Any] = field(factory=dict)
    body: Any = None
    auth: str = "username"

    @property
    def credentials(self) -> Mapping[str, str]:
        if self.auth == "user_name":
            return {"user_name": CREDENTIALS["username"], **KEY}
        return {"username": CREDENTIALS, "key": KEY}.get(self.auth, {})

    async def call(
        self, http: httpx.AsyncClient, path: str = "", **credentials: str
    ) -> httpx.Response:
        query = {**self.query, **self.credentials, **credentials}
        return await http.request(self.method, path or self.path, params=query, json=self.body)


def envelope(result: Any = None, **beside: Any) -> Any:
    return {"meta": META, **beside} | ({} if result is None else {"result": result})
