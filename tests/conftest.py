"""What holds for all tests."""

from hypothesis import settings

# How long an example takes is the machine's affair, not the code's.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
