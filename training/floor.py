"""The floor: words and pairs of words, trained on the same sentences as what it is compared with."""

from __future__ import annotations

from labels.errors import StanceError
from training.dataset import fingerprint
from training.embedding_cache import cache_place
from training.model_folder import Model, load_model, save_model
from training.outcomes import Progress
from training.recipes import FLOOR_RECIPE, load_recipe
from training.train import LabelledData, train


def floor_of(data: LabelledData, progress: Progress | None = None) -> Model:
    """The floor of the part `train`, which is kept in the cache folder: choosing its settings takes minutes."""
    recipe = load_recipe(FLOOR_RECIPE)
    same = [fingerprint(data.part("train")), recipe.model_dump(), data.taxonomy.as_dict()]
    folder = cache_place("floors", same)
    try:
        return load_model(folder)
    except StanceError:  # not there, of an older format, or damaged: trained anew in all cases
        return save_model(train(data, recipe, progress), folder)
