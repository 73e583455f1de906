import pytest

from clickpost_async._util.redis_keys import key_prefix


def test_prefix_keeps_an_account_on_one_node_of_a_cluster() -> None:
    assert key_prefix("acme") == "clickpost:{acme}:"


@pytest.mark.parametrize("account", ["", "a b", "a{b", "}", "a\n"])
def test_name_that_would_split_the_keys_is_refused(account: str) -> None:
    with pytest.raises(ValueError, match=r"^account must be a name without braces or blanks"):
        key_prefix(account)
