"""A simulation as many shards on many processes: stopped at any time, it goes on."""
