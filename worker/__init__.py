"""The sampling side: Celery outside, JAX inside."""
