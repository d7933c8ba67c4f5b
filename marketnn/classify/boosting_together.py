"""XGBoost's own collective among the processes that ``torchrun`` started."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed
import xgboost.collective
from xgboost.tracker import RabitTracker

from marketnn.processes import Processes


@contextmanager
def boosting_together(process_group: Any) -> Iterator[None]:
    """Within this context XGBoost trains on the rows of all processes.

    The first process runs XGBoost's tracker at ``MASTER_ADDR``, where all can reach it, and tells the others its port.

    Args:
        process_group: a ``torch.distributed`` group of all processes.
    """
    processes, arguments = Processes(process_group), b""
    if processes.rank == 0:
        host = socket.gethostbyname(os.environ["MASTER_ADDR"])
        n_workers = torch.distributed.get_world_size(process_group)
        tracker = RabitTracker(n_workers=n_workers, host_ip=host, sortby="task")
        tracker.start()
        arguments = json.dumps(tracker.worker_args()).encode()
    told = processes.gather(torch.tensor(list(arguments), dtype=torch.uint8))
    # The tasks' names are sorted as text.
    task = {"dmlc_task_id": f"{processes.rank:08d}"}
    with xgboost.collective.CommunicatorContext(**json.loads(bytes(told.tolist())), **task):
        yield
    if processes.rank == 0:
        tracker.wait_for()
