"""What an operator looks at: the log, for programs to read.

`JsonFormatter` makes each line of the log a JSON object.
"""

from trio_tcp.monitoring._json_formatter import JsonFormatter

__all__ = ["JsonFormatter"]
