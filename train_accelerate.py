"""Train a model on emotion descriptors, with Accelerate.

    accelerate launch train_accelerate.py minilm-l6/1-first                        # this machine, as configured
    accelerate launch --num_processes 4 train_accelerate.py minilm-l6/1-first      # four GPUs
    emodistill train minilm-l6/1-first --epochs 1 --output-dir outputs/try         # one process, flags win

Stop it with Ctrl-C or SIGTERM, or let it be killed: the same command goes on from the last saved state and ends
with the same weights as a run that was never stopped.
"""

import hashlib
import math
import os
import sys
import time
from dataclasses import replace

import torch

if __package__:
    from .encoding_emodistill import encode_labels
    from .files import write_json
    from .loss_emodistill import logit_of_rate
    from .modeling_emodistill import EmoDistillModel
    from .training.arguments import check_sources, parse_arguments
    from .training.data import (
        DescriptorBatches,
        DescriptorDataset,
        LengthBucketSampler,
        Vocabulary,
        even_rows,
        load_rows,
        read_view,
        reference_words,
        with_copies,
    )
    from .training.deciding import choose_decision
    from .training.distilling import load_teachers
    from .training.encoders import lexicon_path, located
    from .training.finishing import export, fit_reference, mix_with_start, refit_dimensions
    from .training.folder import claim_arguments, claim_inputs, locked
    from .training.label_space import align_text_tower, build_on_label_space
    from .training.objective import Objective, confusable_labels, near_synonyms, positive_rate
    from .training.record import Record
    from .training.states import Progress, RunStates, StopSignal, last_state
    from .training.targets import Lexicon, felt_rating
    from .training.validation import Validator
else:  # run as a script: the folder is the package, installed or not
    import emodistill.train_accelerate

    if __name__ == "__main__":
        sys.exit(emodistill.train_accelerate.script())

# Arguments that say how labels become targets
WEIGHING = ("implied_weight", "implied_decay", "implied_agreement", "salience_decay", "rated_weight")


def build_model(args, rated=True):
    """The model to train and its tokenizer: fresh heads on pretrained encoders, or a trained checkpoint.

    Beside them what a new text tower is to be aligned with: the model and tokenizer of `label_space`, or nothing.
    Without ratings to learn from (`rated=False`), a new model gets no dimension head.
    """
    from transformers import AutoConfig, AutoTokenizer

    if args.label_space:
        options = {
            name: getattr(args, name)
            for name in (
                "pooling", "num_queries", "num_qformer_layers", "num_qformer_heads", "freeze_label_encoder",
                "text_max_length", "normalise_texts",
            )
        }  # fmt: skip
        model, tokenizer, *aligned = build_on_label_space(args.text_encoder, args.label_space, args.dropout, **options)
        model.freeze_lower_layers(args.freeze_text_layers, args.freeze_label_layers)
        if args.freeze_label_encoder:
            model.freeze_label_encoder()
        return model, tokenizer, aligned
    tokenizer = AutoTokenizer.from_pretrained(args.init or args.text_encoder)
    if args.init:
        model = EmoDistillModel.from_pretrained(args.init)
        model.config.spell_emoji = model.config.spell_emoji or args.spell_emoji
        model.config.normalise_texts = model.config.normalise_texts or args.normalise_texts
        model.freeze_lower_layers(args.freeze_text_layers, args.freeze_label_layers)
        return model, tokenizer, None
    options = {
        name: getattr(args, name)
        for name in (
            "pooling", "num_queries", "num_qformer_layers", "num_qformer_heads", "projection_dim",
            "freeze_label_encoder", "tie_word_embeddings", "text_max_length", "logit_scale_init", "spell_emoji",
            "normalise_texts",
        )
    }  # fmt: skip
    if not rated:
        options["dimension_names"] = []
    if args.random_weights:
        config = AutoConfig.from_pretrained(args.text_encoder)
        model = EmoDistillModel(EmoDistillModel.config_class(text_config=config, **options))
        if args.freeze_label_encoder:
            model.freeze_label_encoder()
        return model, tokenizer, None
    options["attention_dropout"] = args.attention_dropout
    model = EmoDistillModel.from_encoders(args.text_encoder, args.label_encoder, **options)
    model.freeze_lower_layers(args.freeze_text_layers, args.freeze_label_layers)
    return model, tokenizer, None


