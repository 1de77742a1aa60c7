"""How Shoal is started: on one machine with Python alone (`local`), or in containers."""
