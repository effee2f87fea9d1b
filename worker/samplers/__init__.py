"""The samplers: they walk a density and know neither the queue nor the store."""