def load_data(args, seed):
    """Training rows, validation rows and lexicon; rows carry `closed` labels where asked for."""
    train = load_rows(args.data, "train", args.data_config)
    validation = load_rows(args.data, "validation", args.data_config)
    lexicon = Lexicon.load(lexicon_path(args.lexicon))
    lexicon.ratings = {word: felt_rating(known, args.arousal_by_valence) for word, known in lexicon.ratings.items()}
    if validation is None:  # hold out by the text itself, so that the split does not move when rows are added
        held_out = [_hash(row["text"]) < args.validation_share for row in train]
        validation = [row for row, out in zip(train, held_out, strict=True) if out]
        train = [row for row, out in zip(train, held_out, strict=True) if not out]
        lexicon.held_out = set()  # the lexicon's own split belongs to the data set it came with, not to this one
    if not train or not validation:
        raise ValueError(
            f"data {args.data} gives {len(train)} training and {len(validation)} validation texts; both are needed"
        )
    for column, wanted in (("source", args.sources), ("selection", args.selections)):
        if wanted:
            names = {name.strip() for name in wanted.split(",")}
            train = [row for row in train if row.get(column) in names]
            if not train:
                raise ValueError(f"no training text has a {column} among {wanted}")
    if args.closed_config:
        closed = read_view(args.data, "closed_config", args.closed_config, train + validation)
        for row in [*train, *validation]:
            row["closed"] = closed[row["id"]]["labels"] if row["id"] in closed else []
        if args.labels_from == "closed":
            train = [row | {"labels": row["closed"], "closed": []} for row in train if row["closed"]]
        if args.labels_from == "descriptors":  # then the closed list only says how many labels a text has
            train = [row | {"closed": []} for row in train]
    if args.rated_config:
        rated = read_view(args.data, "rated_config", args.rated_config, train + validation)
        for row in [*train, *validation]:
            if found := rated.get(row["id"]):
                row["plain"] = found["labels"]
                rating = tuple(found[name] for name in ("valence", "arousal", "dominance"))
                row["rating"] = felt_rating(rating, args.arousal_by_valence)
        if args.rated_only:
            train = [row for row in train if "rating" in row]
    if args.max_texts and args.max_texts < len(train):
        chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[: args.max_texts]
        train = [train[index] for index in sorted(chosen.tolist())]
    if args.unread_config:
        train += load_rows(args.data, "train", args.unread_config, unread=True)
    return train, validation, lexicon


def native_bf16(cpu):
    """Whether this machine computes in bf16 itself: on a CPU that only imitates it, fp32 is twenty times faster."""
    if not cpu and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _hash(text):
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def build_optimizer(model, args):
    """AdamW with a learning rate for each part; no decay for biases, norms, temperature and bias."""
    rates = {"text_encoder": args.text_lr, "label_encoder": args.label_lr}
    groups = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        part = name.split(".")[0]
        rate = args.scale_lr if part in ("logit_scale", "logit_bias") else rates.get(part, args.head_lr)
        decay = args.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": list_, "lr": rate, "weight_decay": decay} for (rate, decay), list_ in groups.items()],
        fused=True,
    )


