#!/usr/bin/env python3
"""Writes trainer/tests/tensorboard.tfevents, a small event file made by TensorBoard's own code, for the trainer's test.

usage: scripts/tensorboard_reference.py [FILE]      (pip install tensorboard; made with 2.21.0)
With FILE, reads an event file instead and prints its scalars and texts: what TensorBoard sees in it.
"""

import io
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.summary.writer.record_writer import RecordWriter

TARGET = Path(__file__).resolve().parent.parent / "trainer/tests/tensorboard.tfevents"


def scalar(wall_time, step, tag, value):
    return Event(wall_time=wall_time, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


def text(wall_time, step, tag, content):
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[content.encode()], tensor_shape=shape)
    return Event(wall_time=wall_time, step=step, summary=Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)]))


def write():
    events = [
        Event(wall_time=1_700_000_000.25, file_version="brain.Event:2"),
        Event(wall_time=1_700_000_001.5, session_log=SessionLog(status=SessionLog.START)),
        scalar(1_700_000_002.0, 0, "objective/kl", 0.0),
        scalar(1_700_000_003.0, 1, "train/loss", 0.6931472),
        scalar(1_700_000_004.0, 300, "eval/nll", -1.5e-8),
        text(1_700_000_005.0, 300, "samples/1", "**user**\n\n> What is tea? 茶 🌿  \n" * 5),
    ]
    out = io.BytesIO()
    writer = RecordWriter(out)
    for event in events:
        writer.write(event.SerializeToString())
    TARGET.write_bytes(out.getvalue())
    print(f"{TARGET}: {len(out.getvalue())} bytes")


def show(path):
    seen = EventAccumulator(path, size_guidance={"scalars": 0, "tensors": 0}).Reload()
    for tag in seen.Tags()["scalars"]:
        print(tag, [(event.step, event.value) for event in seen.Scalars(tag)])
    for tag in seen.Tags()["tensors"]:
        for event in seen.Tensors(tag):
            if event.tensor_proto.string_val:
                print(tag, event.step, event.tensor_proto.string_val[0].decode())
            else:
                print(tag, event.step, event.tensor_proto.float_val)


if __name__ == "__main__":
    show(sys.argv[1]) if len(sys.argv) > 1 else write()
