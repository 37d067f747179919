"""HTTP only: thin routes, error mapping, request plumbing."""
