"""A Holdfast worker in Python, written from the protos and docs/writing-an-agent.md alone."""
