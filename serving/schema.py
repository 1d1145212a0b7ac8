"""What goes over HTTP: one definition for validation and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.errors import CODES

MAX_TEXTS = 256
MAX_EXPLAINED = 8
MAX_PROPOSITIONS = 8
MAX_TEXTS_WITH_PROPOSITIONS = 64
MAX_PROPOSITION_CHARACTERS = 300
MAX_LABELS = 500
MAX_CHARACTERS = 10_000
MAX_BODY_BYTES = 2 * 1024 * 1024

Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, pattern=r"\S")]
Proposition = Annotated[str, Field(min_length=1, max_length=MAX_PROPOSITION_CHARACTERS, pattern=r"\S")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Remark = Annotated[str, Field(max_length=2000)]
Time = Annotated[str, Field(description="RFC 3339, UTC.", examples=["2026-03-01T12:00:00Z"])]

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
            description=f"One to {MAX_TEXTS} texts of at most {MAX_CHARACTERS} characters; {MAX_EXPLAINED} at most "
            f"where they are explained, {MAX_TEXTS_WITH_PROPOSITIONS} where propositions are asked about.",
            examples=[EXAMPLE_TEXTS],
        ),
    ]
    targets: Annotated[
        list[str] | None,
        Field(min_length=1, description="Targets to answer for; all where left out.", examples=[["posture"]]),
    ] = None
    propositions: Annotated[
        list[Proposition] | None,
        Field(
            min_length=1,
            max_length=MAX_PROPOSITIONS,
            description=f"Issues that nobody has labelled, up to {MAX_PROPOSITIONS}, each in a sentence of at most "
            f"{MAX_PROPOSITION_CHARACTERS} characters that one can be for or against. Answered beside the targets, "
            "much less surely (docs/propositions.md).",
            examples=[["Turkey should join the union."]],
        ),
    ] = None
    explain: Annotated[
        bool,
        Field(description="Say what carried each score, and which labelled sentences are nearest.", examples=[False]),
    ] = False


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


class PropositionScore(BaseModel):
    """What one text says of one proposition, by a model that no labels of the issue were at hand for."""

    proposition: Annotated[str, Field(description="As it was given.")]
    zero_shot: Annotated[Literal[True], Field(description="Always: nobody labelled anything for this proposition.")]
    label: Annotated[Literal["unrelated", "favor", "neutral", "against"], Field(examples=["favor"])]
    abstained: Annotated[
        bool, Field(description="The label is not sure enough, as far as issues left out of training tell.")
    ]
    score: Annotated[float, Field(ge=-1, le=1, description="p(favor) − p(against).", examples=[0.4])]
    probabilities: Annotated[
        dict[str, float],
        Field(
            description="Of every label; calibrated on issues left out of training. They sum to 1.",
            examples=[{"unrelated": 0.3, "favor": 0.5, "neutral": 0.1, "against": 0.1}],
        ),
    ]
    truncated: Annotated[bool, Field(description="Proposition and text together are longer than is read.")]
    version: Annotated[str, Field(description="Of the model for propositions.", examples=["propositions-0123456789ab"])]


class CarriedWords(BaseModel):
    """A word, or words that stand together, with their part in a score."""

    text: Annotated[str, Field(examples=["sanctions"])]
    start: Annotated[int, Field(ge=0, description="In characters (code points) of the text.", examples=[18])]
    end: Annotated[int, Field(ge=1, description="Exclusive.", examples=[27])]
    contribution: Annotated[
        float, Field(ge=-2, le=2, description="The score minus the score without these words.", examples=[-0.89])
    ]


class RuleFound(BaseModel):
    """A rule of the codebook, and the worked example that led to it."""

    number: Annotated[int, Field(ge=1, examples=[3])]
    text: str
    example: Annotated[str, Field(description="The codebook's sentence that this rule decides, of the same label.")]
    similarity: Annotated[float, Field(ge=-1.001, le=1.001, description="Cosine of that sentence to the text.")]


class TargetExplanation(BaseModel):
    """Why one target was answered so."""

    words: Annotated[
        list[CarriedWords],
        Field(description="What carried the score, strongest first; none where no word moves it by 0.05."),
    ]
    definition: Annotated[
        str | None,
        Field(description="What the codebook says of sentences that have the label; null where it says nothing."),
    ]
    rule: Annotated[
        RuleFound | None,
        Field(description="The rule that decides a worked example much like the text; null where none is."),
    ]


class NearSentence(BaseModel):
    """A labelled sentence that the model sees much alike."""

    id: str
    text: str
    labels: Annotated[
        dict[str, str],
        Field(description='Target → class or "unrelated"; targets that it was not read for are missing.'),
    ]
    source: str | None
    similarity: Annotated[float, Field(ge=-1.001, le=1.001, description="Cosine to the text.", examples=[0.84])]


class TextExplanation(BaseModel):
    """What carried one text's answers, and what is near to it."""

    words_in_piece: Annotated[
        int, Field(ge=1, description="How many words were left out together: 1, more where the text is long.")
    ]
    targets: dict[str, TargetExplanation]
    examples: Annotated[
        list[NearSentence], Field(description="The nearest labelled sentences that may be shown, nearest first.")
    ]


