"""Recipes: named, readable configurations of a training, validated when they are read."""

from __future__ import annotations

from operator import not_
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from labels.errors import StanceError, not_as_described
from labels.yaml_file import parse_yaml

RECIPES = Path(__file__).parent / "recipes"
FLOOR_RECIPE = "floor"

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HeadSettings(_Strict):
    """Settings of the logistic regressions; of several values the best is chosen on held-out groups, per target."""

    c: Annotated[list[Positive], Field(min_length=1)]
    balance: Annotated[list[Share], Field(min_length=1)]


class TuningSettings(_Strict):
    """How an encoder is trained further.

    Attributes:
        rank: of the low-rank change of every linear layer.
        epochs: passes over the sentences, at most; the best on held-out groups decides how many are made.
        batch: sentences a step.
        learning_rate: its peak; it rises over the share `warmup` of all steps, then falls to 0 in a line.
        head_rate: multiple of the learning rate that the heads learn with.
        weight_decay: of AdamW (Loshchilov & Hutter 2019).
        dropout: in the encoder and before the heads.
        smoothing: share of every aim that is spread over all outcomes (Szegedy et al. 2016).
        balance: exponent of the class weights (n / (k · n_class)); 0 leaves classes as they are.
        weights: what a sentence of a source counts, by source; 1 where it is not named.
    """

    rank: Count
    epochs: Count
    batch: Count = 32
    learning_rate: Positive
    head_rate: Positive = 1.0
    warmup: Share = 0.06
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    balance: Share = 0.0
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}


class Distillation(_Strict):
    """What teachers add (Hinton et al. 2015).

    Attributes:
        label_share: share of a labelled sentence's aim that is its label; the rest is the mean of the teachers.
        unlabelled: whether texts without labels are learnt too, from the teachers alone: sentences of the corpus and
            variants.
        variants: how many texts are made of each sentence by rule, see `training.variants`.
    """

    label_share: Share
    unlabelled: bool = True
    # A recipe that asks for nothing that is newer than a model reads as it did, so that the model keeps its version.
    variants: Annotated[int, Field(ge=0, exclude_if=not_)] = 0

    @model_validator(mode="after")
    def _variants_are_learnt(self) -> Self:
        if self.variants and not self.unlabelled:
            raise ValueError("with `unlabelled: false` variants are not learnt, so `variants` is 0")
        return self


class DecisionSettings(_Strict):
    """How probabilities become labels: for the best F1, or for a precision of the poles that is stated."""

    objective: Literal["f1", "precision"] = "f1"
    precision: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _precision_where_needed(self) -> DecisionSettings:
        if (self.objective == "precision") != (self.precision is not None):
            raise ValueError("'precision' belongs to the objective 'precision', and it needs one")
        return self


class AbstentionSettings(_Strict):
    """Which share of the answers that are given may be wrong; answers less sure are marked as not sure enough."""

    error_rate: Annotated[float, Field(gt=0, lt=1)] = 0.2


class _Common(_Strict):
    """What every recipe says.

    Attributes:
        folds: into how many parts the groups are dealt, to hold each out in turn.
        train_only: beginnings of the sources whose sentences are learnt from, but never held out, because they are not
            of the kind that will be scored.
    """

    name: str
    title: str
    seed: int = 0
    folds: Annotated[int, Field(ge=2)] = 5
    train_only: list[str] = []
    decision: DecisionSettings = DecisionSettings()
    abstention: AbstentionSettings = AbstentionSettings()


class FloorRecipe(_Common):
    """Weighted words and a logistic regression a target."""

    family: Literal["tfidf"]
    heads: HeadSettings


class FrozenRecipe(_Common):
    """Embeddings of an encoder as it is, and a logistic regression a target."""

    family: Literal["frozen-encoder"]
    encoder: str
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    heads: HeadSettings


class TunedRecipe(_Common):
    """An encoder that is trained further, with a head a target.

    Attributes:
        held_out_folds: in how many of the folds sentences are held out to choose the number of epochs and to calibrate;
            each costs a training of its own.
        refit: whether all sentences are learnt at last. Where not, what answers is the training that held sentences
            out: it never learns those, and is calibrated and decided on what it says of them itself.
    """

    family: Literal["fine-tuned"]
    encoder: str
    held_out_folds: Count = 1
    refit: Annotated[bool, Field(exclude_if=bool)] = True
    tuning: TuningSettings
    distillation: Distillation | None = None

    @model_validator(mode="after")
    def _one_training(self) -> Self:
        if not self.refit and self.held_out_folds != 1:
            raise ValueError("with `refit: false` there is one training, so held_out_folds is 1")
        return self


Recipe = FloorRecipe | FrozenRecipe | TunedRecipe
"""What `stance train --recipe` does."""

_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Annotated[Recipe, Field(discriminator="family")])


def parse_recipe(given: object) -> Recipe:
    """A recipe as it stands in a file.

    Raises:
        ValidationError: it is none.
    """
    return _RECIPE.validate_python(given)


def recipe_names() -> list[str]:
    """Names of the project's recipes, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name: str) -> Recipe:
    """A recipe of the project by its name, or one of your own by the path of its file (ending in .yaml).

    Raises:
        StanceError: there is none of that name, or the file is not a recipe.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise StanceError(
            f"no recipe '{name}'",
            hint=f"There are {', '.join(recipe_names())}; a file of your own ends in .yaml.",
        )
    given = parse_yaml(path)
    try:
        return parse_recipe(given)
    except ValidationError as error:
        # The family is part of where pydantic found the problem, but not of where it stands in the file.
        family = given.get("family") if isinstance(given, dict) else ""
        raise not_as_described(error, path, within=family or "") from error
