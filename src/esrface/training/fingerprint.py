"""Whether the pictures are still those that a run was begun with: a digest that is kept in its checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from esrface._names import printable
from esrface.errors import DataError

_KEY = "pictures"
"""In a checkpoint."""


@dataclass(frozen=True)
class Fingerprint:
    """What a run learns from and is judged on, in short."""

    digest: str
    """Equal for equal pictures under equal labels."""
    counts: str
    """How many there are, for people."""

    @classmethod
    def of(cls, parts: Iterable[bytes], counts: str) -> Fingerprint:
        """The digest over all parts, in their order."""
        digest = hashlib.blake2b(digest_size=16)
        for part in parts:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        return cls(digest.hexdigest(), counts)

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {_KEY: asdict(self)}

    def check(self, run: Path, state: Mapping[str, Any] | None) -> None:
        """Refuse to go on from a checkpoint of other pictures.

        Args:
            run: For the error.
            state: Of the checkpoint; None where there is none. Those that were written before pictures were
                kept in them pass.

        Raises:
            DataError: The pictures have changed.
        """
        then = (state or {}).get(_KEY)
        if then is None or then["digest"] == self.digest:
            return
        same = then["counts"] == self.counts
        counts = f"still {self.counts}" if same else f"{then['counts']} then, {self.counts} now"
        raise DataError(
            f"{printable(run)}: cannot resume: the pictures have changed since the run began ({counts}); "
            "choose another --out"
        )
