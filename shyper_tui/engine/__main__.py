"""`python -m shyper_tui.engine`: the engine worker."""

import sys

from shyper_tui.engine.worker import main

sys.exit(main(sys.argv[1:]))
