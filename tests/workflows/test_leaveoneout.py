"""The analysis without each participant is built on request, and only then."""

import pytest

from ketbids.interfaces.leaveoneout import SHUFFLES, LeaveOneOut
from tests.workflows.studies import plan
from tests.workflows.test_graphs import check, fed_inputs, group

START = 'group_wf.hcVsTrd_nogoVsGo_wf'
NAME = f'{START}.test_wf.leave_one_out_wf.leave_out'


@pytest.mark.parametrize('engine', ['native', 'palm'])
def test_it_has_the_options_of_the_analysis(tmp_path, engine):
    one = plan(tmp_path, 'hcVsTrd', scheme='permutations', minimum_size=20.0)
    graph, nodes = group(
        tmp_path, [one], leave_one_out=True, engine=engine, seed=7, tails='each', tfce='100'
    )
    check(graph)
    found, whole = nodes[NAME], nodes[f'{START}.test_wf.shuffle']
    assert type(found.interface) is LeaveOneOut
    assert found.inputs.n_shuffles == SHUFFLES
    for field in ('design_file', 'predictors', 'weights', 'scheme', 'seed', 'tails', 'tfce'):
        assert getattr(found.inputs, field) == getattr(whole.inputs, field)
    assert found.inputs.minimum_size == 20.0
    assert found.inputs.selected_by == 'hcVsTrd'
    fed = fed_inputs(graph, found)
    assert {name: source.name for name, (source, _) in fed.items()} == {
        **dict.fromkeys(('significance', 'summary', 'extent'), 'shuffle'),
        **dict.fromkeys(('desikan_killiany', 'yeo7'), 'atlas'),
        'areas_file': 'areas',
    }
    table = nodes[f'{START}.ds_analysis_wf.ds_loo']
    assert table.inputs.suffix == 'loo'
    assert set(table.inputs.meta_dict) >= {'participant_id', 'region', 'value'}


def test_given_atlases_reach_it(tmp_path):
    one = plan(tmp_path, 'hcVsTrd', atlas='own', atlas_names=('own',))
    graph, nodes = group(tmp_path, [one], atlases=('own',), leave_one_out=True)
    assert nodes[NAME].inputs.atlas_names == ['own']
    assert 'atlas_files' in fed_inputs(graph, nodes[NAME])


def test_it_is_not_made_by_default_and_changes_nothing_else(tmp_path):
    one = plan(tmp_path, 'hcVsTrd')
    _, without = group(tmp_path, [one])
    _, with_it = group(tmp_path, [one], leave_one_out=True)
    assert not any('leave' in name or name.endswith('_loo') for name in without)
    assert set(with_it) - set(without) == {NAME, f'{START}.ds_analysis_wf.ds_loo'}
