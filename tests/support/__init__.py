"""What several test folders share: the service as a real process, and prompts in the caller's shape."""
