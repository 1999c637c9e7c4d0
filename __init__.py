"""Zero-shot emotion recognition: any emotion label, or any pair of opposing labels, scored for any text.

Importing the package registers the model with the Auto classes and the `zero-shot-emotion` task with
`transformers.pipeline`. Training, annotation and benchmarks are imported only where they are used.
"""

import logging
import os

from transformers import AutoConfig, AutoModel
from transformers.pipelines import PIPELINE_REGISTRY

from .configuration_emodistill import EmoDistillConfig
from .modeling_emodistill import EmoDistillModel, EmoDistillOutput, EmoDistillPreTrainedModel
from .pipeline_emodistill import ZeroShotEmotionPipeline
from .version import __version__

__all__ = [
    "DEFAULT_CHECKPOINT",
    "EmoDistillConfig",
    "EmoDistillModel",
    "EmoDistillOutput",
    "EmoDistillPreTrainedModel",
    "ZeroShotEmotionPipeline",
    "__version__",
]

DEFAULT_CHECKPOINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "checkpoints", "emodistill-minilm-l6")
TASK = "zero-shot-emotion"


def _register():
    """Make the Auto classes, `pipeline(...)` and `save_pretrained` know the package's classes."""
    if TASK in PIPELINE_REGISTRY.supported_tasks:  # a reload
        return
    AutoConfig.register(EmoDistillConfig.model_type, EmoDistillConfig)
    AutoModel.register(EmoDistillConfig, EmoDistillModel)
    # With these, a saved folder carries the code that loads it where the package is absent.
    EmoDistillConfig.register_for_auto_class()
    EmoDistillModel.register_for_auto_class("AutoModel")
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


_register()
