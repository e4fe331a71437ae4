"""``trio-tcp bench``: a load generator for any codec.

From the bottom to the top:

``_histogram``, ``_schedule``, ``_failures``
    What was measured; when requests are due; what went wrong. No Trio but its errors.
``_plan``, ``_result``, ``_tally``
    What a run is to do, what came of it, and what is counted meanwhile.
``_asker``, ``_clients``, ``_load``
    The run: one connection, the tasks, and the whole.
``_prepared``, ``_target``, ``_messages``, ``_descriptors``, ``_timer``
    What it needs: frames, connections, messages, the system's leave, an exact clock.
``_processes``, ``_signals``
    A run of several processes, and one that is interrupted.
``_words``, ``_show``, ``_picture``, ``_progress``
    The result as words, on a terminal, as a picture, and while it grows.
``_command``
    The options.
"""

from trio_tcp.cli._bench._command import command

__all__ = ["command"]
