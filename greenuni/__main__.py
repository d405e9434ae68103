"""``python -m greenuni``: the same command line as the ``greenuni`` script."""

from greenuni.cli import main

if __name__ == "__main__":
    main()
