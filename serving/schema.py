"""What goes over HTTP: one definition for validation and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_TEXTS = 256
MAX_CHARACTERS = 10_000
MAX_BODY_BYTES = 2 * 1024 * 1024

Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, pattern=r"\S")]

EXAMPLE_TEXTS = [
    "The minister said sanctions must stay in place until the last warhead is gone.",
    "Seoul offered to suspend the autumn drills if the talks resume.",
]


class ScoreRequest(BaseModel):
    """Texts to score: one sentence each, for that is what the model was trained on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: Annotated[
        list[Text],
        Field(
            min_length=1,
            max_length=MAX_TEXTS,
            description=f"One to {MAX_TEXTS} texts of at most {MAX_CHARACTERS} characters.",
            examples=[EXAMPLE_TEXTS],
        ),
    ]
    targets: Annotated[
        list[str] | None,
        Field(min_length=1, description="Targets to answer for; all where left out.", examples=[["posture"]]),
    ] = None


class TargetScore(BaseModel):
    """One target's answer for one text."""

    label: Annotated[str, Field(description='A class of the target, or "unrelated".', examples=["hawkish"])]
    abstained: Annotated[
        bool,
        Field(
            description="The label is not sure enough for the error rate that the model states (`/v1/model`).",
            examples=[False],
        ),
    ]
    score: Annotated[float, Field(ge=-1, le=1, description="p(conciliatory pole) − p(other pole).", examples=[-0.71])]
    probabilities: Annotated[
        dict[str, float],
        Field(
            description='Every class and "unrelated", calibrated; they sum to 1.',
            examples=[{"unrelated": 0.03, "hawkish": 0.81, "neutral": 0.06, "dovish": 0.1}],
        ),
    ]


class TextScore(BaseModel):
    """One text's answer."""

    targets: dict[str, TargetScore]
    truncated: Annotated[bool, Field(description="The text is longer than is read; its end did not count.")]


class ModelName(BaseModel):
    """Which model answered."""

    version: Annotated[str, Field(examples=["frozen-encoder-0123456789ab"])]


class ScoreResponse(BaseModel):
    """Results in the order of the texts."""

    model: ModelName
    results: list[TextScore]


class TargetsResponse(BaseModel):
    """The taxonomy of the model that answers."""

    targets: list[dict[str, Any]]


class ModelResponse(BaseModel):
    """What the model that answers is and was trained on."""

    model_config = ConfigDict(extra="allow")

    version: str
    error_rate: Annotated[
        float,
        Field(description="Share of wrong labels, at most, among those that are not `abstained`.", examples=[0.2]),
    ]
    source: Annotated[
        Literal["named", "champion", "former champion", "shipped"],
        Field(
            description="Why this model answers: it was named when the service started, it is the registry's champion, "
            "it was (and the one that is now cannot be loaded), or it came with the service.",
            examples=["champion"],
        ),
    ]


class ErrorBody(BaseModel):
    """What was wrong with a request."""

    code: Annotated[str, Field(examples=["invalid_request"])]
    message: Annotated[str, Field(examples=["string should have at least 1 character"])]
    field: Annotated[str | None, Field(description="The field, dotted where nested.", examples=["texts.0"])]


class ErrorResponse(BaseModel):
    """The envelope of every error."""

    error: ErrorBody
