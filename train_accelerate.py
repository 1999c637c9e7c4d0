"""Train a model on emotion descriptors, with Accelerate.

    accelerate launch train_accelerate.py minilm-l6/1-first                        # this machine, as configured
    accelerate launch --num_processes 4 train_accelerate.py minilm-l6/1-first      # four GPUs
    emodistill train minilm-l6/1-first --epochs 1 --output-dir outputs/try         # one process, flags win

Stop it with Ctrl-C or SIGTERM, or let it be killed: the same command goes on from the last saved state and ends
with the same weights as a run that was never stopped.
"""

import contextlib
import importlib
import math
import os
import sys
import time
from dataclasses import replace

import torch

if __package__:
    from .files import write_json
    from .training.arguments import parse_arguments
    from .training.building import build_parts, load_data
    from .training.encoders import check_sources, located
    from .training.finishing import finish_run, save_trained
    from .training.folder import claim_arguments, claim_inputs, locked
    from .training.record import Record, settings
    from .training.states import RunStates, StopSignal, TrainingProgress
else:  # run as a script: the folder is the package, installed or not
    import emodistill.train_accelerate

    if __name__ == "__main__":
        sys.exit(emodistill.train_accelerate.script())

__all__ = ["Trainer", "main", "native_bf16", "script"]

MAX_GRAD_NORM = 1.0  # gradients are clipped to it
PATIENCE = 3  # validations without gain before training stops


