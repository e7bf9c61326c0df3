"""`python -m producer`: the command line."""

from producer.cli import main

if __name__ == "__main__":
    main()
