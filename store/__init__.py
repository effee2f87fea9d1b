"""The state between the service and the workers: records, bytes, and the queue's contract."""
