"""``python -m esrface`` is the command ``esrface``."""

import sys

from esrface.cli import main

if __name__ == "__main__":
    sys.exit(main())
