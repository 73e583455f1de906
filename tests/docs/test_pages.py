"""A page with a mistake fails its test."""

from pathlib import Path

import pytest

from clickpost_async.sandbox import Sandbox
from tests.docs.pages import blocks, prints
from tests.docs.test_blocks import Reader, sandbox

__all__ = ["sandbox"]  # a fixture

RIGHT = """
```{code-block} python
:caption: words.py

WORD = "ink"
```

```python
import asyncio

from words import WORD

print(WORD, await asyncio.sleep(0, 1))
```

```text
... 1
```

```console
$ python words.py
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


def test_page_that_is_right_is_read_to_its_end(page: Path, sandbox: Sandbox) -> None:
    page.write_text(RIGHT)

    Reader(page).read()

    assert [block.language for block in blocks(page)] == ["python", "python", "text", "console"]
    assert Path("words.py").read_text() == 'WORD = "ink"\n'


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("... 1", "... 2"),
        ("import WORD", "import SENTENCE"),
        ("python words.py", "python nowhere.py"),
        ("python words.py", "rm words.py"),
        ("python words.py", "python words.py\nink"),
        ("python words.py", "export CLICKPOST_USERNAME=another"),
        ("python words.py", "pip install 'clickpost_async[nothing]'"),
        ("python words.py", "apt install nothing"),
        ("python words.py", "redis-server --no-such-setting"),
    ],
)
def test_page_that_is_wrong_fails(page: Path, sandbox: Sandbox, right: str, wrong: str) -> None:
    assert right in RIGHT
    page.write_text(RIGHT.replace(right, wrong))

    with pytest.raises((AssertionError, ImportError)):
        Reader(page).read()


def test_printed_text_is_compared_except_for_dots_and_blanks() -> None:
    assert prints("a ...\n  b\n", "a 1 2 b")
    assert not prints("a b", "a c")
