"""``python -m trio_tcp``: the same as the command ``trio-tcp``."""

import sys

from trio_tcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
