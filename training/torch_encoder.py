"""An encoder as a torch module, to train it further or to write its graph; what serves never imports this."""

from __future__ import annotations

import json

import torch
from transformers import AutoConfig, AutoModel

from training.encoder_packages import CONFIG, EncoderPackage


def torch_encoder(package: EncoderPackage, attention: str | None = "eager") -> torch.nn.Module:
    """The encoder with its verified weights, in float32.

    Args:
        package: which encoder.
        attention: which implementation; that which transformers prefers where None. Eager attention can be traced for
            ONNX, and is the only one that MPNet has.

    Raises:
        StanceError: see `EncoderPackage.read`.
    """
    about = json.loads(package.read(CONFIG)[CONFIG])
    config = AutoConfig.for_model(**{k: v for k, v in about.items() if k not in ("architectures", "_name_or_path")})
    model: torch.nn.Module = AutoModel.from_config(config, attn_implementation=attention, add_pooling_layer=False)  # type: ignore[no-untyped-call]
    weights = {name: torch.from_numpy(tensor.copy()) for name, tensor in package.weights().items()}
    missing = model.load_state_dict(weights, strict=False).missing_keys
    assert not [name for name in missing if not name.endswith("position_ids")], missing
    return model
