"""Predictions for new rows from a finished fit, made here and at once: no queue and no worker."""

from fastapi import APIRouter
from starlette.responses import Response

from model.predict import predict
from service.answers import Predictions
from service.bodies import JsonBody, work_on
from service.caching import fresh
from service.datasets import opener
from service.deps import Here, Reader
from service.documentation import answers, json_request
from service.lookup import find_ended, posterior_of
from service.places import in_dataset, moving
from service.reading import read_prediction
from service.schemas import PredictionRequest

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["results"])


@router.post(
    "/predictions",
    operation_id="predict",
    summary="Predict new rows",
    openapi_extra=json_request(PredictionRequest),
    responses=answers(
        (200, "One entry for each row.", Predictions),
        problems=(
            "fit-not-found",
            "fit-gone",
            "fit-not-finished",
            "fit-failed",
            "fit-cancelled",
            "store-unavailable",
        ),
        body=True,
    ),
)
async def post_predictions(here: Here, tenant: Reader, fit_id: str, body: JsonBody) -> Response:
    """Predict the linear predictor, the mean of the response, or new responses; the rows need no response."""

    def answer() -> Response:
        posterior = posterior_of(here, find_ended(here, tenant, fit_id))
        draws = posterior.chains * posterior.draws
        request, table = read_prediction(body, here.settings.limits, draws, opener(here, tenant))
        with moving(None if request.dataset is None else in_dataset):
            predicted = predict(
                posterior,
                table,
                kind=request.kind,
                group_effects=request.group_effects,
                new_levels=request.new_levels,
                prob=request.prob,
                seed=request.seed,
                returns=request.returns,
            )
        return fresh(predicted)

    return await work_on(here, body, answer)
