"""``trio-tcp serve``: a handler as a service, configured, observed, ended in order.

From what the user has set to a running server::

    _command          the command, from here down
    _supervised       serves in workers, under a supervisor,
    _service          or in one process; or is one of the workers
    _status           what it tells over HTTP
    _reloading        what SIGHUP changes
    _listening        opens sockets for workers
    _descriptors      as many as connections may need
    _log              where the log goes
    _structure        the settings make sense: a configuration; or what is wrong
    _fields           how each of them is read
    _options          the command line's settings
    _settings         they and the file's, as one tree
    _handler _addresses _server_tls    what its texts stand for
    _configuration    what a service is made of
    _problems _toml_lines              what is wrong, and on which line
"""

from trio_tcp.cli._serve._command import command

__all__ = ["command"]