class TextScore(BaseModel):
    """One text's answer."""

    targets: dict[str, TargetScore]
    truncated: Annotated[bool, Field(description="The text is longer than is read; its end did not count.")]
    propositions: Annotated[
        list[PropositionScore] | None, Field(description="In the order that they were given; only where they were.")
    ] = None
    explanation: Annotated[TextExplanation | None, Field(description="Only where it was asked for.")] = None


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
    runtime: Annotated[
        Literal["onnx", "ctranslate2", "ctranslate2-float32"] | None,
        Field(
            description="What the encoder runs on (STANCE_RUNTIME); null where the model has no encoder.",
            examples=["onnx"],
        ),
    ]
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


class LabelIn(BaseModel):
    """What one annotator says of one sentence."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Annotated[Text, Field(examples=EXAMPLE_TEXTS[:1])]
    labels: Annotated[
        dict[str, str | None],
        Field(
            min_length=1,
            description="Target → class; null where the sentence was read for the target and does not touch it.",
            examples=[{"sanctions_relief": "against", "posture": "hawkish"}],
        ),
    ]
    event: Annotated[
        Name | None,
        Field(description="Id of this act of labelling; made of everything said here where left out."),
    ] = None
    id: Annotated[Name | None, Field(description="Id of the sentence; made of its text where left out.")] = None
    annotator: Annotated[Name | None, Field(description="Who labelled; the name of the key where left out.")] = None
    holder: Annotated[Remark | None, Field(description="Whose position it is.")] = None
    group: Annotated[
        Name | None, Field(description="Document or event, which is never split over training and test.")
    ] = None
    source: Name | None = None
    date: Name | None = None
    split: Literal["train", "dev", "test"] | None = None
    note: Remark | None = None
    codebook: Annotated[Name | None, Field(description="Version of the codebook that was followed.")] = None


class LabelsRequest(BaseModel):
    """Labels to be kept, all of them or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labels: Annotated[
        list[LabelIn], Field(min_length=1, max_length=MAX_LABELS, description=f"One to {MAX_LABELS} labels.")
    ]


class LabelKept(BaseModel):
    """A label that is on disk."""

    event: str
    id: str
    new: Annotated[bool, Field(description="False where the same label had been sent before.")]


class LabelsResponse(BaseModel):
    """The labels in the order in which they were sent."""

    accepted: Annotated[int, Field(description="How many are new.")]
    known: Annotated[int, Field(description="How many had been sent before.")]
    labels: list[LabelKept]


class RetrainRequest(BaseModel):
    """A retraining to start."""

    model_config = ConfigDict(extra="forbid", strict=True)

    why: Annotated[
        str,
        Field(
            min_length=1, max_length=2000, pattern=r"\S", examples=["labels of March"], description="For the record."
        ),
    ]
    recipe: Annotated[
        str | None, Field(description="Name of a recipe; that of the model in use where left out.", examples=["floor"])
    ] = None
    force: Annotated[
        bool, Field(description="Take the new model whatever the comparison says; the registry says so for ever.")
    ] = False


JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class JobProgress(BaseModel):
    """How far a job is in what it does now."""

    what: Annotated[str, Field(examples=["embedding"])]
    done: int
    total: int
    seconds: Annotated[float, Field(description="Since it began with this, up to the last word of it.")]
    seconds_left: Annotated[float | None, Field(description="At the pace so far; null where there is none yet.")]


class JobSummary(BaseModel):
    """A retraining: who asked for it, and what has become of it."""

    id: str
    state: JobState
    stage: str | None
    progress: JobProgress | None
    by: Annotated[str, Field(description="Name of the key that asked for it.")]
    why: str
    recipe: str | None
    force: bool
    asked_at: Time
    started_at: Time | None
    ended_at: Time | None
    decision: Annotated[
        dict[str, Any] | None, Field(description="Of a job that succeeded: whether the new model is in use, and why.")
    ]
    error: Annotated[str | None, Field(description="Why a job failed.")]


class JobResponse(JobSummary):
    """A retraining with the end of its log."""

    log: Annotated[list[str], Field(description="Its last lines, 50 at most.")]


class JobsResponse(BaseModel):
    """The last retrainings, newest first, 20 at most."""

    jobs: list[JobSummary]


class ErrorBody(BaseModel):
    """What was wrong with a request."""

    code: Annotated[str, Field(examples=["invalid_request"], json_schema_extra={"enum": list(CODES)})]
    message: Annotated[str, Field(examples=["string should have at least 1 character"])]
    field: Annotated[str | None, Field(description="The field, dotted where nested.", examples=["texts.0"])]
    request_id: Annotated[
        str, Field(description="That of the request's `X-Request-Id`, or one made for it.", examples=["5f0c1d2e"])
    ]


class ErrorResponse(BaseModel):
    """The envelope of every error."""

    error: ErrorBody
