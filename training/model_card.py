"""The model card, in the format of the Hugging Face Hub: what programs read, and what people do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from training.pages import OVERALL_TITLES, TEMPLATES


def model_card(context: Mapping[str, Any]) -> str:
    """YAML with the results (`model-index`), and text.

    Args:
        context: what `training.report.write_report` gives its templates.
    """
    metrics = context["metrics"]
    data = ModelCardData(
        language="en",
        license="mit",
        library_name="stance",
        pipeline_tag="text-classification",
        tags=["stance-detection", "international-relations"],
        model_name=metrics["model"]["version"],
        eval_results=list(_results(metrics, context["main"], context["titles"])),
    )
    text = TEMPLATES.get_template("model-card.md.j2").render(**context)
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def _results(metrics: Mapping[str, Any], main: str, titles: Mapping[str, str]) -> Iterator[EvalResult]:
    figures = metrics["sets"][main]["model"]
    named = [("macro_f1", f"macro-F1, {title}", figures["targets"][key]["macro_f1"]) for key, title in titles.items()]
    named += [(key, title, figures["overall"][key]) for key, title in OVERALL_TITLES.items()]
    for kind, title, figure in named:
        if figure["value"] is not None:
            yield EvalResult(
                task_type="text-classification",
                task_name="Stance detection",
                dataset_type="stance-labels",
                dataset_name=f"stance labels, {'twice-labelled' if main == 'twice' else 'all'} sentences",
                dataset_split=metrics["split"],
                dataset_revision=metrics["data"]["fingerprint"],
                metric_type=kind,
                metric_name=title,
                metric_value=figure["value"],
            )
