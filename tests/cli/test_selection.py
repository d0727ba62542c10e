"""Exclusions of runs that were already fitted."""

import pytest

from ketbids.cli.selection import with_runs_in_maps, with_sessions_without_runs
from ketbids.io.bids import Exclusion
from ketbids.io.files import write_json
from tests.io.trees import touch
from tests.workflows.studies import settings

STEM = 'sub-{}_ses-TP1_task-carit_space-fsLR_den-91k_contrast-nogoVsGo_stat-effect_statmap'


@pytest.fixture
def maps(tmp_path):
    """Maps of two participants, each of the runs 1 and 2."""
    for label in ('01', '02'):
        path = tmp_path / f'out/sub-{label}/ses-TP1/func/{STEM.format(label)}.dscalar.nii'
        touch(path)
        runs = [
            f'bids:raw:sub-{label}/ses-TP1/func/sub-{label}_ses-TP1_task-carit_run-{run}'
            for run in ('1', '2')
        ]
        sources = [f'{run}{end}' for run in runs for end in ('_events.tsv', '_bold.dtseries.nii')]
        write_json(path.with_name(f'{STEM.format(label)}.json'), {'Sources': sources})
    return settings(tmp_path, 'group')


@pytest.mark.parametrize(('session', 'run'), [('TP1', '2'), ('', '02')])
def test_a_session_fitted_with_an_excluded_run_is_excluded(maps, session, run):
    lines = [Exclusion('01', session, run, 'noise')]
    found = with_runs_in_maps(maps, lines, ['carit'])
    assert found[:1] == lines
    (added,) = found[1:]
    assert (added.participant, added.session, added.run) == ('01', 'TP1', '')
    assert added.reason.startswith('noise (run ')
    assert 'repeat the participant level' in added.reason


@pytest.mark.parametrize(
    'line',
    [
        Exclusion('01', 'TP1', '3', 'of a run that the maps are not made of'),
        Exclusion('01', 'TP2', '1', 'of another session'),
        Exclusion('03', 'TP1', '1', 'of somebody without maps'),
        Exclusion('01', 'TP1', '', 'of the session'),
    ],
)
def test_other_lines_add_nothing(maps, line):
    assert with_runs_in_maps(maps, [line], ['carit']) == [line]


@pytest.fixture
def raw(tmp_path):
    """Two sessions of two runs each, one of them without events."""
    for when in ('TP1', 'TP2'):
        for name in ('run-1_events.tsv', 'run-02_bold.nii.gz'):
            stem = f'bids/sub-01/ses-{when}/func/sub-01_ses-{when}_task-carit'
            touch(tmp_path / f'{stem}_{name}')
    return settings(tmp_path, 'group')


def test_a_session_of_which_every_run_is_excluded_is_excluded(raw):
    lines = [
        Exclusion('01', 'TP1', '1', 'noise'),
        Exclusion('01', 'TP1', '2', 'slept'),
        Exclusion('01', 'TP2', '1', 'noise'),
    ]
    found = with_sessions_without_runs(raw, lines, ['carit'])
    assert found == [*lines, Exclusion('01', 'TP1', '', 'noise; slept')]
    assert with_sessions_without_runs(raw, found, ['carit']) == found


def test_a_session_that_is_excluded_already_has_no_other_line(raw):
    lines = [Exclusion('01', '', '1', 'a'), Exclusion('01', '', '2', 'a')]
    found = with_sessions_without_runs(raw, [*lines, Exclusion('01', 'TP1', '', 'b')], ['carit'])
    assert found[3:] == [Exclusion('01', 'TP2', '', 'a')]
    whole = [Exclusion('01', '', '', 'moved')]
    assert with_sessions_without_runs(raw, whole, ['carit']) == whole
