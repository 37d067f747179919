"""How an engine process is started, watched and stopped, and how engines differ."""
