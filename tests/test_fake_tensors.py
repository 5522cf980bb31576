"""What a count of tensors sees, and which numbers are known of tensors that have none."""

from __future__ import annotations

import gc

import pytest

torch = pytest.importorskip("torch")

from nbbench.worker.backends.known_values import TooLarge, fake_tensors  # noqa: E402
from nbbench.worker.backends.live_tensors import LiveTensors  # noqa: E402
from nbbench.worker.backends.torch_flops import flops_of  # noqa: E402

MASK = [True, False, True]


def counted(act, held=(), block=1):
    """The live tensors of one call."""
    live = LiveTensors(torch, held, block)
    with live.counting():
        act()
    return live


def test_a_view_is_no_more_than_what_it_is_of():
    tensor = torch.ones(1000)
    live = counted(lambda: tensor.view(10, 100).t()[2:], [tensor])
    assert live.count().peak == 4000
    assert live.count().operations == 0


def test_views_that_their_schemas_do_not_call_so_do_nothing_either():
    tensor, weights = torch.ones(4, 5, 100), torch.ones(100, 10)
    product = counted(lambda: torch.matmul(tensor, weights), [tensor, weights]).count()
    assert product.operations == 1
    assert product.moved == 4 * (4 * 5 * 100 + 100 * 10 + 4 * 5 * 10)
    assert counted(lambda: tensor.unsafe_split(2), [tensor]).count().operations == 0
    assert counted(lambda: tensor.unsafe_split_with_sizes([1, 3])).count().moved == 0


def test_what_is_written_in_place_needs_nothing_more():
    tensor = torch.ones(1000)
    assert counted(lambda: tensor.add_(1).mul_(2), [tensor]).count().peak == 4000


def test_storages_that_are_shared_count_once():
    tensor = torch.ones(1000)
    live = LiveTensors(torch, [tensor, tensor.view(10, 100), tensor[5:]])
    assert live.peak().bytes == 4000


def test_a_tensor_that_was_freed_is_gone():
    def act():
        for _ in range(5):
            made = torch.empty(1000)
            del made

    assert counted(act).count().peak == 4000


def test_a_tensor_that_was_there_before_may_go():
    held = [torch.ones(1000)]

    def act():
        held.clear()
        return torch.empty(500)

    assert counted(act, held).count().peak == 4000


def test_sizes_are_rounded_to_the_allocators_blocks():
    assert counted(lambda: torch.empty(1), [torch.empty(129)], block=512).count().peak == 1536


def test_what_an_operation_is_made_of_is_seen_under_inference_mode():
    left, weight, bias = torch.ones(8, 64), torch.ones(64, 64), torch.ones(64)

    def act():
        with torch.inference_mode():
            torch.nn.functional.linear(left, weight, bias)

    count = counted(act, [left, weight, bias]).count()
    assert count.flops == 2 * 8 * 64 * 64
    assert count.read == 4 * (left.numel() + weight.numel() + bias.numel())


def test_the_peak_names_its_phase_and_its_operation():
    live = LiveTensors(torch, [])
    with live.counting():
        live.phase = "small"
        torch.zeros(10)
        live.phase = "large"
        torch.ones(1000)
    assert (live.peak().phase, live.peak().operation) == ("large", "ones")


def test_attention_counts_heads_that_share_keys():
    query, key = torch.ones(1, 8, 4, 16), torch.ones(1, 2, 4, 16)
    operation = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    shared = flops_of(operation, (query, key, key), {}, None)
    assert shared == flops_of(operation, (query, query, query), {}, None) > 0


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_off_meanwhile_and_as_before_after(was_on):
    (gc.enable if was_on else gc.disable)()
    try:
        seen = []
        counted(lambda: seen.append(gc.isenabled()))
        assert (seen, gc.isenabled()) == ([False], was_on)
    finally:
        gc.enable()


def test_a_counted_call_may_fail_and_leaves_nothing_behind():
    def fail():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        counted(fail)
    assert counted(lambda: torch.empty(10)).count().peak == 40


