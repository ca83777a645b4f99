"""Times in requests and replies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

AwareTime = Annotated[datetime, Meta(tz=True)]
"""A time with a zone. Requests and replies with a time without one are rejected."""