class Trainer:
    """One run: built from arguments, resumed where it stopped, finished with an exported checkpoint."""

    def __init__(self, model_args, data_args, run_args, quiet=False):
        from accelerate import Accelerator
        from accelerate.utils import set_seed

        self.groups = model_args, data_args, run_args  # as given: names of checkpoints, not where they lie here
        if run_args.mixed_precision == "auto":
            run_args = replace(run_args, mixed_precision="bf16" if native_bf16() else "no")
        _check_precision(run_args)
        self.args, self.quiet = run_args, quiet
        self.accelerator = Accelerator(mixed_precision=run_args.mixed_precision, project_dir=run_args.output_dir)
        set_seed(run_args.seed)
        self._prepare()

    def _prepare(self):
        """Data, model and loop, and the last saved state, if there is one."""
        from transformers import get_scheduler

        accelerator, args = self.accelerator, self.args
        data = load_data(self.groups[1], args.seed, self._say)
        self.record = Record(self.groups, *data)
        claim_inputs(args.output_dir, self.record.inputs)
        self.located = located(self.groups[0]), self.groups[1], args
        self.parts = parts = build_parts(self.located, data, accelerator, self._say)
        self.network, self.sampler, self.objective = parts.network, parts.sampler, parts.objective
        self.model, self.optimizer, self.loader = accelerator.prepare(parts.network, parts.optimizer, parts.loader)
        self.total_steps = -(-len(self.loader) // accelerator.gradient_accumulation_steps) * args.epochs
        warmup = int(args.warmup_ratio * self.total_steps)
        self.scheduler = get_scheduler("linear", self.optimizer, warmup, self.total_steps)
        self.progress = TrainingProgress()
        run = settings(self.groups) | self.record.inputs
        self.states = RunStates(
            args.output_dir, accelerator, self.network, self.optimizer, self.scheduler, self.progress, run
        )

    def run(self):
        """Train to the end, or to a signal.

        Returns:
            `int`: 0 when finished, 128 plus the signal's number when stopped.
        """
        self._resume()
        signals = StopSignal()
        try:
            while self.progress.epoch < self.args.epochs and self.progress.stale < PATIENCE:
                number = self._epoch(signals)
                if number:
                    return 128 + number
        finally:
            signals.restore()
        self._finish()
        return 0

    def _resume(self):
        self.clock = time.monotonic()
        if self.states.restore(self._say):
            self._say(f"going on from step {self.progress.step} of {self.total_steps}")
            if self.progress.history and not os.path.isdir(os.path.join(self.args.output_dir, "best")):
                states = os.path.join(self.args.output_dir, "states")
                raise ValueError(
                    f"the folder best, in which the run left its best model, is gone from {self.args.output_dir}: put "
                    f"it back, or remove {states}, and the same command trains from the start"
                )
        elif self.parts.align:
            self.parts.align()

    def _epoch(self, signals):
        progress = self.progress
        # Accelerate counts its own passes and tells the sampler at each start; a resumed run has made none yet.
        self.loader.set_epoch(progress.epoch)
        self.sampler.set_epoch(progress.epoch)
        loader = self.loader
        if progress.batch:
            loader = self.accelerator.skip_first_batches(loader, progress.batch)
        self.model.train()
        bar = self._bar()
        for batch in loader:
            loss = self._step(batch)
            progress.batch += 1
            if not self.accelerator.sync_gradients:
                continue
            progress.step += 1
            bar.update()
            if progress.step % 20 == 0:
                bar.set_postfix(loss=f"{loss.item():.2f}")
            if self.args.eval_steps and progress.step % self.args.eval_steps == 0:
                self._validate()
                if progress.stale >= PATIENCE:
                    break
            number = self._agreed(signals.requested())
            last = progress.batch == len(self.loader)  # its state is saved once, after its validation
            if number or (progress.step % self.args.save_steps == 0 and not last):
                self._save_state()
            if number:
                self._say(f"stopped at step {progress.step}; the same command goes on from here")
                return number
        bar.close()
        progress.epoch, progress.batch = progress.epoch + 1, 0
        if not progress.history or progress.history[-1]["step"] < progress.step:
            self._validate()
        self._save_state()
        return 0

    def _check_folder(self):
        if not os.path.isdir(self.args.output_dir):
            raise ValueError(
                f"output_dir {self.args.output_dir} was removed while the run was at it: the same command trains from "
                "the start"
            )

    def _save_state(self):
        self._check_folder()
        now = time.monotonic()
        self.progress.seconds, self.clock = self.progress.seconds + now - self.clock, now
        self.states.save()

    def _step(self, batch):
        # Dropout depends on the step alone: creating a data loader's iterator, as resuming does, draws random numbers.
        number = self.progress.epoch * len(self.loader) + self.progress.batch
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        # torch.manual_seed notes its caller for every kind of accelerator, which takes longer than a layer.
        seed = torch.default_generator.manual_seed if self.accelerator.device.type == "cpu" else torch.manual_seed
        seed(self.args.seed + 7919 * (number * processes + rank))
        with self.accelerator.accumulate(self.model):
            ids = batch["label_ids"].cpu()
            if self.parts.label_states is not None:
                labels = {"label_states": self.parts.label_states[ids]}
            else:
                input_ids, mask = self.parts.vocabulary.tokens(ids)
                device = self.accelerator.device
                labels = {"label_input_ids": input_ids.to(device), "label_attention_mask": mask.to(device)}
            output = self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **labels)
            loss = self.objective(output, batch)
            self._check_loss(loss.item())
            self.accelerator.backward(loss * self._share_of_texts(len(batch["input_ids"])))
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.model.parameters(), MAX_GRAD_NORM)
            self.optimizer.step()
            if self.accelerator.sync_gradients:
                self.scheduler.step()
            self.optimizer.zero_grad()
        return loss.detach()

    def _check_loss(self, loss):
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} at step {self.progress.step + 1}: lower the learning rates (text_lr, label_lr, "
                "head_lr), or set mixed_precision to no; nothing of this step was saved"
            )

    def _share_of_texts(self, texts):
        """Factor that makes the mean over processes a mean over texts where their batches differ in size."""
        if self.accelerator.num_processes == 1:
            return 1.0
        total = self.accelerator.reduce(torch.tensor([float(texts)], device=self.accelerator.device))
        return texts * self.accelerator.num_processes / total.item()

    def _agreed(self, number):
        """The signal that any process received: all must stop after the same step."""
        if self.accelerator.num_processes == 1:
            return number
        seen = torch.tensor([number], device=self.accelerator.device)
        return int(self.accelerator.gather(seen).max())

    def _validate(self):
        from accelerate.utils import broadcast_object_list

        results = [self.parts.sampled_validator(self.network) if self.accelerator.is_main_process else None]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(results)
        metrics = results[0] | {"step": self.progress.step}
        self.progress.history.append(metrics)
        # The first counts as best whatever it is, so that there always is a checkpoint to finish with.
        better = self.progress.best is None or metrics["selection"] > self.progress.best
        self.progress.stale = 0 if better else self.progress.stale + 1
        shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if name != "step")
        self._say(f"step {self.progress.step}: {shown}{' (best)' if better else ''}")
        if better:
            self.progress.best = metrics["selection"] if math.isfinite(metrics["selection"]) else None
            self._save_best()

    def _save_best(self):
        self._check_folder()
        if self.accelerator.is_main_process:
            save_trained(self.network, self.parts.tokenizer, os.path.join(self.args.output_dir, "best"))
        self.accelerator.wait_for_everyone()

    def _finish(self):
        """Write the final checkpoint, made from the best weights, and the run's measures beside it."""
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            folder = self.args.output_dir
            model, metrics = finish_run(self.located, self.parts, self.accelerator.device, self._say)
            self.progress.seconds += time.monotonic() - self.clock
            record = self.record.finished(self.progress, metrics, self.accelerator)
            save_trained(model, self.parts.tokenizer, os.path.join(folder, "final"), record)
            content = {"final": metrics, "history": self.progress.history, "decision": model.config.decision}
            write_json(os.path.join(folder, "metrics.json"), content, sort_keys=True)
            numbers = ((name, value) for name, value in metrics.items() if isinstance(value, float))
            shown = ", ".join(f"{name} {value:.4f}" for name, value in numbers)
            self._say(f"finished: {shown}; checkpoint in {os.path.join(folder, 'final')}")
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def _bar(self):
        from tqdm.auto import tqdm

        return tqdm(
            total=self.total_steps,
            initial=self.progress.step,
            desc=f"epoch {self.progress.epoch + 1}/{self.args.epochs}",
            disable=True if self.quiet or not self.accelerator.is_main_process else None,  # None: no terminal
            mininterval=1.0,
            file=sys.stderr,
        )

    def _say(self, text):
        if self.accelerator.is_main_process:
            print(text, flush=True)


