"""What attacks and faults do to the package: scripts that print the tables of docs/reliability.md."""
