"""`python -m kubectl_netdebug`."""

import sys

from kubectl_netdebug.cli.main import main

sys.exit(main())
