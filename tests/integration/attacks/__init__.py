"""Attacks on a server over real sockets, with honest clients beside them.

``python -m tests.integration.attacks``, run from the root of the project, attacks a
server in a process of its own, one attack after the other, while honest clients in a
third process go on with their work, and prints what all of them have met with, as a
table. ``test_attacks.py`` runs the same attacks on a smaller scale.

Each file without an underscore is a family of attacks. To add an attack, write an async
function that misbehaves on one connection, and put an `Attack` with it into the
``ATTACKS`` of its file. To add a family, add a file with ``ATTACKS``: it is found.

It is about Linux: it reads ``/proc``, and the attackers come from ``127.0.0.2``.
"""
