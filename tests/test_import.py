"""What `import emodistill` may load: torch and transformers, nothing of the extras."""

import subprocess
import sys

EXTRAS = ("accelerate", "datasets", "evaluate", "openai", "matplotlib", "sklearn", "pandas", "pyarrow", "gradio")
# transformers imports accelerate by itself where it is installed. With None in its place, transformers takes it for
# absent, while an import of ours would fail.
BLOCK = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_the_package_needs_no_extra_and_registers_once():
    done = run(
        BLOCK + "import importlib, emodistill; importlib.reload(emodistill)\n"
        "from transformers.pipelines import PIPELINE_REGISTRY\n"
        "print(PIPELINE_REGISTRY.get_supported_tasks().count('zero-shot-emotion'))"
    )
    assert done.stdout.strip() == "1" and not done.stderr


def test_the_package_pulls_no_extra_that_is_installed():
    code = (
        "import sys, emodistill; from transformers import pipeline\n"
        f"print([name for name in {EXTRAS!r} if name in sys.modules and name != 'accelerate'])"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_every_name_in_all_is_there():
    import emodistill

    assert all(hasattr(emodistill, name) for name in emodistill.__all__)
