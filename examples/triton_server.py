"""An exported model behind NVIDIA's Triton inference server: texts in, scores of labels out, batched by the server.

    pip install "emodistill[onnx]" nvidia-pytriton
    emodistill export small --quantize int8 --output emotions
    python examples/triton_server.py emotions "joy, anger, relief, neutral"
    curl -s localhost:8000/v2/models/emodistill/infer -H 'content-type: application/json' -d '{"inputs": [
        {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": ["What a day!", "How dare you!"]}]}'

PyTriton runs the server and hands it batches by Triton's Python backend; the labels' order is that of the command.
"""

import argparse

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

import emodistill


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="what `emodistill export` wrote")
    parser.add_argument("labels", help="the emotions, separated by commas")
    parser.add_argument("--threads", type=int, default=None, help="threads of the model; all cores by default")
    parser.add_argument("--port", type=int, default=8000, help="where it listens to HTTP, on this machine alone")
    args = parser.parse_args()
    classify = emodistill.load(args.folder, threads=args.threads)
    names = [name.strip() for name in args.labels.split(",")]
    classify("a text to warm up", labels=names)

    @batch
    def score(text):
        texts = [value.decode("utf-8", "replace") for value in text[:, 0]]
        found = classify(texts, labels=names, multi_label=True)
        rows = [dict(zip(result["labels"], result["scores"], strict=True)) for result in found]
        return {"scores": np.array([[row[name] for name in names] for row in rows], dtype=np.float32)}

    places = {"http_address": "127.0.0.1", "grpc_address": "127.0.0.1", "allow_metrics": False}
    with Triton(config=TritonConfig(http_port=args.port, grpc_port=args.port + 1, **places)) as triton:
        triton.bind(
            model_name="emodistill",
            infer_func=score,
            inputs=[Tensor(name="text", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="scores", dtype=np.float32, shape=(len(names),))],
            config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=2000)),
        )
        triton.serve()


if __name__ == "__main__":
    main()
