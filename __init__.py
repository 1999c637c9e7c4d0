"""Zero-shot emotion recognition: any emotion label, or any pair of opposing labels, scored for any text.

After `import emodistill`, the Auto classes of transformers know the model and `transformers.pipeline` knows the task
`zero-shot-emotion`. The import itself loads neither torch nor transformers: each name below is imported where it is
first used, and training, annotation and benchmarks are rooms of their own.
"""

import importlib

from .loading import checkpoint_path, default_path, load_checkpoint
from .registration import TASK, register_everything, register_when_loaded
from .version import __version__

__all__ = [
    "DEFAULT_CHECKPOINT",
    "TASK",
    "EmoDistillConfig",
    "EmoDistillModel",
    "EmoDistillOutput",
    "EmoDistillPreTrainedModel",
    "LabelBank",
    "ZeroShotEmotionPipeline",
    "__version__",
    "adapt",
    "checkpoint_path",
    "load",
    "load_checkpoint",
]

DEFAULT_CHECKPOINT = default_path()

# name: the module that has it
_LAZY = {
    "EmoDistillConfig": "configuration_emodistill",
    "EmoDistillModel": "modeling_emodistill",
    "EmoDistillOutput": "modeling_emodistill",
    "EmoDistillPreTrainedModel": "modeling_emodistill",
    "ZeroShotEmotionPipeline": "pipeline_emodistill",
}
# The same, of what must not wait for torch and transformers.
_LIGHT = {
    "LabelBank": "serving.label_bank",
    "adapt": "serving.adapt",
    "load": "serving.load",
    "onnx": "serving.onnx",
}
_MODULES = ("configuration", "decision", "encoding", "loss", "modeling", "pipeline")


def __getattr__(name):
    if name in _LAZY:
        register_everything()  # whoever has a class may save it, which needs the Auto classes to know it
        value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _LIGHT:
        module = importlib.import_module(f".{_LIGHT[name]}", __name__)
        globals()[name] = value = getattr(module, name, module)
        return value
    if name.endswith("_emodistill") and name.removesuffix("_emodistill") in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})


register_when_loaded()
