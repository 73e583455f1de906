"""Errors that name the extra to install for a missing library."""

from types import TracebackType

from attrs import frozen


def not_installed(reason: str, package: str, otherwise: str = "") -> ImportError:
    """Return the error for a missing library.

    Args:
        reason: What needs which library, like "merging labels needs pypdf".
        package: What to install, like "clickpost_async[labels]".
        otherwise: What to do instead, if there is something.

    """
    name = f"'{package}'" if "[" in package else package
    return ImportError(f"{reason}: pip install {name}{otherwise and f', {otherwise}'}")


@frozen
class require:  # noqa: N801 - used as a statement: with require(…): import …
    """Runs imports; where one fails, names what to install. The arguments are `not_installed`'s."""

    reason: str
    package: str
    otherwise: str = ""

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if isinstance(error, ImportError):
            raise not_installed(self.reason, self.package, self.otherwise) from error
