"""A job runner whose import ends as soon as a file exists: so the fork server that preloads it takes long."""

import os
import time
from pathlib import Path

from fake_runners import run as run

while not Path(os.environ["SLOW_RUNNERS_GATE"]).exists():
    time.sleep(0.01)
