"""What there is to do, and the maps that were made."""

import re
from pathlib import Path

import pytest

from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, RunKey
from ketbids.io.derivatives import Derivatives
from ketbids.io.inventory import bids_uri, find_maps, find_visits, link_name, visit_surfaces
from tests.io.trees import hcp_run, hcp_surfaces, touch

EVENTS = {
    RunKey('02', 'TP1', 'carit'): Path('e3'),
    RunKey('01', 'TP1', 'carit', '2'): Path('e2'),
    RunKey('01', 'TP1', 'carit', '1'): Path('e1'),
}


@pytest.fixture
def derivatives(tmp_path):
    for session in ('sub-01_ses-TP1', 'sub-02_ses-TP1'):
        hcp_surfaces(tmp_path, session)
    hcp_run(tmp_path, 'task-carit_run-1')
    hcp_run(tmp_path, 'task-carit_run-2')
    hcp_run(tmp_path, 'task-carit', session='sub-02_ses-TP1')
    return Derivatives([tmp_path])


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
    for path in derivatives.roots[0].glob('sub-01*/MNINonLinear/Results/task-carit_run-2/*'):
        path.unlink()
    visits, _, errors = find_visits(EVENTS, derivatives, [])
    assert [v.name for v in visits] == ['sub-02_ses-TP1_task-carit']
    assert list(errors) == ['sub-01_ses-TP1_task-carit']
    assert 'sub-01_ses-TP1_task-carit_run-2' in str(errors['sub-01_ses-TP1_task-carit'])


def test_acquisitions_are_visits_of_their_own(tmp_path):
    hcp_surfaces(tmp_path)
    events = {}
    for acq in ('a', 'b'):
        for direction in ('LR', 'RL'):
            key = RunKey('01', 'TP1', 'carit', acquisition=acq, direction=direction)
            hcp_run(tmp_path, f'task-carit_acq-{acq}_dir-{direction}')
            events[key] = Path(f'{acq}{direction}')
    visits, _, errors = find_visits(events, Derivatives([tmp_path]), [])
    assert errors == {}
    assert [v.name for v in visits] == [f'sub-01_ses-TP1_task-carit_acq-{acq}' for acq in 'ab']
    assert [[run.key.label for run in v.runs] for v in visits] == [['dir-LR', 'dir-RL']] * 2
    for visit in visits:
        for run in visit.runs:
            name = f'task-carit_acq-{visit.acquisition}_{run.key.label}'
            assert run.preprocessed.series.parent.name == name


def test_one_series_is_not_two_runs(tmp_path):
    """A folder without a direction in its name would serve both."""
    hcp_surfaces(tmp_path)
    hcp_run(tmp_path, 'task-carit')
    events = {RunKey('01', 'TP1', 'carit', direction=d): Path(d) for d in ('LR', 'RL')}
    visits, _, errors = find_visits(events, Derivatives([tmp_path]), [])
    assert visits == []
    message = str(errors['sub-01_ses-TP1_task-carit'])
    assert 'task-carit_Atlas.dtseries.nii would be the time series of' in message
    assert 'sub-01_ses-TP1_task-carit_dir-LR and of sub-01_ses-TP1_task-carit_dir-RL' in message


def test_one_error_per_visit(tmp_path):
    visits, _, errors = find_visits(EVENTS, Derivatives([tmp_path]), [])
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
        f'sub-04/func/sub-04_task-carit_acq-seq_{MAP}': ('04', ''),
    }
    others = [
        f'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_run-1_{MAP}',
        f'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_dir-LR_{MAP}',
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
    assert maps['participant_id'].tolist() == ['01', '02', '03', '04']
    assert maps['session_id'].tolist() == ['TP2', 'TP1', '', '']
    assert maps['acquisition'].tolist() == ['', '', '', 'seq']
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


def test_surfaces_of_one_of_two_densities(tmp_path):
    folder, _ = make_anatomy(tmp_path)
    for path in list(folder.iterdir()):
        touch(folder / path.name.replace('den-91k', 'den-170k'))
    with pytest.raises(InputError, match='2 L midthickness surfaces instead of one'):
        visit_surfaces(tmp_path, '01', 'TP1')
    found = visit_surfaces(tmp_path, '01', 'TP1', '170k')
    assert all('den-170k' in path.name for path in found.values())


def test_missing_surface(tmp_path):
    folder, stem = make_anatomy(tmp_path)
    (folder / f'{stem}_hemi-R_space-fsLR_den-91k_inflated.surf.gii').unlink()
    with pytest.raises(InputError, match=r'0 R inflated surfaces.*participant level of sub-01'):
        visit_surfaces(tmp_path, '01', 'TP1')


def test_a_folder_keeps_its_name_whatever_else_is_given(tmp_path):
    one, other = tmp_path / 'a' / 'h c.p', tmp_path / 'b' / 'h c.p'
    assert link_name(one) == link_name(one) != link_name(other)
    assert re.fullmatch(r'hcp[0-9a-f]{6}', link_name(one))


def test_events_that_name_no_session(tmp_path):
    for name in ('func', 'ses-1', 'ses-2'):
        (tmp_path / 'bids' / 'sub-01' / name).mkdir(parents=True)
    path = touch(tmp_path / 'bids' / 'sub-01' / 'func' / 'sub-01_task-carit_events.tsv')
    key = RunKey('01', '', 'carit')
    _, _, errors = find_visits({key: path}, Derivatives([tmp_path / 'hcp']), [])
    words = f'{path} names no session, but sub-01 has ses-1, ses-2: put events into the folder'
    assert words in str(errors['sub-01_task-carit'])
