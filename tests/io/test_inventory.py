"""What there is to do, and the maps that were made."""

import re
from pathlib import Path

import pytest

from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, RunKey
from ketbids.io.inventory import bids_uri, find_maps, find_visits, link_name, visit_surfaces
from tests.io.test_hcp import make_run, make_surfaces, touch

EVENTS = {
    RunKey('02', 'TP1', 'carit'): Path('e3'),
    RunKey('01', 'TP1', 'carit', '2'): Path('e2'),
    RunKey('01', 'TP1', 'carit', '1'): Path('e1'),
}


@pytest.fixture
def derivatives(tmp_path):
    for session in ('sub-01_ses-TP1', 'sub-02_ses-TP1'):
        make_surfaces(tmp_path, session)
    make_run(tmp_path, 'task-carit_run-1')
    make_run(tmp_path, 'task-carit_run-2')
    make_run(tmp_path, 'task-carit', session='sub-02_ses-TP1')
    return [tmp_path]


def test_visits(derivatives):
    visits, left_out, errors = find_visits(EVENTS, derivatives, [])
    assert [v.name for v in visits] == ['sub-01_ses-TP1_task-carit', 'sub-02_ses-TP1_task-carit']
    assert [[run.events.name for run in v.runs] for v in visits] == [['e1', 'e2'], ['e3']]
    assert (left_out, errors) == ([], {})
    run = visits[0].runs[0]
    assert set(run.files) == {
        run.events,
        run.preprocessed.series,
        run.preprocessed.confounds,
        *run.preprocessed.anatomy.files,
    }


def test_excluded_runs_are_reported(derivatives):
    visits, left_out, errors = find_visits(
        EVENTS, derivatives, [Exclusion('01', 'TP1', '2', 'motion'), Exclusion('02', '', '', 'x')]
    )
    assert [v.name for v in visits] == ['sub-01_ses-TP1_task-carit']
    assert [run.key.run for run in visits[0].runs] == ['1']
    assert left_out == [
        'sub-01_ses-TP1_task-carit_run-2 is excluded: motion',
        'sub-02_ses-TP1_task-carit is excluded: x',
    ]
    assert errors == {}


def test_a_run_without_data_takes_its_visit_out_and_no_other(derivatives):
    for path in derivatives[0].glob('sub-01*/MNINonLinear/Results/task-carit_run-2/*'):
        path.unlink()
    visits, _, errors = find_visits(EVENTS, derivatives, [])
    assert [v.name for v in visits] == ['sub-02_ses-TP1_task-carit']
    assert list(errors) == ['sub-01_ses-TP1_task-carit']
    assert 'sub-01_ses-TP1_task-carit_run-2' in str(errors['sub-01_ses-TP1_task-carit'])


def test_one_error_per_visit(tmp_path):
    visits, _, errors = find_visits(EVENTS, [tmp_path], [])
    assert visits == []
    assert len(errors) == 2


def test_uris(tmp_path):
    roots = {'': tmp_path / 'out', 'raw': tmp_path / 'bids', 'deriv0': tmp_path}
    for path, uri in {
        'out/sub-01/x.nii': 'bids::sub-01/x.nii',
        'bids/sub-01/y.tsv': 'bids:raw:sub-01/y.tsv',
        'outside/z': 'bids:deriv0:outside/z',
    }.items():
        assert bids_uri(tmp_path / path, roots) == uri
    assert bids_uri(Path('/elsewhere/a b'), roots) == 'file:///elsewhere/a%20b'


MAP = 'space-fsLR_den-91k_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii'


def test_maps_of_visits(tmp_path):
    names = {
        f'sub-02/ses-TP1/func/sub-02_ses-TP1_task-carit_{MAP}': ('02', 'TP1'),
        f'sub-01/ses-TP2/func/sub-01_ses-TP2_task-carit_{MAP}': ('01', 'TP2'),
        f'sub-03/func/sub-03_task-carit_{MAP}': ('03', ''),
    }
    others = [
        f'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_run-1_{MAP}',
        f'sub-01/ses-TP1/func/sub-01_ses-TP1_task-rest_{MAP}',
        f'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_{MAP}'.replace('effect', 'z'),
        f'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_{MAP}'.replace('.dscalar.nii', '.json'),
        f'sub-01/ses-TP1/func/.1a2b_sub-01_ses-TP1_task-carit_{MAP}',
        f'sub-01/figures/sub-01_ses-TP1_task-carit_{MAP}',
        f'group/sub-01_ses-TP1_task-carit_{MAP}',
    ]
    for name in (*names, *others):
        touch(tmp_path / name)
    maps = find_maps(tmp_path, ['carit'])
    assert dict(zip(maps['path'], maps['participant_id'], strict=True)) == {
        path: who for path, (who, _) in names.items()
    }
    assert maps['participant_id'].tolist() == ['01', '02', '03']
    assert maps['session_id'].tolist() == ['TP2', 'TP1', '']
    assert set(maps['density']) == {'91k'}
    assert set(maps['contrast']) == {'nogoVsGo'}
    assert set(maps['task']) == {'carit'}


def test_no_maps(tmp_path):
    maps = find_maps(tmp_path, ['carit'])
    assert len(maps) == 0
    assert {'participant_id', 'session_id', 'density', 'contrast', 'path'} <= set(maps.columns)


def make_anatomy(root, session='ses-TP1'):
    folder = root.joinpath('sub-01', session, 'anat')
    stem = 'sub-01' + (f'_{session}' if session else '')
    for hemi in 'LR':
        for kind in ('midthickness', 'inflated'):
            touch(folder / f'{stem}_hemi-{hemi}_space-fsLR_den-91k_{kind}.surf.gii')
    return folder, stem


@pytest.mark.parametrize('session', ['TP1', ''])
def test_surfaces_of_a_visit(tmp_path, session):
    folder, stem = make_anatomy(tmp_path, f'ses-{session}' if session else '')
    found = visit_surfaces(tmp_path, '01', session)
    assert {key: path.name for key, path in found.items()} == {
        f'{hemi}_{kind}': f'{stem}_hemi-{hemi}_space-fsLR_den-91k_{kind}.surf.gii'
        for hemi in 'LR'
        for kind in ('midthickness', 'inflated')
    }
    labels = f'{stem}_space-fsLR_den-91k_atlas-DesikanKilliany_dseg.dlabel.nii'
    touch(folder / labels)
    assert visit_surfaces(tmp_path, '01', session)['labels'].name == labels


def test_missing_surface(tmp_path):
    folder, stem = make_anatomy(tmp_path)
    (folder / f'{stem}_hemi-R_space-fsLR_den-91k_inflated.surf.gii').unlink()
    with pytest.raises(InputError, match=r'0 R inflated surfaces.*participant level of sub-01'):
        visit_surfaces(tmp_path, '01', 'TP1')


def test_a_folder_keeps_its_name_whatever_else_is_given(tmp_path):
    one, other = tmp_path / 'a' / 'h c.p', tmp_path / 'b' / 'h c.p'
    assert link_name(one) == link_name(one) != link_name(other)
    assert re.fullmatch(r'hcp[0-9a-f]{6}', link_name(one))
