"""Makes transformers know the package's classes, at the moment transformers itself is loaded.

`import emodistill` must cost nothing for whoever only asks for `--help` or exports without torch, and yet
`from transformers import pipeline` after it must know the task. So nothing of transformers is imported here: each
registration waits until the module that it enters something into has been loaded, by whomever.
"""

import functools
import importlib
import sys

__all__ = ["TASK", "register_everything", "register_when_loaded"]

TASK = "zero-shot-emotion"


def _register_configuration():
    """`AutoConfig` knows the model type."""
    from transformers import AutoConfig

    from .configuration_emodistill import EmoDistillConfig
    from .loading import resolve_names

    resolve_names(AutoConfig, EmoDistillConfig)
    AutoConfig.register(EmoDistillConfig.model_type, EmoDistillConfig, exist_ok=True)
    # With this and its like below, a saved folder carries the code that loads it where the package is absent.
    EmoDistillConfig.register_for_auto_class()
    from .serving.onnx_transformers import EmoDistillOnnxConfig

    AutoConfig.register(EmoDistillOnnxConfig.model_type, EmoDistillOnnxConfig, exist_ok=True)


def _register_model():
    """`AutoModel` knows the model."""
    from transformers import AutoModel

    from .configuration_emodistill import EmoDistillConfig
    from .loading import resolve_names
    from .modeling_emodistill import EmoDistillModel

    resolve_names(AutoModel, EmoDistillModel)
    AutoModel.register(EmoDistillConfig, EmoDistillModel, exist_ok=True)
    EmoDistillModel.register_for_auto_class("AutoModel")
    from .serving.onnx_transformers import EmoDistillOnnxConfig, EmoDistillOnnxModel

    AutoModel.register(EmoDistillOnnxConfig, EmoDistillOnnxModel, exist_ok=True)


def _register_task():
    """`transformers.pipeline` knows the task and its default checkpoint."""
    import logging

    from transformers import AutoModel, AutoTokenizer, pipelines
    from transformers.pipelines import PIPELINE_REGISTRY

    from . import DEFAULT_CHECKPOINT
    from .loading import ask_no_hub_for_names, resolve_names
    from .pipeline_emodistill import ZeroShotEmotionPipeline

    resolve_names(AutoTokenizer)
    ask_no_hub_for_names(pipelines)
    if TASK in PIPELINE_REGISTRY.supported_tasks:  # the package was loaded anew
        return
    PIPELINE_REGISTRY.register_pipeline(
        TASK,
        pipeline_class=ZeroShotEmotionPipeline,
        pt_model=AutoModel,
        default={"model": (DEFAULT_CHECKPOINT, "main")},
        type="text",
    )
    # `pipeline` warns that a default model is no choice for production, since one on the Hub may change. This one
    # is part of the installed package.
    logging.getLogger("transformers.pipelines").addFilter(
        lambda record: f"defaulted to {DEFAULT_CHECKPOINT}" not in record.getMessage()
    )


AUTO = "transformers.models.auto"
# module of transformers: our module that is entered there, and how; in the order in which they build on each other
REGISTRATIONS = {
    f"{AUTO}.configuration_auto": (f"{__package__}.configuration_emodistill", _register_configuration),
    f"{AUTO}.modeling_auto": (f"{__package__}.modeling_emodistill", _register_model),
    "transformers.pipelines": (f"{__package__}.pipeline_emodistill", _register_task),
}
_WATCHED = {*REGISTRATIONS, *(ours for ours, _ in REGISTRATIONS.values())}


class _AfterLoading:
    """Finds the modules of `REGISTRATIONS` as everybody does, and tells when one has been loaded."""

    def find_spec(self, name, path=None, target=None):
        if name not in _WATCHED:
            return None
        others = (finder for finder in sys.meta_path if not isinstance(finder, _AfterLoading))
        for find in (getattr(finder, "find_spec", None) for finder in others):
            spec = find(name, path, target) if find else None
            if spec is not None:
                spec.loader.exec_module = functools.partial(_load, spec.loader.exec_module)
                return spec
        return None


def _load(execute, module):
    execute(module)
    _register(module.__name__)


def _loaded(name):
    return name in sys.modules and not getattr(sys.modules[name].__spec__, "_initializing", False)


def _register(just_loaded=None):
    """Register with each loaded module of transformers what belongs there.

    Ours may be the one that is being loaded, and loads that of transformers on its way: then its own end registers.
    """
    for theirs, (ours, register) in REGISTRATIONS.items():
        if just_loaded not in (None, theirs, ours):
            continue
        if (theirs == just_loaded or _loaded(theirs)) and (
            ours == just_loaded or ours not in sys.modules or _loaded(ours)
        ):
            register()


def register_when_loaded():
    """Register with what is loaded of transformers now, and with the rest as soon as it is loaded."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != _AfterLoading.__name__]
    sys.meta_path.insert(0, _AfterLoading())
    _register()


def register_everything():
    """Load what `REGISTRATIONS` names, and so register with all of it."""
    for name in REGISTRATIONS:
        importlib.import_module(name)
