"""What `/v1/analyze` takes and answers, for validation and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.schema import ModelName, Name, Remark, TextScore

MAX_DOCUMENTS = 32
MAX_DOCUMENT_CHARACTERS = 50_000
MAX_SENTENCES = 1_000

DocumentText = Annotated[str, Field(min_length=1, max_length=MAX_DOCUMENT_CHARACTERS, pattern=r"\S")]

EXAMPLE_DOCUMENT = (
    "The drills will go on as planned, the defence minister said on Monday. “We will not pay twice for one promise,” he"
    " told parliament. The North called the drills a rehearsal for war. There is little time left to stop this."
)


class DocumentRequest(BaseModel):
    """A document: news, a statement, an opinion; and what else is known of it, which comes back as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Annotated[
        DocumentText,
        Field(
            description="As it stands, a paragraph a line or not; offsets count its characters.",
            examples=[EXAMPLE_DOCUMENT],
        ),
    ]
    title: Remark | None = None
    date: Name | None = None
    source: Name | None = None


class AnalyzeRequest(BaseModel):
    """Documents to read; of all together at most so many sentences as stated."""

    model_config = ConfigDict(extra="forbid", strict=True)

    documents: Annotated[
        list[DocumentRequest],
        Field(
            min_length=1,
            max_length=MAX_DOCUMENTS,
            description=f"One to {MAX_DOCUMENTS} documents of at most {MAX_DOCUMENT_CHARACTERS} characters, and "
            f"{MAX_SENTENCES} sentences in all.",
        ),
    ]
    targets: Annotated[
        list[str] | None,
        Field(min_length=1, description="Targets to answer for; all where left out.", examples=[["posture"]]),
    ] = None


class HolderOut(BaseModel):
    """Whose position a sentence voices."""

    kind: Annotated[
        Literal["speaker", "subject", "author", "several"],
        Field(description="Of words; of a reported act or demand; the text itself; several on one side."),
    ]
    text: Annotated[
        str | None, Field(description="The name as it stands; null where nobody is named.", examples=["he"])
    ]
    start: Annotated[int | None, Field(description="Of that name in the document, which may be in another sentence.")]
    end: Annotated[int | None, Field(description="Exclusive.")]
    name: Annotated[
        str | None,
        Field(
            description="Who that is in this document, by the alias file and what stands before.",
            examples=["North Korea"],
        ),
    ]
    of: Annotated[str | None, Field(description="The state or body that they belong to, where it is known.")]
    probability: Annotated[
        float | None, Field(description="That kind and name are right, by the tagger; null where rules decided.")
    ]


class AnalyzedSentence(TextScore):
    """A sentence: where it stands, who holds it, and its answer for each target as in `/v1/score`."""

    start: Annotated[int, Field(description="In characters of the document.")]
    end: Annotated[int, Field(description="Exclusive.")]
    text: str
    quoted: Annotated[float, Field(ge=0, le=1, description="Which part of it stands in quotation marks.")]
    holder: Annotated[HolderOut | None, Field(description="null where nobody voices anything.")]


class TotalOut(BaseModel):
    """What sentences say of one target, taken together."""

    score: Annotated[float, Field(ge=-1, le=1, description="Mean of the scores, each weighed by how sure it is.")]
    low: Annotated[float | None, Field(description="Of the 95% interval; null below three sentences.")]
    high: Annotated[float | None, Field(description="Of the 95% interval; null below three sentences.")]
    sentences: Annotated[int, Field(ge=1, description="How many touch the target.")]
    unsure: Annotated[
        int, Field(ge=0, description="How many of these are not sure enough by themselves (`abstained`).")
    ]
    evidence: Annotated[
        list[int], Field(description="Numbers, from 0, of the sentences that moved it most; most first, five at most.")
    ]


class VoiceTotals(BaseModel):
    """A target's totals, each of one kind of voice; null where no sentence of that kind touches the target."""

    author: Annotated[TotalOut | None, Field(description="What the text says for itself.")]
    others: Annotated[TotalOut | None, Field(description="What it quotes or reports of others, all of them together.")]
    nobody: Annotated[
        TotalOut | None, Field(description="What voices nobody's position; always null without a tagger.")
    ]


class HolderRow(BaseModel):
    """A line of the table holder × target."""

    holder: Annotated[str | None, Field(description="null for those whom the text does not name.")]
    kind: Annotated[
        Literal["person", "state", "office", "several", "other"], Field(description="As in the alias file.")
    ]
    of: Annotated[str | None, Field(description="The state or body that they belong to, where it is known.")]
    sentences: Annotated[int, Field(ge=1, description="How many voice their position, on a target or not.")]
    targets: Annotated[dict[str, TotalOut], Field(description="Those that one of these sentences touches.")]


class AnalyzedDocument(BaseModel):
    """What a document says, and who says it."""

    title: str | None
    date: str | None
    source: str | None
    sentences: list[AnalyzedSentence]
    totals: dict[str, VoiceTotals]
    holders: Annotated[list[HolderRow], Field(description="Most sentences first; without the author.")]


class AnalyzeResponse(BaseModel):
    """Analyses in the order of the documents."""

    model: ModelName
    holders_by: Annotated[
        Literal["tagger", "rules"],
        Field(description="Whether a tagger trained on labelled holders had a say, or quotations and verbs alone."),
    ]
    documents: list[AnalyzedDocument]
