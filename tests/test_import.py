"""What `import emodistill` loads: nothing; and what its classes load: torch and transformers, none of the extras."""

import subprocess
import sys

import pytest

EXTRAS = ("accelerate", "datasets", "evaluate", "openai", "matplotlib", "sklearn", "pandas", "pyarrow", "gradio")
# transformers imports accelerate by itself where it is installed. With None in its place, transformers takes it for
# absent, while an import of ours would fail.
BLOCK = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_the_package_needs_no_extra_and_registers_once():
    """That it pulls none that is installed, the test of the default model shows."""
    done = run(
        BLOCK + "import importlib, emodistill; importlib.reload(emodistill)\n"
        "from transformers.pipelines import PIPELINE_REGISTRY\n"
        "print(PIPELINE_REGISTRY.get_supported_tasks().count('zero-shot-emotion'))"
    )
    assert done.stdout.strip() == "1" and not done.stderr


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
# What transformers stands on is loaded once for all forks, and transformers itself in each.
import accelerate, torch, torch._dynamo, torch.distributed.tensor, transformers
try:
    import scipy.stats, sklearn.metrics
except ImportError:
    pass

def registry():
    from transformers.pipelines import PIPELINE_REGISTRY
    return PIPELINE_REGISTRY

def configuration():
    from transformers import AutoConfig, BertConfig
    small = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1)
    return AutoConfig.for_model("emodistill", text_config=small, num_qformer_heads=1)

for step in sys.argv[1:]:
    assert "transformers.pipelines" not in sys.modules
    if not os.fork():
        exec(step)
        os._exit(0 if ok else 3)
    if os.wait()[1]:
        sys.exit("failed: " + step)
"""


@pytest.mark.slow
def test_whatever_is_imported_first_transformers_knows_the_classes():
    """The import itself loads nothing; then each way by which transformers and the package come to meet."""
    done = subprocess.run([sys.executable, "-c", IN_A_FORK, *FIRST_STEPS], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


def test_every_name_in_all_is_there():
    import emodistill

    assert all(hasattr(emodistill, name) for name in emodistill.__all__)
