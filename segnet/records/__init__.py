"""The format on disk: record schema, shards, manifest; reading and checking."""
