"""Whether a response that could be read can be the response to its own request."""

from clickpost_async.structures._base import ResponseModel
from clickpost_async.structures.orders import Order


def names_another_order(answer: ResponseModel, reference_number: str | None) -> bool:
    """Return whether a response carries another reference number than the one that was sent.

    A cache or a proxy on the way may have mixed up two responses. Blanks around it do not count,
    and a response without a reference number is its own request's.
    """
    if not isinstance(answer, Order) or None in (answer.reference_number, reference_number):
        return False
    return str(answer.reference_number).strip() != str(reference_number).strip()
