"""``python -m ecsroll`` is the same as ``ecsroll``."""

from ecsroll.cli import main

if __name__ == "__main__":
    main()
