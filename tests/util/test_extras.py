from importlib import import_module

import pytest

from clickpost_async._util.extras import not_installed, require


def test_failing_import_names_the_extra_to_install_and_keeps_its_cause() -> None:
    with (
        pytest.raises(ImportError) as raised,
        require("merging needs glue", "clickpost_async[glue]", "or staple it"),
    ):
        import_module("clickpost_async.no_such_module")
    assert str(raised.value) == (
        "merging needs glue: pip install 'clickpost_async[glue]', or staple it"
    )
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)


def test_package_without_an_extra_is_named_without_quotes() -> None:
    assert str(not_installed("this needs glue", "glue")) == "this needs glue: pip install glue"


def test_other_errors_of_an_import_are_raised_as_they_are() -> None:
    with pytest.raises(SyntaxError), require("merging needs glue", "glue"):
        raise SyntaxError


def test_imports_that_succeed_are_not_affected() -> None:
    with require("nothing needs json", "json"):
        json = import_module("json")
    assert json.loads("1") == 1
