"""The lab must be up: scenario `default` of molecule boots it, rolls out on it, and runs these tests."""

from fixtures import index, restored  # noqa: F401  what pytest looks for here
