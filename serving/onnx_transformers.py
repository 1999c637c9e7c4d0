"""Lets `transformers.pipeline("zero-shot-emotion", model=folder, backend="onnx")` find an exported folder."""

from ..configuration_emodistill import EmoDistillConfig
from .onnx import OnnxEmotionClassifier

__all__ = ["EmoDistillOnnxConfig", "EmoDistillOnnxModel"]


class EmoDistillOnnxConfig(EmoDistillConfig):
    """Configuration of an export: the checkpoint's, under a name of its own."""

    model_type = "emodistill-onnx"

    def __init__(self, *args, hidden_size=None, **kwargs):
        super().__init__(*args, **kwargs)  # the width follows from the text encoder; servers read it from the file


class EmoDistillOnnxModel:
    """
    What `AutoModel` gives for an exported folder: the folder, until a pipeline asks for its classifier.

    Args:
        folder (`str`): What `emodistill export` wrote.
        config ([`EmoDistillOnnxConfig`]): Its configuration.
    """

    config_class = EmoDistillOnnxConfig

    def __init__(self, folder, config):
        self.folder, self.config = folder, config

    @classmethod
    def from_pretrained(cls, folder, *args, config=None, **kwargs):
        """The folder, unread: the graphs are loaded where the classifier is made."""
        return cls(folder, config or EmoDistillOnnxConfig.from_pretrained(folder))

    def classifier(self, device=None, **options):
        """
        The classifier that stands in for the pipeline.

        Args:
            device (`str`, `int` or `torch.device`, *optional*): A CPU, or an accelerator for which onnxruntime has
                been installed.
            options: As for [`OnnxEmotionClassifier`].

        Returns:
            [`OnnxEmotionClassifier`]
        """
        ignored = {"task", "model", "tokenizer", "dtype", "torch_dtype", "framework", "processor", "feature_extractor"}
        ignored |= {"image_processor", "binary_output", "num_workers"}
        options = {name: value for name, value in options.items() if name not in ignored}
        return OnnxEmotionClassifier(self.folder, device=device, **options)
