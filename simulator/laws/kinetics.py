"""Kinetics (arXiv 2506.05333): the cost of generating tokens as FLOP plus intensity x bytes of KV cache read.

    compute = n (2 P T + 4 S H D)        S = sum over t < T of the keys attended: C + T/2 each, dense
    bytes   = 4 S' K D                   S' counts the prompt once for all n trials
    eFLOP   = compute + intensity x bytes

P parameters, D = head extent x layers, H query heads, K KV heads, 2 bytes an element. Reading the weights is left out:
the paper takes the batch to be large. Sums over t are integrals, T^2/2, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

from einsum_cascades.diagnostics import Problem, SpecError
from simulator.transformer import Model

__all__ = [
    "INTENSITY_DENSE_BF16",
    "INTENSITY_PAPER",
    "Generation",
    "TokenCost",
    "affordable_tokens",
    "block_topk_cost",
    "break_even_context",
    "dense_cost",
    "topk_cost",
]

# FLOP for each byte. The paper pairs 4.5 PFLOP/s of a B200, its sparse bf16 or dense fp8 rate, with 8 TB/s; the dense
# rate of the bf16 numbers whose bytes are counted is half of that.
INTENSITY_PAPER = 4.5e15 / 8e12
INTENSITY_DENSE_BF16 = 2.25e15 / 8e12


@dataclass(frozen=True, slots=True)
class Generation:
    """One problem: `trials` answers of `generated` tokens each to a prompt of `prompt` tokens."""

    prompt: int
    generated: int
    trials: int = 1

    def __post_init__(self) -> None:
        problems = [
            Problem(f"{name} is {value}, but is at least {least}")
            for name, value, least in (
                ("prompt", self.prompt, 0),
                ("generated", self.generated, 1),
                ("trials", self.trials, 1),
            )
            if value < least
        ]
        if problems:
            raise SpecError(problems)


@dataclass(frozen=True, slots=True)
class TokenCost:
    """FLOP of the linear layers, FLOP of attention, and bytes of KV cache read."""

    linear_flop: float
    attention_flop: float
    kv_bytes: float

    def eflop(self, intensity: float = INTENSITY_PAPER) -> float:
        """Return FLOP + intensity x bytes; the default is the paper's 562.5 FLOP a byte."""
        return self.linear_flop + self.attention_flop + intensity * self.kv_bytes

    def attention_share(self, intensity: float = INTENSITY_PAPER) -> float:
        """Return the share of attention, its reads included, in the whole."""
        return 1 - self.linear_flop / self.eflop(intensity)


def _cost(model: Model, parameters: float, task: Generation, attended: float, read: float) -> TokenCost:
    """Return the cost of a task whose tokens attend to `attended` keys in all, of which `read` come from memory."""
    wide = model.head_dim * model.layers
    return TokenCost(
        task.trials * 2 * parameters * task.generated,
        4 * attended * model.heads * wide,
        4 * read * model.kv_heads * wide,
    )


def dense_cost(model: Model, parameters: float, task: Generation) -> TokenCost:
    """Return the cost of dense attention; the KV cache of the prompt is read once for all trials.

    >>> from simulator.library import load_model
    >>> cost = dense_cost(load_model("qwen3_8b"), 8.19e9, Generation(256, 8192))
    >>> round(cost.attention_share(), 3)
    0.957
    """
    c, t, n = task.prompt, task.generated, task.trials
    return _cost(model, parameters, task, n * (2 * c + t) * t / 2, (2 * c + n * t) * t / 2)


def topk_cost(model: Model, parameters: float, task: Generation, budget: int, *, sign_slip: bool = False) -> TokenCost:
    """Return the cost where a token attends to its `budget` best keys, or to all while there are fewer.

    Every trial reads its own keys. `sign_slip` repeats the published code, which adds the keys that early tokens lack
    where it should subtract them (its function for blocks has the right sign).

    >>> from simulator.library import load_model
    >>> model, task = load_model("qwen3_8b"), Generation(256, 16384)
    >>> round(dense_cost(model, 8.19e9, task).eflop() / topk_cost(model, 8.19e9, task, 1024).eflop(), 1)
    7.2
    """
    keys = task.trials * _topk_keys(task, budget, sign_slip)
    return _cost(model, parameters, task, keys, keys)


def _topk_keys(task: Generation, budget: int, sign_slip: bool) -> float:
    """Return the integral over t < T of min(budget, C + t)."""
    if budget < 1:
        raise SpecError(f"a budget of {budget} keys: at least 1 is attended to")
    short = min(max(0, budget - task.prompt), task.generated)
    lacking = short * (budget - task.prompt) - short**2 / 2
    return budget * task.generated + (lacking if sign_slip else -lacking)


def block_topk_cost(model: Model, parameters: float, task: Generation, budget: int, block: int) -> TokenCost:
    """Return the cost of top-k over blocks of keys: as `topk_cost`, and a search over one key for each block.

    The search reads and multiplies the average key of every block, of which there are those of the context as a whole.

    >>> from simulator.library import load_model
    >>> model, task = load_model("qwen3_8b"), Generation(256, 16384)
    >>> search = block_topk_cost(model, 8.19e9, task, 1024, 16).eflop() / topk_cost(model, 8.19e9, task, 1024).eflop()
    >>> round(search, 2)
    1.22
    """
    if block < 1:
        raise SpecError(f"a block of {block} keys: at least 1")
    found = topk_cost(model, parameters, task, budget)
    c, t, n = task.prompt, task.generated, task.trials
    wide = model.head_dim * model.layers
    return TokenCost(
        found.linear_flop,
        found.attention_flop + n * ((2 * c + t) // block) * t * model.heads * wide,
        found.kv_bytes + ((2 * c + n * t) // block) * t * model.kv_heads * wide,
    )


def break_even_context(model: Model, parameters: float, intensity: float = INTENSITY_PAPER) -> float:
    """Return the context at which attention to one more token costs as much as its linear layers.

    >>> from simulator.library import load_model
    >>> model = load_model("qwen3_8b")
    >>> [round(break_even_context(model, 8.19e9, i)) for i in (INTENSITY_PAPER, INTENSITY_DENSE_BF16)]
    [196, 389]
    """
    return 2 * parameters / (4 * model.head_dim * model.layers * (model.heads + model.kv_heads * intensity))


def affordable_tokens(
    model: Model, parameters: float, prompt: int, eflop: float, intensity: float = INTENSITY_PAPER
) -> int:
    """Return the most tokens that dense attention generates for so many eFLOP; 0 where one is too many.

    >>> from simulator.library import load_model
    >>> affordable_tokens(load_model("qwen3_8b"), 8.19e9, 256, 4500e12)
    9937
    """
    low, high = 0, 1
    while dense_cost(model, parameters, Generation(prompt, high)).eflop(intensity) <= eflop:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        within = dense_cost(model, parameters, Generation(prompt, middle)).eflop(intensity) <= eflop
        low, high = (middle, high) if within else (low, middle)
    return low
