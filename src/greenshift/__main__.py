"""`python -m greenshift`."""

from greenshift.cli import main

main()
