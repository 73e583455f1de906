"""Search the built pages in a browser: `python -m tests.docs.search HTML_FOLDER`.

Each word that an engineer searches for has to find the page about it first. `nox -s docs` runs this
where chromium is installed.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

# What is searched for, and the page that has to be the first result.
EXPECTED = {
    "idempotency": "topics/retries.html",
    "circuit breaker": "topics/retries.html",
    "backoff": "topics/retries.html",
    "dry run": "how-to/bulk.html",
    "concurrency": "how-to/concurrency.html",
    "redact": "topics/secrets.html",
}
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom"),
)
_RESULT = re.compile(r'<li class="kind-\w+"><a href="([^"?#]*)')


def search(chromium: str, folder: Path, words: str) -> list[str]:
    """Return the pages that the search of the built documentation finds, best first."""
    address = f"{(folder / 'search.html').resolve().as_uri()}?{urlencode({'q': words})}"
    shown = subprocess.run(
        [chromium, *_FLAGS, address], capture_output=True, text=True, check=True, timeout=120
    )
    return _RESULT.findall(shown.stdout)


def main(folder: Path) -> int:
    """Print the first result of each search; return 1 if one of them is the wrong page."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stdout.write("chromium is not installed: the search of the pages was not tested\n")
        return 0
    failed = False
    for words, expected in EXPECTED.items():
        found = search(chromium, folder, words)
        is_first = found[:1] == [expected]
        failed = failed or not is_first
        detail = "" if is_first else f", expected {expected}; found {found[:5]}"
        sys.stdout.write(f"{words}: {found[0] if found else 'nothing'}{detail}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
