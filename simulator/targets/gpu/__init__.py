"""The lowering for graphics processors: a kernel schedule on a card, as a graph of tasks and as times."""
