"""The values that one enterprise has for the indices of a scorecard, from a YAML file that a person fills in.

CUS1: 81.5     # customer satisfaction, 0-100
PRO2: 93       # on-time-in-full delivery, %
"""

from __future__ import annotations

import math

from marketnn.data.files import existing_file
from marketnn.data.index_system import IndexSystem
from marketnn.errors import InputError, unknown_name
from marketnn.plain_yaml import read_yaml


def read_index_values(path: str, system: IndexSystem) -> dict[str, float]:
    """Read index -> value; indices that the file leaves out are not in the result.

    Raises:
        InputError: no such file, no YAML of indices and numbers, an index that the system lacks, or a value that is no finite
            number.
    """
    file = existing_file(path)
    read = read_yaml(file)
    if not isinstance(read, dict) or not read:
        raise InputError(f"{file.name}: write a line per index, its code and its value, such as 'CUS1: 81.5'.")
    values = {}
    for code, value in read.items():
        if code not in system.codes:
            raise unknown_name(f"index in {file.name}", str(code), system.codes)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError(f"{file.name}: index {code} is {value!r}; write a number, with a point for decimals.")
        values[str(code)] = float(value)
    return values


def middle_values(system: IndexSystem) -> dict[str, float]:
    """Return the middle of every index's usual range, which stands in for values that nobody knows."""
    return {index.code: (index.low + index.high) / 2 for index in system.indices}
