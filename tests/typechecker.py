"""The run-time type checker of the second test run: beartype, less two of its opinions.

An int is a float where a float is expected (PEP 484), and files are not held against ``typing.BinaryIO``, which asks
for a name and a mode that ``io.BytesIO`` has not.
"""

from typing import BinaryIO

from beartype import BeartypeConf, FrozenDict, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({BinaryIO: object})))
