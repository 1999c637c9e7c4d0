"""What `import emodistill` loads: nothing; and what its classes load: torch and transformers, none of the extras."""

import subprocess
import sys

import pytest

# Each is a program after `import emodistill` where no extra is installed, and must end in truth. That none is pulled
# that is installed, the test of the default model shows.
WITHOUT_EXTRAS = """
import importlib; importlib.reload(emodistill); ok = registry().get_supported_tasks().count("zero-shot-emotion") == 1
""".strip()
# Each is a program's first step after `import emodistill`, and must end in truth.
FIRST_STEPS = """
from transformers import pipeline; import importlib; importlib.reload(emodistill); ok = "zero-shot-emotion" in registry().get_supported_tasks()
from transformers import AutoModel, AutoConfig; ok = AutoModel.from_config(configuration())._auto_class == "AutoModel" and configuration()._auto_class
import emodistill.modeling_emodistill; ok = emodistill.EmoDistillModel._auto_class == "AutoModel"
import emodistill.pipeline_emodistill as m; ok = registry().check_task("zero-shot-emotion")[1]["impl"] is m.ZeroShotEmotionPipeline
""".strip().splitlines()  # noqa: E501
IN_A_FORK = """
import os, sys
import emodistill

assert not {"torch", "transformers", "numpy"} & set(sys.modules), "the import is not cheap"
EXTRAS = ("accelerate", "datasets", "evaluate", "openai", "matplotlib", "sklearn", "pandas", "pyarrow", "gradio")

def registry():
    from transformers.pipelines import PIPELINE_REGISTRY
    return PIPELINE_REGISTRY

def configuration():
    from transformers import AutoConfig, BertConfig
    small = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1)
    return AutoConfig.for_model("emodistill", text_config=small, num_qformer_heads=1)

def try_in_a_fork(step):
    assert "transformers.pipelines" not in sys.modules
    if not os.fork():
        exec(step, globals())
        os._exit(0 if ok else 3)
    if os.wait()[1]:
        sys.exit("failed: " + step)

# What transformers stands on is loaded once for all forks, and transformers itself in each.
import torch, torch._dynamo, torch.distributed.tensor
assert not set(EXTRAS) & set(sys.modules), "torch brings an extra"
# transformers imports accelerate by itself where it is installed. With None in its place, transformers takes it for
# absent, while an import of ours would fail.
without_extras, *first_steps = sys.argv[1:]
try_in_a_fork("sys.modules.update(dict.fromkeys(EXTRAS)); " + without_extras)
import accelerate, transformers
try:
    import scipy.stats, sklearn.metrics
except ImportError:
    pass
for step in first_steps:
    try_in_a_fork(step)
"""


@pytest.mark.slow
def test_whatever_is_imported_first_transformers_knows_the_classes():
    """The import itself loads nothing; then without extras, and each way by which the two come to meet."""
    command = [sys.executable, "-c", IN_A_FORK, WITHOUT_EXTRAS, *FIRST_STEPS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_every_name_in_all_is_there():
    import emodistill

    assert all(hasattr(emodistill, name) for name in emodistill.__all__)