class Trainer:
    """One run: built from arguments, resumed where it stopped, finished with an exported checkpoint."""

    def __init__(self, model_args, data_args, run_args):
        from accelerate import Accelerator
        from accelerate.utils import set_seed
        from transformers import get_scheduler

        self.groups = model_args, data_args, run_args  # as given: names of checkpoints, not where they lie here
        if run_args.mixed_precision == "auto":
            run_args = replace(run_args, mixed_precision="bf16" if native_bf16(run_args.cpu) else "no")
        _check_precision(run_args)
        self.model_args, self.data_args, self.args = located(model_args), data_args, run_args
        self.accelerator = Accelerator(
            mixed_precision=run_args.mixed_precision,
            cpu=run_args.cpu,
            gradient_accumulation_steps=run_args.gradient_accumulation_steps,
            log_with=run_args.log_with,
            project_dir=run_args.output_dir,
        )
        set_seed(run_args.seed)
        if run_args.log_with:
            settings = {
                name: value for group in (model_args, data_args, run_args) for name, value in vars(group).items()
            }
            kinds = (bool, int, float, str)
            self.accelerator.init_trackers("emodistill", {k: v for k, v in settings.items() if isinstance(v, kinds)})
        self._prepare_data()
        steps = -(-len(self.loader) // run_args.gradient_accumulation_steps) * run_args.epochs
        self.scheduler = get_scheduler(
            "linear", self.optimizer, num_warmup_steps=int(run_args.warmup_ratio * steps), num_training_steps=steps
        )
        self.total_steps = steps
        self.progress = Progress()
        self.states = RunStates(
            run_args.output_dir, self.accelerator, self.network, self.optimizer, self.scheduler, self.progress
        )

    def _prepare_data(self):
        args, data_args = self.args, self.data_args
        train, validation, lexicon = load_data(data_args, args.seed)
        self.record = Record(self.groups, train, validation, lexicon)
        claim_inputs(args.output_dir, self.record.inputs)
        self.rated = bool(lexicon.ratings) and args.dimension_weight > 0
        network, self.tokenizer, aligned = build_model(self.model_args, self.rated)
        weigh = {name: getattr(data_args, name) for name in WEIGHING}
        rows = with_copies(train, data_args.counterfactual_share)
        dataset = DescriptorDataset(
            rows, self.tokenizer, lexicon, network.config.text_max_length, weigh, network.config,
            data_args.balance,
        )  # fmt: skip
        self.vocabulary = Vocabulary(dataset.labels(), self.tokenizer, network.config.label_max_length)
        read = [row for row in train if row["labels"]]  # a prefix: texts that nobody read come last
        places = even_rows(read, data_args.background_texts, data_args.background_sources)
        self.background_rows = [train[row] | {"weights": dataset.weights[row]} for row in places]
        places = even_rows(read, data_args.background_texts * 3 // 2)  # dimensions are fitted on any source
        self.dimension_rows = [train[row] | {"rating": dataset.ratings[row]} for row in places]
        background = [row["text"] for row in self.background_rows]
        autocast = args.mixed_precision == "bf16"
        self.validator = Validator(validation, lexicon, self.tokenizer, background, autocast=autocast)
        self.sampled_validator = self.validator
        if args.validation_texts and args.validation_texts < len(validation):
            sample = [validation[place] for place in even_rows(validation, args.validation_texts)]
            part = background[:: -(-len(background) // args.validation_texts)]
            self.sampled_validator = Validator(sample, lexicon, self.tokenizer, part, autocast=autocast)
        self.lexicon = lexicon
        units = dataset.units(data_args.contrast_repeats)
        self.sampler = LengthBucketSampler(dataset.lengths, args.batch_size, args.seed, units=units)
        device = self.accelerator.device
        network.to(device)
        if aligned and last_state(args.output_dir) is None:
            cosine = align_text_tower(network, self.tokenizer, *aligned, [row["text"] for row in train], autocast)
            self._say(f"text tower aligned with {self.model_args.label_space}: cosine {cosine:.3f}")
        synonyms, confusable = self._related_labels(network)
        collate = DescriptorBatches(
            self.vocabulary, self.tokenizer.pad_token_id, data_args.extra_negatives, dataset.label_counts(), confusable
        )
        loader = torch.utils.data.DataLoader(dataset, batch_sampler=self.sampler, collate_fn=collate)
        if not (self.model_args.init or self.model_args.label_space):  # a trained model brings its own bias
            torch.nn.init.constant_(network.logit_bias, logit_of_rate(positive_rate(loader)))
        teachers = None
        if data_args.teachers:
            texts, labels = [row["text"] for row in rows], self.vocabulary.labels
            folder = os.path.join(args.output_dir, "teachers")
            with self.accelerator.main_process_first():
                teachers = load_teachers(data_args.teachers, texts, labels, folder, device, autocast, self._say)
        unknown = (float("nan"),) * 3
        ratings = torch.tensor([lexicon.ratings.get(label, unknown) for label in self.vocabulary.labels])
        self.cached_states = _cache_label_states(network, self.vocabulary) if network.label_encoder_is_frozen else None
        optimizer = build_optimizer(network, args)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(network, optimizer, loader)
        self.network = self.accelerator.unwrap_model(self.model)
        weight = args.dimension_weight if self.rated else 0.0
        self.objective = Objective(
            self.network, synonyms, ratings.to(device), weight, teachers, data_args.teacher_weight,
            args.group_weight, args.consistency_weight, args.embedding_weight,
        )  # fmt: skip

    def _related_labels(self, network):
        """What the starting label encoder says of pairs of labels: near-synonyms, and those it may confuse."""
        data_args = self.data_args
        threshold, number = data_args.synonym_mask, data_args.hard_negatives
        # Teachers alone know how near a near-synonym is; descriptors only leave it open.
        masked = threshold is not None and (data_args.teachers is None or data_args.teacher_weight < 1.0)
        if not masked and not number:
            return None, None
        network.eval()
        embeds = encode_labels(network, self.tokenizer, self.vocabulary.labels)
        confusable = confusable_labels(embeds, 1.0 if threshold is None else threshold, number) if number else None
        return near_synonyms(embeds, threshold) if masked else None, confusable

    def run(self):
        """Train to the end, or to a signal.

        Returns:
            `int`: 0 when finished, 128 plus the signal's number when stopped.
        """
        self._resume()
        signals = StopSignal()
        try:
            while self.progress.epoch < self.args.epochs and self.progress.stale < self.args.patience:
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
                if self.args.log_with:
                    self.accelerator.log({"loss": loss.item()}, step=progress.step)
            if self.args.eval_steps and progress.step % self.args.eval_steps == 0:
                self._validate()
                if progress.stale >= self.args.patience:
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

    def _save_state(self):
        now = time.monotonic()
        self.progress.seconds, self.clock = self.progress.seconds + now - self.clock, now
        self.states.save()

    def _step(self, batch):
        # Dropout depends on the step alone: creating a data loader's iterator, as resuming does, draws random numbers.
        number = self.progress.epoch * len(self.loader) + self.progress.batch
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        torch.manual_seed(self.args.seed + 7919 * (number * processes + rank))
        with self.accelerator.accumulate(self.model):
            ids = batch["label_ids"].cpu()
            if self.cached_states is not None:
                labels = {"label_states": self.cached_states[ids]}
            else:
                input_ids, mask = self.vocabulary.tokens(ids)
                device = self.accelerator.device
                labels = {"label_input_ids": input_ids.to(device), "label_attention_mask": mask.to(device)}
            output = self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **labels)
            loss = self.objective(output, batch)
            self._check_loss(loss.item())
            self.accelerator.backward(loss * self._share_of_texts(len(batch["input_ids"])))
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)
            self.optimizer.step()
            if self.accelerator.sync_gradients:
                self.scheduler.step()
            self.optimizer.zero_grad()
        return loss.detach()

    def _check_loss(self, loss):
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} at step {self.progress.step + 1}: lower the learning rates (text_lr, label_lr, "
                "head_lr, scale_lr), or set mixed_precision to no; nothing of this step was saved"
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

        results = [self.sampled_validator(self.network) if self.accelerator.is_main_process else None]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(results)
        metrics = results[0] | {"step": self.progress.step}
        self.progress.history.append(metrics)
        # The first counts as best whatever it is, so that there always is a checkpoint to finish with.
        better = self.progress.best is None or metrics["selection"] > self.progress.best
        self.progress.stale = 0 if better else self.progress.stale + 1
        shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if name != "step")
        self._say(f"step {self.progress.step}: {shown}{' (best)' if better else ''}")
        if self.args.log_with:
            self.accelerator.log(metrics, step=self.progress.step)
        if better:
            self.progress.best = metrics["selection"] if math.isfinite(metrics["selection"]) else None
            self._save_best()

    def _save_best(self):
        if self.accelerator.is_main_process:
            export(self.network, self.tokenizer, os.path.join(self.args.output_dir, "best"))
        self.accelerator.wait_for_everyone()

    def _finish(self):
        """From the best weights to the final checkpoint: mixed with the start, with background and decisions."""
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            model = EmoDistillModel.from_pretrained(os.path.join(self.args.output_dir, "best"))
            model.to(self.accelerator.device)
            model.eval()
            if self.args.keep_trained < 1.0:
                start, _, _ = build_model(self.model_args, self.rated)
                mix_with_start(model, start, self.args.keep_trained, whole=bool(self.model_args.init))
            background = self.validator.embed(model, self.validator.background)
            # Texts' own ratings are a better target than means over descriptors, also where nothing was mixed.
            fit = self.args.keep_trained < 1.0 or self.data_args.rated_config
            if fit and self.rated and model.dimension_head is not None:
                rows = self.dimension_rows
                embeds = self.validator.embed(model, [row["text"] for row in rows])
                ratings = torch.tensor([row["rating"] for row in rows])
                refit_dimensions(model, embeds, ratings, [row.get("source") or "" for row in rows])
            model.set_background(background)
            self._fit_reference(model, background)
            embeds = self.validator.embed(model, self.validator.texts)
            model.config.decision = choose_decision(model, self.validator, embeds, background)
            metrics = self.validator.measure(model, embeds)
            dtype = getattr(torch, self.args.export_dtype)
            self.progress.seconds += time.monotonic() - self.clock
            record = self.record.finished(self.progress, metrics, self.accelerator)
            export(model.to("cpu", dtype), self.tokenizer, os.path.join(self.args.output_dir, "final"), record)
            write_json(
                os.path.join(self.args.output_dir, "metrics.json"),
                {"final": metrics, "history": self.progress.history, "decision": model.config.decision},
            )
            shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            self._say(f"finished: {shown}; checkpoint in {os.path.join(self.args.output_dir, 'final')}")
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def _fit_reference(self, model, background):
        """A reference vocabulary with prototypes from the background's texts, if they hold enough words for one.

        Otherwise a model that had a vocabulary keeps its words, embedded anew, as their own directions.
        """
        rows = self.background_rows
        weights = [row["weights"] for row in rows]
        if words := reference_words(rows, weights, self.lexicon):
            embeds = encode_labels(model, self.tokenizer, words)
            fit_reference(model, background, weights, [row.get("source") or "" for row in rows], words, embeds)
        elif words := model.config.reference_words:
            model.set_reference(words, encode_labels(model, self.tokenizer, words))

    def _bar(self):
        from tqdm.auto import tqdm

        return tqdm(
            total=self.total_steps,
            initial=self.progress.step,
            desc=f"epoch {self.progress.epoch + 1}/{self.args.epochs}",
            disable=self.args.quiet or not self.accelerator.is_main_process,
            mininterval=1.0,
            file=sys.stderr,
        )

    def _say(self, text):
        if self.accelerator.is_main_process:
            print(text, flush=True)


@torch.no_grad()
def _cache_label_states(network, vocabulary, batch_size=256):
    """Output of a frozen label encoder for the whole vocabulary, computed once."""
    network.eval()
    parts = []
    for ids in torch.arange(len(vocabulary)).split(batch_size):
        input_ids, mask = vocabulary.tokens(ids)
        parts.append(network.get_label_states(input_ids.to(network.device), mask.to(network.device)))
    return torch.cat(parts)


def _quiet_libraries():
    """Leave the screen to the one bar and the few lines that tell how training goes."""
    import logging

    import datasets
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logging.getLogger("accelerate").setLevel(logging.ERROR)  # a notice about tied weights at every saved state


def _check_precision(args):
    if args.mixed_precision == "fp16" and (args.cpu or not torch.cuda.is_available()):
        raise ValueError("mixed_precision fp16 needs an accelerator; on a CPU choose bf16 or no")


def main(argv=None):
    """Train as the command line says.

    Args:
        argv (`list[str]`, *optional*): The arguments; the process's own by default.

    Returns:
        `int`: 0 when finished, 128 plus the signal's number when stopped by one.

    Raises:
        `ValueError`: for arguments or data that do not fit, naming them.
    """
    groups = parse_arguments(list(sys.argv[1:] if argv is None else argv))
    _check_precision(groups[2])
    check_sources(groups)
    _quiet_libraries()
    with locked(groups[2].output_dir):
        claim_arguments(groups)
        return Trainer(*groups).run()


def script():
    """Run as a program: a user's mistake is one sentence, not a traceback."""
    try:
        return main()
    except (ValueError, OSError) as error:
        print(f"train_accelerate.py: {error}", file=sys.stderr)
        return 2
