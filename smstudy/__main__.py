"""`python -m smstudy` is the same as `smstudy`."""

import sys

from smstudy.cli import main

sys.exit(main())
