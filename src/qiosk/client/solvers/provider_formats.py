"""How the jobs of each provider are written."""

from __future__ import annotations

from dataclasses import dataclass

from qiosk.contract.jobs import QIO_OUTPUT_FORMAT, QIO_OUTPUT_FORMAT_V1


@dataclass(frozen=True, slots=True)
class ProviderFormat:
    """The provider, the format of its results, and how it takes parameters; see :class:`Solver`."""

    provider_id: str
    output_data_format: str
    nested_params: bool
    force_str_params: bool


MICROSOFT = ProviderFormat("Microsoft", QIO_OUTPUT_FORMAT, nested_params=True, force_str_params=False)
ONEQBIT = ProviderFormat("1qbit", QIO_OUTPUT_FORMAT_V1, nested_params=False, force_str_params=True)
QIOSK = ProviderFormat("qiosk", QIO_OUTPUT_FORMAT, nested_params=True, force_str_params=False)
TOSHIBA = ProviderFormat("toshiba", QIO_OUTPUT_FORMAT, nested_params=False, force_str_params=False)


def format_of(target: str) -> ProviderFormat:
    """The format of the provider that a target's name begins with; Microsoft's for unknown providers."""
    provider = target.partition(".")[0].lower()
    return next((known for known in (ONEQBIT, QIOSK, TOSHIBA) if known.provider_id == provider), MICROSOFT)
