"""``llm-service doctor``: looks at the machine, the settings and the engine, and names the fix for what is wrong.

``checks`` is the result, ``sizes`` the arithmetic of GPU memory; both are pure. ``machine``, ``gpu``, ``engine`` and
``generation`` probe, each with functions that only judge what was found. ``examination`` is the order, ``report`` the
output.
"""
