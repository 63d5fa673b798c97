"""`python -m worker` is `cxai`."""

from worker.cli import main

main()
