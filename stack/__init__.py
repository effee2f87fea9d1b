"""The whole service on one machine: an embedded server, a worker and the HTTP side, up and down together."""
