"""One training of the holder tagger: labelled sentences in, a tagger and its held-out figures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from labels.errors import StanceError, needs_package
from training.encoder_packages import encoder_named
from training.held_out import Fold, folds_of, starts_with_any
from training.holder import Holder
from training.holder_figures import as_noted, compared, is_right
from training.holder_labels import KINDS, NAMED, NotedSentence, holders_fingerprint, kinds_of
from training.holder_network import LONGEST, Found, HolderNetwork
from training.holder_reading import Read, read_and_keep
from training.holder_tagger import Calibration, HolderTagger, holder_of, log_odds
from training.marks import marks
from training.outcomes import Progress

if TYPE_CHECKING:
    from training.holder_training import HolderLesson, HolderSettings

ENCODER = "minilm"
TRAIN_ONLY = ("authored",)
"""Beginnings of sources whose sentences are learnt from and never held out: those written for this project."""
CARD = {
    "labels": "made by a language model under labels/codebook.md, rules 9, 17 and 44; not by people",
    "licence": "MIT",
    "encoder_licence": "Apache-2.0",
}

_FIND_TOGETHER = 64
_UNCALIBRATED = Calibration((1.0, 0.0), (1.0, 0.0))


def learn(
    sentences: Sequence[NotedSentence], settings: HolderSettings | None = None, progress: Progress | None = None
) -> HolderTagger:
    """Train on sentences of the training part.

    Groups are held out in turn for the figures and for the calibration of the probabilities; the tagger itself learns
    from all of them.

    Args:
        sentences: see `training.holder_labels.read_holders`.
        settings: how; by default as the one that ships.
        progress: told how far it is.

    Raises:
        StanceError: torch or the encoder is not installed, or the cache folder cannot be written.
    """
    try:
        from training.holder_training import HolderLesson, HolderSettings, fit_holders
    except ModuleNotFoundError as error:
        raise needs_package("training a holder tagger", error.name, "train,torch") from error
    settings = settings or HolderSettings()
    read = read_and_keep(encoder_named(ENCODER), settings.layers, [s.text for s in sentences], progress)
    lesson = _lesson(sentences, read, HolderLesson)
    units = [sentence.unit for sentence in sentences]
    eligible = ~starts_with_any([sentence.source for sentence in sentences], TRAIN_ONLY)
    folds = folds_of(units, eligible, settings.folds, settings.seed)
    found: dict[int, Found] = {}
    for number, (train, test) in enumerate(folds):
        what = f"fold {number + 1} of {len(folds)}"
        network = fit_holders(lesson.rows(train.tolist()), settings, progress, what)
        found |= zip(test.tolist(), _find(network, [read[i] for i in test.tolist()]), strict=True)
    return HolderTagger(
        network=fit_holders(lesson, settings, progress, "all sentences"),
        calibration=_calibrated(sentences, read, found, sorted(found)),
        encoder=ENCODER,
        layers=tuple(settings.layers),
        about={
            "settings": asdict(settings),
            "data": {
                "fingerprint": holders_fingerprint(sentences),
                "sentences": len(sentences),
                "groups": len(set(units)),
                "kinds": dict(zip(KINDS, np.bincount(lesson.kinds, minlength=len(KINDS)).tolist(), strict=True)),
            },
            "card": CARD,
        },
        metrics=_held_out_figures(sentences, read, folds, found),
        groups=marks(units),
    )


def scored(tagger: HolderTagger, sentences: Sequence[NotedSentence]) -> dict[str, Any]:
    """Figures on sentences that it was not trained on; those of a group that it was are left out.

    Raises:
        StanceError: none is left.
    """
    known = set(tagger.groups.tolist())
    kept = [s for s in sentences if not known.intersection(marks([s.unit]).tolist())]
    if not kept:
        raise StanceError("the tagger was trained on the groups of all of these sentences", hint="Name other labels.")
    given = compared(kept, tagger.tag([sentence.text for sentence in kept]))
    return {"version": tagger.version, "fingerprint": holders_fingerprint(kept), **given}


def _lesson(sentences: Sequence[NotedSentence], read: Sequence[Read], kind: type[HolderLesson]) -> HolderLesson:
    spans = [each.spans_of_tokens(s.holder.spans, LONGEST) for s, each in zip(sentences, read, strict=True)]
    return kind(read, kinds_of(sentences), spans)


def _find(network: HolderNetwork, read: Sequence[Read]) -> list[Found]:
    order = sorted(range(len(read)), key=lambda i: len(read[i].offsets))
    found: dict[int, Found] = {}
    with threadpool_limits(1):
        for first in range(0, len(order), _FIND_TOGETHER):
            rows = order[first : first + _FIND_TOGETHER]
            found |= zip(rows, network.find([read[i] for i in rows]), strict=True)
    return [found[i] for i in range(len(read))]


def _held_out_figures(
    sentences: Sequence[NotedSentence], read: Sequence[Read], folds: Sequence[Fold], found: dict[int, Found]
) -> dict[str, Any]:
    if not folds:
        return {"method": "none: too few groups to hold any out"}
    rows = sorted(found)
    holders: dict[int, Holder] = {}
    for _, test in folds:
        # Nobody's probability is calibrated on the groups that it is judged by.
        others = sorted(set(rows) - set(test.tolist()))
        calibration = _calibrated(sentences, read, found, others)
        holders |= {i: holder_of(found[i], read[i].offsets, calibration) for i in test.tolist()}
    return {
        "method": f"groups of the training part held out in {len(folds)} folds; settings were chosen on groups of the "
        "same part",
        **compared([sentences[i] for i in rows], [holders[i] for i in rows]),
    }


def _calibrated(
    sentences: Sequence[NotedSentence], read: Sequence[Read], found: dict[int, Found], rows: Sequence[int]
) -> Calibration:
    answers = [found[i].answer for i in rows]
    given = [as_noted(holder_of(found[i], read[i].offsets, _UNCALIBRATED)) for i in rows]
    right = np.array([is_right(one, sentences[i].holder) for one, i in zip(given, rows, strict=True)], bool)
    named = np.array([kind == NAMED for kind, _ in answers], bool)
    said = log_odds(np.array([probability for _, probability in answers], np.float64))
    return Calibration(_logistic(said[named], right[named]), _logistic(said[~named], right[~named]))


def _logistic(said: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Factor and constant; as they are where nothing or only one outcome was seen."""
    if len(set(right.tolist())) < 2:
        return 1.0, 0.0
    model = LogisticRegression(C=10.0).fit(said[:, None], right)
    return max(0.0, float(model.coef_[0, 0])), float(model.intercept_[0])