def test_numbers_that_follow_from_what_is_made_are_known():
    with fake_tensors(torch):
        mask = torch.tensor(MASK)
        assert mask.sum().item() == 2
        assert not mask.all()
        assert mask.nonzero().shape == (2, 1)
        assert (torch.arange(6) % 3).tolist() == [0, 1, 2, 0, 1, 2]


def test_known_numbers_leave_the_framework():
    with fake_tensors(torch):
        made = torch.arange(3).numpy()
    assert (str(made.dtype), made.tolist()) == ("int64", [0, 1, 2])


def test_numbers_that_were_drawn_of_real_ones_are_not():
    from torch._subclasses.fake_tensor import DataDependentOutputException

    with fake_tensors(torch), pytest.raises(DataDependentOutputException):
        torch.empty(3).sum().item()


def test_a_known_mask_selects_from_what_is_not_known():
    with fake_tensors(torch):
        values, mask = torch.empty(3, 4), torch.tensor(MASK)
        assert values[mask].shape == (2, 4)
        assert values[mask, 1:].shape == (2, 3)
        assert values.masked_select(mask[:, None]).shape == (8,)


@pytest.mark.parametrize("kept", ["base", "view"])
def test_what_is_written_over_is_known_no_more(kept):
    from torch._subclasses.fake_tensor import DataDependentOutputException

    with fake_tensors(torch):
        base = torch.zeros(4, 4)
        view = base[:2]
        written, asked = (view, base) if kept == "base" else (base, view)
        assert asked.sum().item() == 0
        written.copy_(torch.empty(written.shape))
        with pytest.raises(DataDependentOutputException):
            asked.sum().item()


def test_known_numbers_that_are_written_are_known_in_every_view():
    with fake_tensors(torch):
        base = torch.zeros(4, 4)
        base[:2].fill_(3)
        assert base.sum().item() == 24


def test_a_mask_of_any_size_is_known_that_is_the_same_all_over():
    with fake_tensors(torch):
        mask = torch.ones(10**6, 10**6, dtype=torch.long)
        assert (mask[:, None, :].expand(-1, 2, -1) == 1).all()
        assert not (mask.bool() & torch.zeros_like(mask, dtype=torch.bool)).any()
        assert (1 - mask).sum() == 0
        assert mask.sum().item() == 10**12


def test_a_mask_of_images_is_known_that_is_made_smaller():
    with fake_tensors(torch):
        mask = torch.ones(64, 224, 224, dtype=torch.long).float()
        assert torch.nn.functional.interpolate(mask[None], size=(7, 7)).to(torch.bool).all()


def test_a_large_mask_that_was_written_into_is_too_large_to_follow():
    with fake_tensors(torch):
        mask = torch.ones(10**6, 10**6, dtype=torch.long)
        mask[:, 0] = 0
        with pytest.raises(TooLarge, match="1,000,000,000,000"):
            mask.all().item()


def test_few_numbers_are_never_called_too_many():
    from torch._subclasses.fake_tensor import DataDependentOutputException

    with fake_tensors(torch):
        mask = torch.ones(1, dtype=torch.long).expand(8)
        mask.copy_(torch.zeros(8, dtype=torch.long))
        with pytest.raises(DataDependentOutputException):
            mask.sum().item()


def test_numbers_that_are_too_many_are_counted_in_the_message():
    with fake_tensors(torch), pytest.raises(TooLarge, match="100,000,000"):
        (torch.arange(10**8) > 5).all().item()


def test_choices_by_unknown_numbers_are_spread_evenly_where_that_is_asked_for():
    with fake_tensors(torch, spread=True):
        chosen = torch.topk(torch.empty(6, 4), 2).indices
        assert chosen.tolist() == [[0, 1], [2, 3]] * 3
        assert torch.empty(6, 4).argmax(dim=-1).tolist() == [0, 1, 2, 3, 0, 1]
        assert torch.topk(torch.empty(4, 6), 2, dim=0).indices.shape == (2, 6)


def test_nothing_is_fake_after_a_failure():
    with pytest.raises(ValueError, match="mine"), fake_tensors(torch):
        raise ValueError("mine")
    assert torch.ones(2).sum().item() == 2