def native_bf16():
    """Whether this machine computes in bf16 itself: on a CPU that only imitates it, fp32 is twenty times faster."""
    if _accelerated():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _accelerated():
    from accelerate.utils import parse_flag_from_env

    return torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU")


def _quiet_libraries():
    """Leave the screen to the one bar and the few lines that tell how training goes."""
    import logging

    import datasets
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logging.getLogger("accelerate").setLevel(logging.ERROR)  # a notice about tied weights at every saved state


def _check_precision(args):
    if args.mixed_precision == "fp16" and not _accelerated():
        raise ValueError("mixed_precision fp16 needs an accelerator; on a CPU choose bf16 or no")


@contextlib.contextmanager
def _telling_of_memory():
    """Where memory does not suffice, which torch tells in an error of its own, that is a sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        told = any(words in str(error) for words in ("allocate memory", "out of memory"))
        if not (told or isinstance(error, MemoryError | torch.OutOfMemoryError)):
            raise
        raise ValueError(
            "memory ran out: take a smaller batch_size, encoder, projection_dim or qformer, in another output_dir; or "
            "free some, and the same command goes on from the last saved state"
        ) from None


def main(argv=None, quiet=False):
    """Train as the command line says.

    Args:
        argv (`list[str]`, *optional*): The arguments; the process's own by default.
        quiet (`bool`, *optional*, defaults to `False`): Whether there is no progress bar in a terminal either.

    Returns:
        `int`: 0 when finished, 128 plus the signal's number when stopped by one.

    Raises:
        `ValueError`: for arguments or data that do not fit, naming them.
    """
    groups = parse_arguments(list(sys.argv[1:] if argv is None else argv))
    _check_precision(groups[2])
    for library in ("accelerate", "datasets"):  # of the extra `train`: told before anything is looked for
        importlib.import_module(library)
    check_sources(groups)
    _quiet_libraries()
    with locked(groups[2].output_dir):
        claim_arguments(groups)
        with _telling_of_memory():
            return Trainer(*groups, quiet=quiet).run()


def script():
    """Run as a program: a user's mistake is one sentence, not a traceback."""
    try:
        return main()
    except (ValueError, OSError) as error:
        print(f"train_accelerate.py: {error}", file=sys.stderr)
        return 2
