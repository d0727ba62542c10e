"""Statistics are computed by small workflows that have nothing to do with each other."""

import pytest

from ketbids.interfaces.statistics import RunStatistic, SaveStatistic
from ketbids.stats.clinical.specs import CountStatistic, to_dict
from ketbids.workflows.statistics import StatisticPlan, init_statistics_wf, statistic_wf_name
from tests.workflows.studies import settings
from tests.workflows.test_graphs import check, expand, fed_inputs, hashes


def statistic(name='remission', condition='hdrs_TP3 <= 7'):
    return to_dict(CountStatistic(name, conditions={'remission': condition}))


@pytest.fixture
def graph(tmp_path):
    def make(*plans):
        plans = [
            StatisticPlan(name, statistic(name, *more), tmp_path, stamp, {'Name': name})
            for name, stamp, *more in plans
        ]
        return expand(init_statistics_wf(settings(tmp_path, 'group'), plans))

    return make


def test_one_workflow_each(graph, tmp_path):
    made, nodes = graph(('remission', 'a'), ('response', 'b'))
    check(made)
    assert sorted(nodes) == [
        f'statistics_wf.statistic_{name}_wf.{node}'
        for name in ('remission', 'response')
        for node in ('compute', 'ds_statistic')
    ]
    for name, stamp in (('remission', 'a'), ('response', 'b')):
        start = f'statistics_wf.{statistic_wf_name(name)}'
        compute, save = nodes[f'{start}.compute'], nodes[f'{start}.ds_statistic']
        assert type(compute.interface) is RunStatistic
        assert type(save.interface) is SaveStatistic
        assert compute.inputs.statistic == statistic(name)
        assert (compute.inputs.stamp, compute.inputs.data_dir) == (stamp, str(tmp_path))
        assert (save.inputs.name, save.inputs.metadata) == (name, {'Name': name})
        assert save.inputs.base_directory == str(tmp_path / 'out')
        fed = {field: source.fullname for field, (source, _) in fed_inputs(made, save).items()}
        assert fed == dict.fromkeys(('tables', 'summary'), compute.fullname)


@pytest.mark.parametrize('change', [('remission', 'b'), ('remission', 'a', 'hdrs_TP3 < 7')])
def test_it_runs_again_if_its_data_or_words_change(graph, change):
    name = 'statistics_wf.statistic_remission_wf.compute'
    first, again, other = (
        hashes(graph(plan)[0])[name] for plan in (('remission', 'a'), ('remission', 'a'), change)
    )
    assert first == again
    assert other != first


def test_nothing_to_do(graph):
    made, nodes = graph()
    assert (len(made), nodes) == (0, {})
