"""Zero-shot emotion recognition: any emotion label, or any pair of opposing labels, scored for any text.

Importing the package registers the model with the Auto classes and the `zero-shot-emotion` task with
`transformers.pipeline`. Training, annotation and benchmarks are imported only where they are used.
"""

from .configuration_emodistill import EmoDistillConfig
from .modeling_emodistill import EmoDistillModel, EmoDistillOutput, EmoDistillPreTrainedModel
from .version import __version__

__all__ = [
    "EmoDistillConfig",
    "EmoDistillModel",
    "EmoDistillOutput",
    "EmoDistillPreTrainedModel",
    "__version__",
]
