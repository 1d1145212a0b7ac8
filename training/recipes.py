"""Recipes: named, readable configurations of a training, checked when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labels.errors import StanceError
from labels.records import first_problem

RECIPES = Path(__file__).parent / "recipes"
FLOOR_RECIPE = "floor"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HeadSettings(_Strict):
    """Settings of the logistic regressions; of several values the best is chosen on held-out groups, per target."""

    c: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    balance: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]


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


class Recipe(_Strict):
    """What `stance train --recipe` does."""

    name: str
    title: str
    family: Literal["tfidf", "frozen-encoder"]
    encoder: str | None = None
    layers: list[Annotated[int, Field(ge=0)]] = []
    seed: int = 0
    folds: Annotated[int, Field(ge=2)] = 5
    heads: HeadSettings
    decision: DecisionSettings = DecisionSettings()
    abstention: AbstentionSettings = AbstentionSettings()

    @model_validator(mode="after")
    def _encoder_where_needed(self) -> Recipe:
        needed = self.family == "frozen-encoder"
        if needed != (self.encoder is not None) or needed != bool(self.layers):
            raise ValueError("'encoder' and 'layers' belong to the family 'frozen-encoder', and it needs both")
        return self


def recipe_names() -> list[str]:
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
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf8")))
    except yaml.YAMLError as error:
        raise StanceError(f"is not YAML: {error}", path=path) from error
    except ValidationError as error:
        field, message = first_problem(error)
        raise StanceError(message, path=path, field=field) from error
