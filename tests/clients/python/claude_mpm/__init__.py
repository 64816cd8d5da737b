"""Stands in for claude-mpm's own servers: same process names, same answers of /health, nothing else."""
