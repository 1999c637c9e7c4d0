"""Speed and memory of all rooms and of other packages beside them, measured in one run; no room imports it."""
