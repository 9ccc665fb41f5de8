import subprocess
import sys
from dataclasses import replace

import pytest

from modernbert.core.config import read
from modernbert.core.quantities import Tokens
from modernbert.model.config import SIZES
from modernbert.model.counts import num_parameters
from modernbert.train.config import Batch, Recipe
from modernbert.train.plan import has_data, num_steps, plan
from modernbert.train.recipes import read_recipe

STAGE = {"tokens": "1M", "batch": {"size": 8192}}


def _plan(**settings):
    return plan(read(Recipe, {"model": "tiny", "stages": {"pretrain": STAGE}}, settings))


def _warned(words, **settings):
    return any(words in warning for warning in _plan(**settings).warnings)


@pytest.mark.parametrize(
    ("size", "start", "over", "tokens"), [(64, 8, 9000, 20_000), (64, 8, 9000, 4000), (50, 50, 700, 900)]
)
def test_steps_are_those_of_a_batch_that_grows_step_by_step(size, start, over, tokens):
    read_so_far, steps = 0.0, 0
    while read_so_far < tokens:
        steps += 1
        share = min(1.0, read_so_far / over)
        read_so_far += (start**2 + share * (size**2 - start**2)) ** 0.5
    assert num_steps(Batch(size=Tokens(size), start=Tokens(start), over=Tokens(over)), tokens) == pytest.approx(
        steps, abs=2
    )


def test_steps_of_a_constant_batch():
    assert num_steps(Batch(size=Tokens(100)), 1000) == 10
    assert num_steps(Batch(size=Tokens(100)), 3) == 1


@pytest.mark.parametrize(("name", "last_step"), [("base", 52_988), ("large", 49_552)])
def test_steps_of_the_context_stage_are_those_of_the_published_checkpoints(name, last_step):
    """Their files are named after these batches; rows are not quite full, so there were a few more."""
    context = plan(read_recipe([name])).stages[-2]
    assert context.steps == pytest.approx(last_step, rel=3e-4)


def test_what_a_stage_does_not_say_comes_from_the_optimizer_and_the_stage_before():
    planned = plan(read_recipe(["base", "ettin-decay"]))
    pretrain, context, decay = planned.stages
    assert (pretrain.lr, pretrain.last_lr) == (8e-4, 8e-4)
    assert (context.lr, context.last_lr, decay.lr, decay.last_lr) == (8e-4, 4e-4, 4e-4, pytest.approx(1.6e-5))
    assert [stage.global_rope_theta for stage in planned.stages] == [10_000, 160_000, 160_000]
    assert [stage.local_rope_theta for stage in planned.stages] == [10_000, 10_000, 160_000]
    assert [stage.mask_rate for stage in planned.stages] == [0.3, 0.3, 0.15]
    assert {stage.weight_decay for stage in planned.stages} == {1e-5}


def test_totals_are_sums():
    planned = plan(read_recipe(["large"]))
    assert planned.tokens == 2_019e9
    assert planned.steps == sum(stage.steps for stage in planned.stages)
    assert planned.h100_hours == pytest.approx(8 * (420.4 + 75.1 + 15.3), rel=1e-3)
    assert planned.num_parameters == num_parameters(SIZES["large"])
    assert planned.state_bytes == 16 * planned.num_parameters


def test_masking_that_moves_is_costed_at_its_mean():
    def hours(masking):
        return _plan(stages={"pretrain": {"masking": masking}}).h100_hours

    assert hours({"rate": 0.3, "final_rate": 0.1}) == pytest.approx(hours({"rate": 0.2}))
    assert hours({"rate": 0.3}) > hours({"rate": 0.2})


def test_a_recipe_with_data_and_a_decay_has_no_warnings(tmp_path):
    data = {"sources": {"web": {"path": str(tmp_path)}}, "held_out": {"web": str(tmp_path)}}
    assert _plan(data=data, stages={"pretrain": {"schedule": {"decay": "200K"}}}).warnings == ()


def test_missing_data_is_said_with_the_flag_that_gives_it(tmp_path):
    assert _warned("no text for pretrain: give token shards with --data.sources.NAME.path=FOLDER")
    assert _warned("no held-out text")
    assert _warned("data.sources.web: nowhere is not there", data={"sources": {"web": {"path": "nowhere"}}})
    assert _warned("data.held_out.web: nowhere is not there", data={"held_out": {"web": "nowhere"}})
    assert _warned(
        "stages.pretrain.sources.web: nowhere is not there",
        stages={"pretrain": {"sources": {"web": {"path": "nowhere"}}}},
    )
    own = {"pretrain": {"sources": {"web": {"path": str(tmp_path)}}}}
    assert not _warned("no text for", stages=own)
    assert not _warned("is not there", stages=own)


def test_a_recipe_has_data_when_every_stage_has_folders_that_are_there(tmp_path):
    here, nowhere = ({"web": {"path": str(path)}} for path in (tmp_path, tmp_path / "nowhere"))
    stages = {"pretrain": STAGE, "decay": STAGE}
    own = {"pretrain": STAGE | {"sources": here}, "decay": STAGE}

    def has(**settings):
        return has_data(read(Recipe, {"model": "tiny", "stages": stages}, settings))

    assert has(data={"sources": here})
    assert not has(data={"sources": nowhere})
    assert not has(stages=own)
    assert has(stages=own | {"decay": STAGE | {"sources": here}})
    assert not has(data={"sources": here, "held_out": {"web": str(tmp_path / "nowhere")}})


def test_the_vocabulary_of_the_shards_counts():
    recipe = read_recipe(["tiny"])
    small, usual = plan(recipe, vocab_size=2048), plan(recipe)
    assert small.num_parameters == num_parameters(replace(SIZES["tiny"], vocab_size=2048, pad_token_id=None))
    assert small.num_parameters < usual.num_parameters
    assert small.stages[0].cost.flops < usual.stages[0].cost.flops


def test_a_start_that_is_not_there_is_said():
    assert _warned("start.path: runs/x/model is not there", start={"kind": "grow", "path": "runs/x/model"})
    assert not _warned("start.path", start={"kind": "continue", "path": "answerdotai/ModernBERT-base"})


def test_settings_that_rarely_can_be_meant_are_said():
    long = {"rows": {"length": 8192}, "global_rope_theta": 10_000}
    assert _warned("global_rope_theta is 10,000 for 8,192 tokens", stages={"pretrain": long})
    assert _warned("less than a row (8,192)", stages={"pretrain": {"batch": {"size": 4096}}})
    assert _warned("vocab_size 1,000 is not a multiple of 64", model={"vocab_size": 1000, "pad_token_id": None})
    assert _warned("ends at its peak learning rate")


def test_a_jump_of_the_learning_rate_is_said_unless_it_is_warmed_up():
    after = STAGE | {"lr": 1e-3, "schedule": {"decay": "all"}}
    first = STAGE | {"lr": 1e-4}
    assert _warned("jumps from 1.0e-04 to 1.0e-03", stages={"pretrain": first, "again": after})
    warm = after | {"schedule": {"warmup": "100K", "decay": "all"}}
    assert not _warned("jumps", stages={"pretrain": first, "again": warm})


def test_no_torch_is_needed():
    code = "from modernbert.train import plan, recipes; plan.plan(recipes.read_recipe(['base'])); import sys; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
