"""Speed and memory, measured: scripts that print figures for docs/speed.md; nothing here is imported by a room."""
