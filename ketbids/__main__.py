"""``python -m ketbids``."""

import sys

from ketbids.cli.main import main

sys.exit(main())
