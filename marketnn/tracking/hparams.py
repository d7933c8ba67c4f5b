"""TensorBoard's HParams page: which settings a sweep compares, what each job was given, and how the job ended.

Three records make it: an Experiment in the sweep's folder, and in each job's event file a SessionStartInfo, whose group is the
setting without its seed, and a SessionEndInfo with the true status. They are written here because
``SummaryWriter.add_hparams`` makes a second run of every job, and a number of every truth value.

A group is one row of the page: its metrics are means over its jobs, its settings those of its first job. Its seeds therefore
are no setting of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from google.protobuf.struct_pb2 import ListValue, Value
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from torch.utils.tensorboard import SummaryWriter

from marketnn.tracking.metric_schema import METRIC_TAG, described, importance

Setting = bool | float | str
Status = Literal["success", "failure"]

SEED = "seed"

_STATUS = {"success": api_pb2.STATUS_SUCCESS, "failure": api_pb2.STATUS_FAILURE}


def write_experiment(sweep_folder: Path, settings: Mapping[str, Sequence[Setting]], metrics: Sequence[str]) -> None:
    """Write what a sweep compares, once, into an event file of the sweep's own.

    Args:
        sweep_folder: above the jobs' folders.
        settings: key -> the values that it takes; only those with several are shown, if any has.
        metrics: names as in ``metrics.json``; the page shows the most important ones at once.
    """
    shared = {name: list(dict.fromkeys(values)) for name, values in settings.items() if name != SEED}
    compared = {name: values for name, values in shared.items() if len(values) > 1} or shared
    experiment = api_pb2.Experiment(
        time_created_secs=time.time(),
        hparam_infos=[_hparam(name, values) for name, values in compared.items()],
        metric_infos=[_metric(name) for name in sorted(metrics, key=importance)],
    )
    with SummaryWriter(str(sweep_folder)) as events:
        _add(events, metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))


def start_session(events: SummaryWriter, settings: Mapping[str, Setting], group: str, started: float) -> None:
    """Write what a job is given.

    Args:
        events: the job's event file.
        settings: key -> value.
        group: jobs of one group are shown as one row: the setting without its seed. Empty for a job that is a row of its own.
        started: seconds since 1970.
    """
    start = SessionStartInfo(group_name=group, start_time_secs=started)
    for name, value in settings.items():
        if name != SEED or not group:
            start.hparams[name].CopyFrom(_value(value))
    _add(events, metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))


def end_session(events: SummaryWriter, status: Status) -> None:
    """Write how a job ended."""
    end = SessionEndInfo(status=_STATUS[status], end_time_secs=time.time())
    _add(events, metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))


def write_failed_session(folder: Path, settings: Mapping[str, Setting], group: str, started: float) -> None:
    """Write the event file of a job that failed: what it was given, and that it failed; no metrics."""
    with SummaryWriter(str(folder)) as events:
        start_session(events, settings, group, started)
        end_session(events, "failure")


def _add(events: SummaryWriter, tag: str, data: HParamsPluginData) -> None:
    value = Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR)
    events._get_file_writer().add_summary(Summary(value=[value]))


def _hparam(name: str, values: Sequence[Setting]) -> api_pb2.HParamInfo:
    kinds = {_kind(value) for value in values}
    kind = kinds.pop() if len(kinds) == 1 else api_pb2.DATA_TYPE_STRING
    domain = ListValue(values=[_value(value) for value in values])
    return api_pb2.HParamInfo(name=name, type=kind, domain_discrete=domain, differs=len(values) > 1)


def _metric(name: str) -> api_pb2.MetricInfo:
    found = described(name)
    return api_pb2.MetricInfo(
        name=api_pb2.MetricName(tag=f"{METRIC_TAG}/{name}"), display_name=found.title, description=found.description
    )


def _kind(value: Setting) -> api_pb2.DataType:
    """Name a setting's type; Python counts truth values as numbers, so they are asked for first."""
    if isinstance(value, bool):
        return api_pb2.DATA_TYPE_BOOL
    return api_pb2.DATA_TYPE_STRING if isinstance(value, str) else api_pb2.DATA_TYPE_FLOAT64


def _value(value: Setting) -> Value:
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, str):
        return Value(string_value=value)
    return Value(number_value=value)
