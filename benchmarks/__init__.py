"""Speed, measured: programs that print the figures of the README."""
