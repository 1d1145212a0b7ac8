"""The same weights in the plain `transformers` pipeline, as one would run them without this project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from training.encoder import SentenceEncoder, read_tokenizer

BATCH = 32

Embed = Callable[[Sequence[str]], list[Any]]
"""Texts to torch tensors of shape (1, tokens, dimensions): the outputs of the last layer."""


def feature_pipeline(encoder: SentenceEncoder) -> Embed:
    """The pipeline "feature-extraction" on the processor, with texts in batches, in float32.

    Raises:
        ModuleNotFoundError: torch or transformers is not installed.
    """
    import torch
    from transformers import PreTrainedTokenizerFast, pipeline

    from training.torch_encoder import torch_encoder

    package = encoder.package
    model = torch_encoder(package, attention=None).eval()
    weights = {name: torch.from_numpy(tensor.copy()) for name, tensor in encoder.weights().items()}
    model.load_state_dict(weights, strict=False)
    tokenizer = read_tokenizer(package)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=tokenizer.id_to_token(package.padding),
        model_max_length=package.max_tokens,
    )
    extract = pipeline("feature-extraction", model=model, tokenizer=fast, device="cpu")  # type: ignore[call-overload]

    def embed(texts: Sequence[str]) -> list[Any]:
        with torch.inference_mode():
            # Tensors, for turning them into lists would take longer than the model.
            given: list[Any] = extract(
                list(texts), batch_size=BATCH, return_tensors=True, tokenize_kwargs={"truncation": True}
            )
        return given

    return embed
