"""A simulation as shards on several processes, resumable at any time."""
