"""The two towers of a checkpoint as ONNX graphs, and their smaller forms.

Graphs hold standard ONNX operators only, so that every runtime of them takes them: onnxruntime and what is built on it
(Text Embeddings Inference, Triton, transformers.js), in any batch size and length.
"""

import contextlib
import logging
import os
import warnings

import numpy as np
import torch
from torch import nn

__all__ = [
    "OPSET", "channel_ranges", "export_towers", "quantize_int8", "sensitive_products", "store_in_int8", "to_fp16",
]  # fmt: skip

OPSET = 20  # the first with a GELU of its own; onnxruntime has it since 1.17
SMOOTHING = 0.75  # share of the range of activations that goes over to the weights; 0.5 is worse than none here
TEXT_OUTPUTS, LABEL_OUTPUT = ("sentence_embedding", "dimensions"), "label_embedding"


class _TextTower(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        embeds = self.model.get_text_features(input_ids, attention_mask)
        return (embeds,) if self.model.dimension_head is None else (embeds, self.model.get_dimensions(embeds))


class _LabelTower(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        # Without the runs of like length, which are for speed and would tie the graph to one batch.
        tokens = self.model.label_encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.to(tokens.dtype).unsqueeze(-1)
        states = (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
        return (self.model.get_label_features(label_states=states),)


@contextlib.contextmanager
def _quiet():
    """The exporter reports each of its steps, and packages that nothing here needs."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def export_towers(model, folder):
    """
    Write `model.onnx` (texts) and `label_model.onnx` (labels) in fp32.

    Args:
        model ([`EmoDistillModel`]): The model, in evaluation mode, fp32, on the CPU; its attention is left as it was.
        folder (`str`): An existing folder.

    Returns:
        `dict[str, str]`: the files, by tower: `text` and `label`.
    """
    kept = [encoder.config._attn_implementation for encoder in (model.text_encoder, model.label_encoder)]
    files = {"text": os.path.join(folder, "model.onnx"), "label": os.path.join(folder, "label_model.onnx")}
    try:
        for encoder in (model.text_encoder, model.label_encoder):  # plain products and a softmax: fewest operators
            encoder.set_attn_implementation("eager")
        outputs = TEXT_OUTPUTS[: 1 if model.dimension_head is None else 2]
        positions = _positions(model.config.text_config), _positions(model.config.label_config)
        _export(_TextTower(model), files["text"], outputs, positions[0])
        _export(_LabelTower(model), files["label"], (LABEL_OUTPUT,), positions[1])
    finally:
        for encoder, implementation in zip((model.text_encoder, model.label_encoder), kept, strict=True):
            encoder.set_attn_implementation(implementation)
    return files


def _positions(config):
    """Tokens that an encoder can take at most; some count positions from their padding token's id on."""
    positions = getattr(config, "max_position_embeddings", 512)
    return positions - 2 if config.model_type in ("mpnet", "roberta", "xlm-roberta", "camembert") else positions


def _export(tower, path, outputs, longest):
    ids = torch.ones(3, min(11, longest), dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[1, ids.shape[1] // 2 :] = 0
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=longest)
    shape = {0: batch, 1: length}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            tower.eval(),
            (ids, mask),
            dynamo=True,
            verbose=False,
            input_names=["input_ids", "attention_mask"],
            output_names=list(outputs),
            dynamic_shapes={"input_ids": shape, "attention_mask": shape},
            opset_version=OPSET,
        )
        program.save(path)


def to_fp16(source, target):
    """
    Weights and products in half precision, inputs and outputs as before; half the size, for accelerators.

    Args:
        source (`str`): A graph in fp32.
        target (`str`): Where to write.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with _quiet():
        graph = convert_float_to_float16(onnx.load(source), keep_io_types=True, op_block_list=["ReduceL2"])
    onnx.save(graph, target)


def quantize_int8(source, target, ranges, exclude=()):
    """
    Products in 8 bits: weights a channel, activations as they come, and embedding rows.

    Beforehand each input of products is divided, channel by channel, by what evens out its range with that of the
    weights, which are multiplied by it: single channels with large values would else leave the others few steps
    (SmoothQuant, arXiv 2211.10438).

    Weights use 7 of the 8 bits: processors without dot products for 8 bits (before AVX512-VNNI) add up pairs of
    products in 16, which full weights overflow, and the scores turn to noise there and only there.

    Args:
        source (`str`): A graph in fp32.
        target (`str`): Where to write.
        ranges (`dict[str, numpy.ndarray]`): Output of [`channel_ranges`].
        exclude (`Sequence[str]`, *optional*): Names of products to leave in fp32.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    _smooth(model, _Products(model), ranges, set(exclude))
    with _quiet(), _root_logger_at(logging.ERROR):
        quantize_dynamic(
            model,
            target,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_exclude=list(exclude),
        )
    model = onnx.load(target)
    _store_in_rows(model)
    onnx.save(model, target)


def store_in_int8(source, target):
    """
    Weights stored in 8 bits and computed in fp32: a quarter of the size, and hardly an error, but no faster.

    For the label tower, which sees each label once, while its error would be in the score of every text.

    Args:
        source (`str`): A graph in fp32.
        target (`str`): Where to write.
    """
    import onnx

    model = onnx.load(source)
    _store_in_rows(model, products=True)
    onnx.save(model, target)


@contextlib.contextmanager
def _root_logger_at(level):
    """onnxruntime's quantisation writes advice to the root logger."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(before)


class _Products:
    """
    Products of a graph with a constant matrix, and what goes into them.

    Args:
        model (`onnx.ModelProto`): The graph, in fp32.
    """

    def __init__(self, model):
        from onnx import numpy_helper

        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.nodes, self.matrices = [], []
        for node in model.graph.node:
            tensor = constants.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") else None
            if tensor is not None and len(tensor.dims) == 2 and node.input[0] not in constants:
                matrix = numpy_helper.to_array(tensor)
                self.nodes.append(node)
                self.matrices.append(matrix.T if _attribute(node, "transB") else matrix)
        self.inputs = list(dict.fromkeys(node.input[0] for node in self.nodes))
        self.model = model

    def runs(self, feeds):
        """For each feed of the graph the inputs of its products, by their names."""
        import onnx
        import onnxruntime

        probe = onnx.ModelProto()
        probe.CopyFrom(self.model)
        known = {output.name for output in probe.graph.output}
        probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.inputs if name not in known)
        session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
        for feed in feeds:
            yield dict(zip(self.inputs, session.run(self.inputs, feed), strict=True))


def channel_ranges(path, feeds):
    """
    How large each channel of what goes into products becomes.

    Args:
        path (`str`): A graph in fp32.
        feeds (`list[dict[str, numpy.ndarray]]`): Inputs of the graph, of texts as varied as those that it will read: a
            channel that is larger there than here costs the others their precision.

    Returns:
        `dict[str, numpy.ndarray]`: largest sizes `(channels,)`, by name of the input.
    """
    import onnx

    ranges = {}
    for run in _Products(onnx.load(path)).runs(feeds):
        for name, values in run.items():
            sizes = np.abs(values.reshape(-1, values.shape[-1])).max(axis=0)
            ranges[name] = np.maximum(ranges.get(name, 0.0), sizes)
    return ranges


def sensitive_products(path, feed):
    """
    The products with a constant matrix, those that lose most by 8 bits first.

    Each is computed in fp32 and with its input and matrix in 8 bits, on the inputs that it has for given texts in the
    undisturbed graph.

    Args:
        path (`str`): A graph in fp32.
        feed (`dict[str, numpy.ndarray]`): Inputs of the graph.

    Returns:
        `dict[str, float]`: error relative to the result, by name of the node, largest first.
    """
    import onnx

    products, errors = _Products(onnx.load(path)), {}
    (run,) = products.runs([feed])
    for node, matrix in zip(products.nodes, products.matrices, strict=True):
        given = run[node.input[0]]
        whole, coarse = given @ matrix, _rounded_input(given) @ _rounded_matrix(matrix)
        errors[node.name] = float(np.linalg.norm(whole - coarse) / max(np.linalg.norm(whole), 1e-12))
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def _rounded_input(values):
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    step = max(high - low, 1e-12) / 255.0
    return np.rint(values / step).astype(np.float32) * np.float32(step)


def _rounded_matrix(matrix):
    step = np.maximum(np.abs(matrix).max(axis=0, keepdims=True), 1e-12) / 63.0
    return np.rint(matrix / step) * step


def _smooth(model, products, ranges, exclude):
    """Divide inputs of products by a factor a channel, and multiply their matrices by it; the result is the same."""
    from onnx import helper, numpy_helper

    graph = model.graph
    for name in products.inputs:
        users = [
            (node, matrix)
            for node, matrix in zip(products.nodes, products.matrices, strict=True)
            if node.input[0] == name and node.name not in exclude
        ]
        if not users:
            continue
        weights = np.max([np.abs(matrix).max(axis=1) for _, matrix in users], axis=0)
        factor = np.maximum(ranges[name], 1e-5) ** SMOOTHING
        factor = factor / np.maximum(weights, 1e-5) ** (1.0 - SMOOTHING)
        factor = np.clip(factor / np.exp(np.log(factor).mean()), 1e-2, 1e2).astype(np.float32)
        smooth = f"{name}_smooth"
        place = min(list(graph.node).index(node) for node, _ in users)
        graph.initializer.append(numpy_helper.from_array(1.0 / factor, f"{smooth}_by"))
        graph.node.insert(place, helper.make_node("Mul", [name, f"{smooth}_by"], [smooth], name=smooth))
        for node, matrix in users:
            scaled = matrix * factor[:, None]
            scaled = np.ascontiguousarray(scaled.T if _attribute(node, "transB") else scaled)
            graph.initializer.append(numpy_helper.from_array(scaled, f"{node.input[1]}_{smooth}"))
            node.input[1] = f"{node.input[1]}_{smooth}"
            node.input[0] = smooth
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _store_in_rows(model, products=False, least=2**14):
    """
    Replace each large table that is only looked up in by 8-bit rows with a scale each; matrices of products, which are
    restored when the graph is loaded, by 8-bit columns, if asked for.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    uses = {}
    for node in graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    for name, tensor in constants.items():
        users = uses.get(name, [])
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2 or np.prod(tensor.dims) < least or not users:
            continue
        looked_up = all(
            node.op_type == "Gather" and node.input[0] == name and not _attribute(node, "axis") for node in users
        )
        multiplied = products and all(node.op_type in ("MatMul", "Gemm") and node.input[1] == name for node in users)
        if not looked_up and not multiplied:
            continue
        table = numpy_helper.to_array(tensor)
        axis = 1 if looked_up or any(_attribute(node, "transB") for node in users) else 0
        scale = np.maximum(np.abs(table).max(axis=axis, keepdims=True), 1e-12).astype(np.float32) / np.float32(127.0)
        rows = np.clip(np.rint(table / scale), -127, 127).astype(np.int8)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(rows, f"{name}_int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        if multiplied:
            graph.node.insert(
                0, helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name], name=f"{name}_rows")
            )
            cast = helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=TensorProto.FLOAT)
            graph.node.insert(0, cast)
            continue
        for node in users:
            _look_up_rows(graph, node, name)


def _look_up_rows(graph, node, name):
    from onnx import TensorProto, helper

    place, output, indices = list(graph.node).index(node), node.output[0], node.input[1]
    rows, floats, scales = (f"{output}_{part}" for part in ("int8", "float", "scale"))
    graph.node.remove(node)
    steps = [
        helper.make_node("Gather", [f"{name}_int8", indices], [rows], axis=0, name=rows),
        helper.make_node("Cast", [rows], [floats], to=TensorProto.FLOAT, name=floats),
        helper.make_node("Gather", [f"{name}_scale", indices], [scales], axis=0, name=scales),
        helper.make_node("Mul", [floats, scales], [output], name=f"{output}_rows"),
    ]
    for step in reversed(steps):
        graph.node.insert(place, step)


def _attribute(node, name):
    return next((attribute.i for attribute in node.attribute if attribute.name == name), 0)
