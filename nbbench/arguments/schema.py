"""What a user may ask for: `BenchmarkArguments`, the one schema behind every front end.

Types, defaults, help and messages live here alone. The command line's flags, the magic's options
and the reference page are made from the fields.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ..errors import ArgumentError, did_you_mean
from ..text import quoted
from ..worker.timing import MIN_SAMPLES
from .conflicts import problem_of
from .given import as_amounts, as_gpus, as_lengths, as_list, config_as_dict
from .own_inputs import inputs_as_dict
from .problems import problems_of
from .searched import searched_axis
from .value_types import (
    AsList,
    Device,
    DType,
    Duration,
    Fraction,
    Framework,
    MemorySize,
    Name,
    Part,
    Ranks,
    Samples,
    Seconds,
    Seed,
    SizeOrBest,
    SizeOrMax,
    Threads,
    as_name,
    no_bool,
)


def _option(default: Any, help_text: str, **extra: Any) -> Any:
    """A field with its help, and what a front end needs to know besides."""
    return Field(
        default_factory=lambda: copy(default),
        description=help_text,
        json_schema_extra=extra,
    )


class BenchmarkArguments(BaseModel):
    """What to measure, on what, and how well.

    Raises `ArgumentError`, with one sentence, for a name or a value that is not one of these.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: Annotated[list[Name], AsList] = _option(
        [],
        "models to measure: names of the built-in catalogue, Hugging Face Hub ids, folders with a "
        "config.json, or code of your own as FILE.py:FUNCTION or MODULE:FUNCTION; with configs, a "
        "label for each of them",
    )
    configs: Annotated[list[dict[str, Any]], AsList] = _option(
        [],
        "configurations to measure instead of named ones: dicts with a model_type, or Transformers "
        "config objects, one for each model in the same order",
        flag=False,
    )
    frameworks: Annotated[list[Framework], AsList] = _option(
        ["pytorch"], "frameworks to measure in", short="f"
    )
    batch_sizes: Annotated[list[SizeOrBest], AsList] = _option(
        [8],
        "how many samples a call takes; max is the largest that fits in memory, best the one of "
        "the highest throughput within latency_limit",
        short="b",
    )
    sequence_lengths: Annotated[list[SizeOrMax], AsList] = _option(
        [8, 32, 128, 512],
        "how many tokens (audio: frames) a sample has; images have none; max is the most that fit "
        "in memory",
        short="s",
    )
    paddings: Annotated[list[Part], AsList] = _option(
        [0.0],
        "what part of the tokens of a batch is padding, with a mask of zero: 0.3 is 30 %, spread "
        "over the rows",
        also="padding",
    )
    lengths: Annotated[str | list[Any] | None, BeforeValidator(as_lengths)] = _option(
        None,
        "rows of several lengths in a batch, drawn by the seed: uniform(16,512), a list of lengths "
        "or texts, or a file of them (texts.txt, or reviews.csv:COLUMN); texts want the model's "
        "tokenizer in its folder; sequence_lengths, where given too, cut the rows",
    )
    inference: bool = _option(True, "measure one forward pass")
    training: bool = _option(
        False, "measure a training step: one forward and one backward pass, gradients freed first"
    )
    optimizer: bool = _option(False, "have a training step end with one of AdamW")
    generation: bool = _option(
        False,
        "measure how a sequence is continued: a prompt of sequence_lengths is put through, then "
        "new_tokens are made one by one, greedily; time to the first token and of each after it",
    )
    new_tokens: Annotated[list[SizeOrMax], AsList] = _option(
        [32], "how many tokens generation makes for each sequence; max is the most that fit"
    )
    caches: Annotated[list[Literal["dynamic", "static", "quantized"]], AsList] = _option(
        ["dynamic"],
        "what keeps keys and values in generation: dynamic (grows), static (all of its room from "
        "the beginning, as torch.compile likes it) or quantized (in 4 bits, by optimum-quanto or "
        "hqq)",
        also="cache",
    )
    speed: bool = _option(True, "measure time")
    memory: bool = _option(True, "measure memory")
    predict: bool | None = _option(
        None,
        "predict what each case holds, too, on tensors without memory (predicted_peak_mib); by "
        "default where all of a run's cases can be predicted in about a second",
    )
    memory_limit: MemorySize = _option(
        None,
        "the most memory that a case may hold, like 8 GB: what its process holds on the CPU, what "
        "PyTorch's allocator reserves on a GPU; what holds more is out of memory",
        metavar="SIZE",
    )
    latency_limit: Duration = _option(
        None,
        "the longest that a call may take, like 50 ms, for batch_sizes best",
        metavar="TIME",
    )
    skip_larger: bool = _option(
        True, "skip cases that are larger than one that ran out of memory, and else the same"
    )
    energy: bool = _option(
        False,
        "measure energy where the GPU's driver or the processor counts it, in some seconds of "
        "calls of their own",
    )
    ceilings: bool = _option(
        False,
        "measure, once a day, the most that the device can do (matrix products, moving bytes), and "
        "say what part of it each case reaches and what bounds it (PyTorch, eager; with memory)",
    )
    trace_memory_line_by_line: bool = _option(
        False,
        "show what each line of the model's library adds to memory, in one more call, which takes "
        "many times as long (report.lines)",
    )
    device: Device = _option(
        "auto",
        "where to run: cpu, cuda or cuda:N (NVIDIA's and AMD's GPUs, of those that "
        "CUDA_VISIBLE_DEVICES leaves), xpu or xpu:N (Intel's), mps (Apple's), or auto (a GPU where "
        "there is one); tpu is understood, and unsupported",
        short="d",
    )
    dtypes: Annotated[list[DType], AsList] = _option(
        ["float32"],
        "number format of weights and activations; auto is what the config names",
        also="dtype",
    )
    quantizations: Annotated[
        list[Literal["none", "int8", "int8-dynamic", "int4", "float8"]], AsList
    ] = _option(
        ["none"],
        "number format of the linear layers' weights: int8, int4 and float8 for the weights alone, "
        "int8-dynamic for what they are multiplied with, too (PyTorch: by torchao)",
        also="quantization",
    )
    attentions: Annotated[
        list[Literal["default", "eager", "sdpa", "flash_attention_2", "flex_attention"]], AsList
    ] = _option(
        ["default"],
        "attention implementation of the model; default is the library's own choice",
        also="attention",
    )
    model_class: Literal["auto", "architecture", "base"] = _option(
        "auto",
        "class of model: the architecture that the config names, the base model without a head, "
        "or auto: the architecture, but the base model where its head serves pretraining alone "
        "(as in BertForMaskedLM)",
    )
    modalities: Literal["auto", "text"] = _option(
        "auto",
        "what a model is given that takes more than text: auto is all that nbbench can make for it "
        "(a vision-language model gets an image in each sample), text is text alone",
    )
    inputs: Annotated[dict[str, Any], BeforeValidator(inputs_as_dict)] = _option(
        {},
        "what a model of your own code is called with: shapes by name, of numbers, batch and "
        'length, like {"x": ["batch", 3, 224, 224]}; whole numbers as {"ids": {"shape": ["batch", '
        '"length"], "below": 1000}}; as a flag in JSON',
    )
    trust_remote_code: bool = _option(
        False,
        "run the code that comes in a model's folder (auto_map in its config.json); it may do "
        "whatever you may",
    )
    precision: Fraction = _option(
        0.05,
        "half width that the 95 % interval of the time shall have, as a fraction of the time: 0.05 "
        "is ±5 %",
    )
    rounds: Annotated[int | None, Field(gt=0, le=1000), BeforeValidator(no_bool)] = _option(
        None,
        "how many visits a case gets, each in a process of its own, in rounds over all cases; by "
        "default as many as it takes; 1 gives the interval of one process alone",
    )
    baseline: Annotated[str | None, BeforeValidator(as_name)] = _option(
        None,
        "what the other cases are compared with: a value of an axis, like eager or "
        "bert-base-uncased, or first; visits then go on until each verdict is sure, or max_time",
    )
    price_per_hour: Annotated[
        float | None, Field(gt=0, le=1e9, allow_inf_nan=False), BeforeValidator(no_bool)
    ] = _option(
        None,
        "what an hour of the machine costs, in whatever money: the report then says what a million "
        "tokens and a thousand samples cost",
    )
    max_time: Seconds = _option(
        10.0,
        "the most seconds of calls of a case, precise or not (but three visits, unless what comes "
        "before their first sample takes longer alone)",
    )
    min_samples: Samples = _option(
        MIN_SAMPLES,
        "the fewest samples (timings) of a case that has one visit (3 to 1000), however long they "
        "take",
    )
    timeout: Seconds = _option(600.0, "seconds that any one phase of a case may take")
    seed: Seed = _option(0, "seed of the random weights and inputs")
    environments: Annotated[list[Name], AsList] = _option(
        ["auto"],
        "interpreters to run the frameworks in: kernel (this one), a path to a python or to a "
        "virtual environment, requirements that an environment is made from and kept, like "
        "transformers==4.57.6, the name of one that was made, or auto: kernel where it can serve "
        "the framework, else one made for it",
        short="e",
        also="environment",
    )
    executions: Annotated[
        list[Literal["default", "eager", "graph", "xla", "compile", "torchscript"]],
        AsList,
    ] = _option(
        ["default"],
        "how calls are executed: eager, graph (tf.function), xla (tf.function compiled by XLA), "
        "compile (torch.compile), torchscript (traced), or the framework's default (PyTorch: "
        "eager, TensorFlow: graph)",
        also="execution",
    )
    compile_modes: Annotated[
        list[Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"],],
        AsList,
    ] = _option(["default"], "modes of torch.compile, for executions compile", also="compile_mode")
    compile_dynamic: bool | None = _option(
        None,
        "whether torch.compile compiles for any shape (dynamic), or for each anew; by default it "
        "decides by itself",
    )
    compile_backend: Annotated[str, Field(min_length=1)] = _option(
        "inductor", "what torch.compile compiles with: inductor, or another that is registered"
    )
    eager_mode: bool = _option(False, "TensorFlow: the same as executions eager")
    use_xla: bool = _option(False, "TensorFlow: the same as executions xla")
    threads: Threads = _option(
        None,
        "threads that one operation may use on the CPU, no more than can run at a time; by default "
        "PyTorch's own choice, and the same number in the other frameworks",
    )
    parallels: Annotated[list[Literal["none", "tensor", "data"]], AsList] = _option(
        ["none"],
        "have several processes (ranks) on this machine run one model: tensor (each holds a part "
        "of the weights, by the library's own plan) or data (each trains on its part of the "
        "batch); PyTorch, on GPUs or on the CPU",
        also="parallel",
    )
    ranks: Annotated[list[Ranks], AsList] = _option(
        [2], "how many processes run one model, for parallels tensor and data"
    )
    executor: Literal["local", "ray"] = _option(
        "local", "where cases run: on this machine (local), or on the nodes of a Ray cluster (ray)"
    )
    address: Annotated[str | None, Field(min_length=1)] = _option(
        None,
        "the cluster for executor ray, as ray start prints it, or auto; by default the one that "
        "this process is connected to or RAY_ADDRESS names, else the last that was started on this "
        "machine, else a new one of this machine alone",
    )
    num_cpus: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False), BeforeValidator(no_bool)
    ] = _option(
        None,
        "processors of a node that cases have for themselves, for executor ray; by default each "
        "has a node for itself; more than any node has is an error",
    )
    num_gpus: Annotated[
        float, Field(ge=0, allow_inf_nan=False), BeforeValidator(no_bool), AfterValidator(as_gpus)
    ] = _option(0.0, "GPUs of a node that cases have for themselves, for executor ray")
    accelerator_type: Annotated[str | None, Field(min_length=1)] = _option(
        None,
        "the kind of GPU that a node shall have, as Ray names it (like A100), for executor ray",
    )
    resources: Annotated[dict[str, float], BeforeValidator(as_amounts)] = _option(
        {},
        'resources of your own that a node shall have, for executor ray, like {"fast_disk": 1}; as '
        "a flag in JSON",
    )
    isolation: Literal["auto", "fork", "process", "none"] = _option(
        "auto",
        "what a case runs in: a fork of a warm server, a fresh process, auto (fork on Linux), or "
        "none (this very process, for debugging: memory then counts all that it holds)",
    )
    history: bool = _option(
        True,
        "keep each case, as it ends, in the history of this machine (nbbench history); without, a "
        "resumed run still reads it; NBBENCH_HISTORY=off keeps none at all",
    )
    resume: bool = _option(
        False,
        "measure only what no earlier run has measured: the same case with the same code, versions "
        "and settings on this machine; what timed out or crashed is measured again; with history "
        "false the history is read and not added to",
    )
    wait: bool = _option(
        True,
        "wait while another benchmark runs on the same device, in whichever kernel or shell of "
        "yours; without, the two disturb each other, and the report says so",
    )
    idle_limit: Seconds = _option(300.0, "seconds that an unused worker stays warm")

    @classmethod
    def of(cls, models: Sequence[str], values: Mapping[str, Any]) -> BenchmarkArguments:
        """The arguments of a call whose models may be given by position."""
        return cls(**with_models(models, values))

    def __init__(self, /, **values: Any) -> None:
        values = with_plural_names(values)
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = problems_of(error, type(self).model_fields, unknown_argument)
            raise ArgumentError(next(iter(problems.values())), problems) from None

    def __getattr__(self, name: str) -> Any:
        plural = singular_names().get(name)
        return super().__getattr__(name) if plural is None else getattr(self, plural)  # type: ignore[misc]

    @field_validator("configs", mode="after")
    @classmethod
    def _configs_name_their_type(cls, configs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for number, config in enumerate(configs, 1):
            if not isinstance(config.get("model_type"), str):
                raise ValueError(
                    f"configs: number {number} has no model_type; add one, like "
                    '{"model_type": "bert", "num_hidden_layers": 2}'
                )
        return configs

    @field_validator("configs", mode="before")
    @classmethod
    def _configs_as_dicts(cls, configs: Any) -> list[dict[str, Any]]:
        return [config_as_dict(config, number) for number, config in enumerate(as_list(configs), 1)]

    @field_validator(
        "batch_sizes",
        "sequence_lengths",
        "paddings",
        "new_tokens",
        "caches",
        "compile_modes",
        "frameworks",
        "dtypes",
        "quantizations",
        "attentions",
        "environments",
        "executions",
        "parallels",
        "ranks",
    )
    @classmethod
    def _at_least_one(cls, values: list[Any], info: Any) -> list[Any]:
        if not values:
            raise ValueError(f"{info.field_name} is empty; give at least one")
        _refuse_twice(info.field_name, values)
        return values

    @model_validator(mode="after")
    def _can_be_together(self) -> BenchmarkArguments:
        _refuse_twice("models", self.models)
        problem = problem_of(self, _usual)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def searched(self) -> str:
        """The axis of which the arguments ask for the largest or the best size; "" for none."""
        return searched_axis(self)

    @property
    def longest_rows(self) -> list[int | None]:
        """What rows of several ``lengths`` are cut to: given ``sequence_lengths``, else nothing."""
        return [*self.sequence_lengths] if "sequence_lengths" in self.model_fields_set else [None]

    def modes(self) -> list[str]:
        """What to measure of each model: ``inference``, ``training``, ``generation``."""
        return [mode for mode in ("inference", "training", "generation") if getattr(self, mode)]

    def generations(self, mode: str) -> list[tuple[int | None, str]]:
        """How many tokens are made with which cache, each pair; one of neither in other modes."""
        if mode != "generation":
            return [(None, "")]
        return list(itertools.product(self.new_tokens, self.caches))

    def divisions(self) -> list[tuple[str, int]]:
        """How a model is divided among how many ranks, each pair; ("none", 1) for one process."""
        return [
            (parallel, ranks)
            for parallel in self.parallels
            for ranks in ([1] if parallel == "none" else self.ranks)
        ]

    def compilations(self, framework: str) -> list[tuple[str, str]]:
        """How calls of this framework are executed, each with its mode of torch.compile, if any."""
        return [
            (execution, mode)
            for execution in self.executions_of(framework)
            for mode in (self.compile_modes if execution == "compile" else [""])
        ]

    def executions_of(self, framework: str) -> list[str]:
        """How calls of this framework are executed, ``eager_mode`` and ``use_xla`` taken in."""
        if framework == "tensorflow" and (self.eager_mode or self.use_xla):
            return ["eager" if self.eager_mode else "xla"]
        return list(self.executions)

    def model_names(self) -> list[str]:
        """The models' names; configs without one are numbered by type: bert-1, bert-2."""
        if self.models:
            return list(self.models)
        seen: Counter[str] = Counter()
        names = []
        for config in self.configs:
            seen[config["model_type"]] += 1
            names.append(f"{config['model_type']}-{seen[config['model_type']]}")
        return names


def _usual(name: str) -> Any:
    """An argument's default."""
    return BenchmarkArguments.model_fields[name].get_default(call_default_factory=True)


def with_models(models: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name, the models with them that were given by position, as names or a list."""
    if not models:
        return dict(values)
    if "models" in values:
        raise ArgumentError("models are given by position and by name; keep one")
    names = models[0] if len(models) == 1 else list(models)
    return {"models": names, **values}


def singular_names() -> dict[str, str]:
    """The arguments that may be named in the singular, too: by that name the plural one."""
    return {
        str(field.json_schema_extra["also"]): name
        for name, field in BenchmarkArguments.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and "also" in field.json_schema_extra
    }


def with_plural_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the arguments' own names; raises `ArgumentError` where one is given by both."""
    singular = singular_names()
    for name in values:
        if name in singular and singular[name] in values:
            raise ArgumentError(f"{name} and {singular[name]} are the same; keep one")
    return {singular.get(name, name): value for name, value in values.items()}


def unknown_argument(name: str) -> str:
    """The sentence for an argument that does not exist, with the nearest that does."""
    known = [*BenchmarkArguments.model_fields, *singular_names()]
    return f"there is no argument {quoted(name)}{did_you_mean(name, known)}"


def _refuse_twice(name: str, values: Sequence[Any]) -> None:
    first: dict[Any, int] = {}
    for number, value in enumerate(values, 1):
        earlier = first.setdefault(value, number)
        if earlier != number:
            raise ValueError(
                f"{name} has {quoted(value)} twice (numbers {earlier} and {number}); keep one"
            )
