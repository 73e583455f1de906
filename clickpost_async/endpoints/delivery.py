"""Predict how many days a delivery takes, within India and worldwide."""

from collections.abc import Mapping, Sequence
from typing import Any

from clickpost_async._codec.endpoint import Idempotency, Post
from clickpost_async._codec.envelope import only_row, result_or_none, rows_from_result
from clickpost_async.endpoints._base import check, lower_case, one_row_each
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.settings import Host
from clickpost_async.structures.delivery import (
    PincodePair,
    Prediction,
    Predictions,
    WorldPrediction,
    WorldRoute,
)


def _predictions_of(body: Mapping[str, Any]) -> Any:
    """Read a list of predictions; a single one without a list has been seen too.

    They are matched by position, so a null is a prediction too: none.
    """
    result = result_or_none(body)
    if isinstance(result, dict):
        result = [result]
    if isinstance(result, list) and any(result):
        result = [{} if row is None else row for row in result]
    return rows_from_result({"result": result})


PREDICT = Post(
    "/v2/predicted_sla_api/",
    name="delivery.predict",
    takes=Sequence[PincodePair],
    returns=Predictions,
    extract=_predictions_of,
    host=Host.PREDICTION,
    idempotency=Idempotency.SAFE,
)
PREDICT_WORLD = Post(
    "/v1/global_edd/",
    name="delivery.predict_world",
    takes=WorldRoute,
    returns=WorldPrediction,
    extract=only_row,
    host=Host.PREDICTION,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (PREDICT, PREDICT_WORLD)


class Delivery(Namespace):
    """`clickpost.delivery`."""

    async def predict(
        self,
        pairs: Sequence[PincodePair | Mapping[str, Any]],
        *,
        check_drop_pincode_validity: bool | None = None,
    ) -> Predictions:
        """Predict how many days parcels take within India.

        The response has one prediction for each pair, in the order of `pairs`. A pair without one
        is not an error: its `available` is false. ClickPost responds without any result when it has
        none at all.

        Args:
            pairs: Where parcels are picked up and delivered.
            check_drop_pincode_validity: Whether ClickPost checks that each drop pincode exists;
                otherwise one that does not exist may get a prediction too.

        Returns:
            A prediction for each pair, in the same order.

        Raises:
            InvalidRequestError: A field is wrong, or there is no pair.
            CredentialsError: The key is wrong, or predictions are not subscribed to (320).
            UnreadableReplyError: Also when the number of predictions differs from that of the
                pairs, since they are matched by position.

        """
        check(check_drop_pincode_validity=check_drop_pincode_validity)
        query = {"check_drop_pincode_validity": lower_case(check_drop_pincode_validity)}
        call = self._caller.post(PREDICT, pairs, query)
        return await one_row_each(call, len(pairs), "pairs", Prediction(), PREDICT)

    async def predict_world(self, route: WorldRoute | Mapping[str, Any]) -> WorldPrediction:
        """Predict how many days a parcel takes between any two countries.

        A route without a prediction is not an error: `available` is false.

        Args:
            route: Where the parcel is picked up and delivered.

        Returns:
            The least and the greatest number of days.

        Raises:
            InvalidRequestError: A field is wrong.
            CredentialsError: The key is wrong, or predictions are not subscribed to (320).

        """
        return await self._caller.post(PREDICT_WORLD, route)
