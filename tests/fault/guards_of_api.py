"""The guards of the api."""

from tests.fault.guard import Guard

GUARDS_OF_API: list[Guard] = []
