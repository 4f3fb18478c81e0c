"""The command `bridge`. One module for each group of commands.

Exit codes: 0 done, 1 refused or something is wrong, 2 the command was typed wrongly.
"""

from bridge.cli.main import main

__all__ = ["main"]
