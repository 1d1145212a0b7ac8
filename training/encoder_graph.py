"""Write the encoders' graphs without their weights, so that serving needs no torch.

Run once a release of an encoder (`python -m training.encoder_graph`, extra `torch`); the results are kept in
`training/graphs/`. Every initializer keeps the checkpoint's tensor name and is marked as external data, to be
given to ONNX Runtime from the verified safetensors file when the graph is loaded.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from training.encoder import FIRST, MEAN, layer_output, token_output
from training.encoder_packages import ENCODERS, EncoderPackage


def write_graph(package: EncoderPackage, path: Path) -> None:
    """Export `token ids, attention mask → embeddings` as an ONNX graph.

    `layer_0` is what the token embeddings give, `layer_N` the last layer. Each is pooled by the mean over the tokens
    that are not padding and brought to length 1, as the encoder's own last layer is (sentence-transformers,
    `1_Pooling` and `2_Normalize`). MEAN and FIRST are of the last layer and keep their length. The states of all tokens
    are outputs too, as they are; what is not asked for is not copied out.
    """
    import onnx
    import torch

    from training.torch_encoder import torch_encoder

    class Pooled(torch.nn.Module):
        def __init__(self, encoder: torch.nn.Module) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
            layers = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
            ).hidden_states
            weight = attention_mask.unsqueeze(-1).to(layers[0].dtype)
            pooled = [(states * weight).sum(1) / weight.sum(1).clamp(min=1e-9) for states in layers]
            unit = [torch.nn.functional.normalize(each, dim=1) for each in pooled]
            return (*unit, pooled[-1], layers[-1][:, 0], *layers[1:])

    encoder = torch_encoder(package).eval()
    pooled = [*(layer_output(layer) for layer in range(package.layers + 1)), MEAN, FIRST]
    states = [token_output(layer) for layer in range(1, package.layers + 1)]
    example = torch.full((2, 7), package.padding + 1, dtype=torch.int64)
    buffer = io.BytesIO()
    torch.onnx.export(
        Pooled(encoder).eval(),
        (example, torch.ones_like(example)),
        buffer,  # type: ignore[arg-type]  # a stream is taken too where dynamo=False
        input_names=["input_ids", "attention_mask"],
        output_names=pooled + states,
        dynamic_axes={
            "input_ids": {0: "texts", 1: "tokens"},
            "attention_mask": {0: "texts", 1: "tokens"},
            **{name: {0: "texts"} for name in pooled},
            **{name: {0: "texts", 1: "tokens"} for name in states},
        },
        opset_version=17,
        do_constant_folding=False,
        dynamo=False,
    )
    model = onnx.load_from_string(buffer.getvalue())
    _take_out(model, frozenset(package.weights()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def _take_out(model: Any, weights: frozenset[str]) -> None:
    """Leave the place of each weight in a graph, and nothing of what the exporter remarks."""
    from onnx import TensorProto

    for tensor in model.graph.initializer:
        name = tensor.name.removeprefix("encoder.")
        if name not in weights:
            continue
        for node in model.graph.node:
            node.input[:] = [name if given == tensor.name else given for given in node.input]
        tensor.name = name
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        # ONNX Runtime wants a place; the weights themselves are handed over when the graph is loaded.
        tensor.external_data.add(key="location", value="model.safetensors")
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""


if __name__ == "__main__":
    for package in ENCODERS.values():
        write_graph(package, package.graph)
        print(f"wrote {package.graph} ({package.graph.stat().st_size / 1000:.0f} kB)")
