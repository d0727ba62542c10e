"""Sessions of raw data: what is chosen, and what is said of data that cannot be processed."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from ketbids.io.bids import Exclusion
from ketbids.io.filters import BidsFilter, RawFilters
from ketbids.io.hcpinputs import GradientEcho, SpinEcho
from ketbids.io.raw.session import RawOptions, find_hcp_sessions
from tests.io import rawtrees

RUN = 'task-carit_dir-PA_run-1'
BOLD = f'func/sub-01_ses-TP1_{RUN}_bold.nii.gz'
SBREF = f'func/sub-01_ses-TP1_{RUN}_sbref.nii.gz'
LEGACY = RawOptions(processing_mode='legacy')


def find(root, participants=('01',), **options):
    return find_hcp_sessions(root, participants, **({'tasks': ('carit',)} | options))


@pytest.fixture
def one(tmp_path):
    """Folder of the only session of a dataset."""
    rawtrees.study(tmp_path, sessions=('TP1',))
    return tmp_path / 'sub-01' / 'ses-TP1'


def root_of(folder):
    return folder.parents[1]


def problems_of(folder, **options):
    sessions, problems = find(root_of(folder), **options)
    assert sessions == [] or problems == []
    return problems


def only_problem(folder, **options):
    (problem,) = problems_of(folder, **options)
    return problem


def test_the_protocol_of_the_study(tmp_path):
    rawtrees.study(tmp_path)
    sessions, problems = find(tmp_path)
    assert problems == []
    assert [session.name for session in sessions] == [f'sub-01_ses-TP{i}' for i in (1, 2, 3)]
    for label, session in zip(rawtrees.SESSIONS, sessions, strict=True):
        folder, stem = tmp_path / 'sub-01' / f'ses-{label}', f'sub-01_ses-{label}'
        fmap = folder / 'fmap'
        pair = SpinEcho(
            fmap / f'{stem}_dir-AP_epi.nii.gz', fmap / f'{stem}_dir-PA_epi.nii.gz', 0.00058, 'y'
        )
        anat = session.anat
        assert anat.t1w == (folder / 'anat' / f'{stem}_T1w.nii.gz',)
        assert anat.t2w == (folder / 'anat' / f'{stem}_T2w.nii.gz',)
        assert (anat.template, anat.t1w_spacing, anat.t2w_spacing) == ('0.8', 7.1e-06, 2.1e-06)
        assert (anat.unwarp, anat.field_map) == ('z', pair)
        (run,) = session.runs
        assert run.name == RUN
        assert run.series == folder / 'func' / f'{stem}_{RUN}_bold.nii.gz'
        assert run.reference == folder / 'func' / f'{stem}_{RUN}_sbref.nii.gz'
        assert (run.n_volumes, run.repetition_time) == (300, 0.8)
        assert (run.echo_spacing, run.direction, run.field_map) == (0.00058, 'y', pair)


@pytest.mark.parametrize('link', ['IntendedFor', 'uri', 'B0Field'])
def test_field_maps_by_any_key(tmp_path, link):
    rawtrees.study(tmp_path, sessions=('TP1',), link=link)
    (session,), problems = find(tmp_path)
    assert problems == []
    assert isinstance(session.runs[0].field_map, SpinEcho)
    assert session.anat.field_map == session.runs[0].field_map


def test_two_runs_are_in_order(tmp_path):
    rawtrees.study(tmp_path, sessions=('TP1',), **rawtrees.CASES['two_runs'])
    (session,), _ = find(tmp_path)
    assert [(run.name, run.direction) for run in session.runs] == [
        ('task-carit_dir-AP_run-1', 'y-'),
        ('task-carit_dir-PA_run-2', 'y'),
    ]


def test_each_run_has_its_field_maps(tmp_path):
    rawtrees.study(tmp_path, sessions=('TP1',), **rawtrees.CASES['several_maps'])
    (session,), _ = find(tmp_path)
    chosen = [run.field_map.negative.name for run in session.runs]
    assert chosen == [f'sub-01_ses-TP1_dir-AP_run-{i}_epi.nii.gz' for i in (1, 2)]
    assert session.anat.field_map == session.runs[0].field_map


def test_gradient_echoes(tmp_path):
    rawtrees.study(tmp_path, sessions=('TP1',), field_maps=('phasediff',))
    (session,), problems = find(tmp_path)
    assert problems == []
    assert isinstance(session.anat.field_map, GradientEcho)
    assert session.anat.field_map.echo_difference == pytest.approx(2.46)


def test_a_dataset_without_sessions(tmp_path):
    rawtrees.study(tmp_path, sessions=('',))
    (session,), problems = find(tmp_path)
    assert problems == []
    assert (session.name, session.session, session.runs[0].name) == ('sub-01', '', RUN)


def test_without_t2w(tmp_path):
    rawtrees.study(tmp_path, sessions=('TP1',), t2w=())
    folder = tmp_path / 'sub-01' / 'ses-TP1'
    problem = only_problem(folder)
    assert problem.startswith(f'sub-01_ses-TP1: there is no T2w image in {folder / "anat"}.')
    assert '--processing-mode legacy' in problem
    (session,), problems = find(tmp_path, options=LEGACY)
    assert problems == []
    assert (session.anat.t2w, session.anat.t2w_spacing) == ((), None)
    assert session.anat.field_map is not None
    assert any('no T2w image' in note for note in session.notes)


def test_without_field_maps(tmp_path):
    rawtrees.study(tmp_path, sessions=('TP1',), field_maps=())
    folder = tmp_path / 'sub-01' / 'ses-TP1'
    t1w = folder / 'anat' / 'sub-01_ses-TP1_T1w.nii.gz'
    assert only_problem(folder) == (
        f'{t1w}, {folder / BOLD}: there is no field map (sub-*/[ses-*/]fmap) to correct its '
        'distortion. To go on without: --processing-mode legacy.'
    )
    (session,), problems = find(tmp_path, options=LEGACY)
    assert problems == []
    anat, run = session.anat, session.runs[0]
    assert (anat.field_map, anat.unwarp, anat.t1w_spacing, anat.t2w_spacing) == (None,) * 4
    assert (run.field_map, run.echo_spacing, run.direction) == (None, None, None)
    assert len(anat.t2w) == 1
    (note,) = (note for note in session.notes if 'field map' in note)
    assert note == (
        f'{t1w.name}, {Path(BOLD).name}: processed without a field map: there is no field map '
        '(sub-*/[ses-*/]fmap) to correct its distortion.'
    )


def test_problems_of_all_sessions_are_collected(tmp_path):
    rawtrees.study(tmp_path, ('01', '02'), ('TP1', 'TP2'))
    (tmp_path / 'sub-01/ses-TP2/anat/sub-01_ses-TP2_T1w.nii.gz').unlink()
    rawtrees.change(
        tmp_path / f'sub-02/ses-TP1/func/sub-02_ses-TP1_{RUN}_bold.json', RepetitionTime=None
    )
    path = tmp_path / 'sub-02/ses-TP1/anat/sub-02_ses-TP1_T2w.nii.gz'
    path.write_bytes(b'broken')
    sessions, problems = find(tmp_path, ('02', '01'))
    assert [session.name for session in sessions] == ['sub-01_ses-TP1', 'sub-02_ses-TP2']
    assert len(problems) == 3
    assert problems[0] == (
        f'sub-01_ses-TP2: there is no T1w image in {tmp_path / "sub-01/ses-TP2/anat"}. That of '
        'ses-TP1 is not used for it: each session is processed with its own. Add it, or leave '
        'the session out (--session-label, --exclusions).'
    )
    assert f'{path} is no readable NIfTI image' in problems[1]
    assert f'sub-02_ses-TP1_{RUN}_bold.json: RepetitionTime is missing' in problems[2]


class TestAnatomicalImages:
    """Several of a kind."""

    @pytest.fixture
    def several(self, tmp_path):
        rawtrees.study(
            tmp_path,
            sessions=('TP1',),
            t1w=('acq-MPR_run-1', 'acq-MPR_run-2', 'acq-MPR_rec-norm_run-1'),
        )
        return tmp_path / 'sub-01' / 'ses-TP1'

    def test_are_never_averaged_unasked(self, several):
        problem = only_problem(several)
        assert problem.startswith('sub-01_ses-TP1 has 3 T1w images, ')
        assert 'sub-01_ses-TP1_acq-MPR_rec-norm_run-1_T1w.nii.gz' in problem
        advice = re.search(r'--bids-filter-file as (\{.*?\}\})', problem)
        assert json.loads(advice[1]) == {'t1w': {'reconstruction': 'norm'}}
        assert '"Preprocessing": {"T1w": {"reconstruction": "norm"}}' in problem

    @pytest.mark.parametrize(
        ('entities', 'chosen'),
        [
            ({'reconstruction': ('norm',)}, ['acq-MPR_rec-norm_run-1']),
            ({'reconstruction': (None,), 'run': (2,)}, ['acq-MPR_run-2']),
            ({'reconstruction': (None,), 'run': (1, 2)}, ['acq-MPR_run-1', 'acq-MPR_run-2']),
            (
                {'reconstruction': (None,), 'run': ('01', '02', 3)},
                ['acq-MPR_run-1', 'acq-MPR_run-2'],
            ),
        ],
    )
    def test_are_chosen_by_either_file(self, several, entities, chosen):
        query = BidsFilter(entities)
        ways = [
            {'filters': RawFilters(t1w=query)},
            {'options': RawOptions(t1w=query)},
            {
                'filters': RawFilters(t1w=query),
                'options': RawOptions(t1w=BidsFilter({'run': (9,)})),
            },
        ]
        for options in ways:
            (session,), problems = find(root_of(several), **options)
            assert problems == []
            names = [f'sub-01_ses-TP1_{name}_T1w.nii.gz' for name in chosen]
            assert [path.name for path in session.anat.t1w] == names
            (note,) = (note for note in session.notes if note.startswith('T1w is '))
            assert all(name in note for name in names)
            assert ('average' in note) == (len(names) > 1)

    @pytest.mark.parametrize(
        'entities', [{'run': ('*',)}, {'acquisition': ('MPR',)}, {'run': (1, 2)}, {'run': (1,)}]
    )
    def test_must_all_be_named(self, several, entities):
        problem = only_problem(several, filters=RawFilters(t1w=BidsFilter(entities)))
        assert 'they are never averaged unasked' in problem

    def test_of_which_none_fits(self, several):
        problem = only_problem(several, options=RawOptions(t1w=BidsFilter({'run': (3, 4)})))
        assert problem.startswith(
            'sub-01_ses-TP1: no T1w image is what the filter asks for, {"run": [3, 4]}. There are '
        )

    def test_of_which_t2w_may_be_none(self, one):
        query = BidsFilter({'acquisition': ('good',)})
        assert 'no T2w image is what' in only_problem(one, options=RawOptions(t2w=query))
        options = RawOptions(processing_mode='legacy', t2w=query)
        (session,), problems = find(root_of(one), options=options)
        assert (session.anat.t2w, problems) == ((), [])
        assert any('no T2w is used' in note for note in session.notes)

    def test_of_other_sizes_are_not_averaged(self, several):
        rawtrees.anatomical(
            several / 'anat' / 'sub-01_ses-TP1_acq-MPR_run-2_T1w.nii.gz', zooms=(1, 1, 1)
        )
        query = BidsFilter({'reconstruction': (None,), 'run': (1, 2)})
        problem = only_problem(several, options=RawOptions(t1w=query))
        assert 'has voxels of 0.8 x 0.8 x 0.8 mm' in problem
        assert 'such images are not averaged' in problem

    def test_that_differ_in_what_cannot_be_chosen(self, one):
        for echo in '12':
            rawtrees.anatomical(one / 'anat' / f'sub-01_ses-TP1_echo-{echo}_T1w.nii.gz')
        (one / 'anat' / 'sub-01_ses-TP1_T1w.nii.gz').unlink()
        assert 'they differ in echo only' in only_problem(one)

    @pytest.mark.parametrize('twin', ['_run-01_T1w.nii.gz', '_run-1_T1w.nii'])
    def test_that_stand_twice(self, one, twin):
        for name in ('_run-1_T1w.nii.gz', twin):
            rawtrees.anatomical(one / 'anat' / f'sub-01_ses-TP1{name}')
        query = BidsFilter({'run': (1,)})
        problem = only_problem(one, options=RawOptions(t1w=query))
        assert 'are two files of one image' in problem
        assert problem.count('_T1w.nii') == 2

    def test_with_a_time_axis(self, one):
        path = one / 'anat' / 'sub-01_ses-TP1_T1w.nii.gz'
        rawtrees.image(path, (208, 300, 320, 4), (0.8, 0.8, 0.8, 1))
        problem = only_problem(one)
        assert problem.startswith(f'{path} has 4 volumes (208 x 300 x 320 x 4), but an anatomical')

    def test_phase_images_are_passed_over(self, one):
        rawtrees.anatomical(one / 'anat' / 'sub-01_ses-TP1_part-phase_T1w.nii.gz')
        rawtrees.echo_planar(
            one / 'func' / f'sub-01_ses-TP1_{RUN}_part-phase_bold.nii.gz', volumes=300
        )
        rawtrees.echo_planar(one / 'func' / f'sub-01_ses-TP1_{RUN}_part-phase_sbref.nii.gz')
        (session,), problems = find(root_of(one))
        assert problems == []
        assert not any('part-phase' in path.name for path in session.files)

    def test_readout_direction_can_be_given(self, one):
        options = RawOptions(anat_unwarpdir='y-')
        (session,), _ = find(root_of(one), options=options)
        assert session.anat.unwarp == 'y-'


class TestRuns:
    """Series and their reference images."""

    @pytest.mark.parametrize(
        ('twin', 'message'),
        [
            ('task-carit_dir-PA_run-01_bold.nii.gz', 'are series of one run'),
            ('task-carit_dir-PA_run-1_bold.nii', 'are series of one run'),
            ('task-carit_ce-x_dir-PA_run-1_bold.nii.gz', 'are told apart by ce- only'),
            ('task-carit_dir-PA_run-1_part-mag_bold.nii.gz', 'are series of one run'),
        ],
    )
    def test_that_stand_twice(self, one, twin, message):
        name = f'sub-01_ses-TP1_{twin}'
        rawtrees.echo_planar(one / 'func' / name, volumes=300)
        problem = only_problem(one)
        assert message in problem
        assert name in problem
        assert Path(BOLD).name in problem

    def test_of_several_echoes(self, one):
        (one / BOLD).unlink()
        for echo in '12':
            name = f'sub-01_ses-TP1_{RUN}_echo-{echo}_bold.nii.gz'
            rawtrees.echo_planar(one / 'func' / name, volumes=300)
        assert 'are echoes of one run. Multi-echo series are not supported' in only_problem(one)

    def test_are_told_apart_by_all_labels(self, tmp_path):
        runs = [f'task-carit{x}' for x in ('', '_acq-a', '_rec-a', '_dir-AP', '_run-1', '_run-2')]
        rawtrees.study(tmp_path, sessions=('TP1',), runs=runs)
        (session,), problems = find(tmp_path)
        assert problems == []
        assert sorted(run.name for run in session.runs) == sorted(runs)
        for run in session.runs:
            assert run.reference.name == run.series.name.replace('_bold', '_sbref')

    def test_without_a_time_axis(self, one):
        rawtrees.image(one / BOLD, rawtrees.BOLD, rawtrees.BOLD_ZOOMS, orientation='LAS')
        problem = only_problem(one)
        assert problem.startswith(
            f'{one / BOLD} is no series: it has no time axis (104 x 90 x 72)'
        )

    def test_that_are_too_short(self, one):
        rawtrees.echo_planar(one / BOLD, volumes=2)
        (session,), problems = find(root_of(one))
        assert problems == []
        assert session.runs[0].n_volumes == 2
        assert any(f'{Path(BOLD).name} has 2 volumes only' in note for note in session.notes)
        rawtrees.echo_planar(one / BOLD, volumes=20)
        (session,), _ = find(root_of(one))
        assert not any('volumes' in note for note in session.notes)

    @pytest.mark.parametrize(
        ('value', 'message'),
        [
            (None, 'RepetitionTime is missing'),
            (2, 'RepetitionTime is 2 s, but in the header of'),
            (800, 'This looks like milliseconds; write 0.8.'),
            ('0.8', "RepetitionTime is '0.8'; it must be a number above 0"),
            (-1, 'RepetitionTime is -1; it must be a number above 0'),
        ],
    )
    def test_repetition_time(self, one, value, message):
        sidecar = rawtrees.change(one / BOLD, RepetitionTime=value)
        problem = only_problem(one)
        assert problem.startswith(f'{sidecar}: ')
        assert message in problem

    def test_repetition_time_may_be_inherited(self, one):
        rawtrees.change(one / BOLD, RepetitionTime=None)
        rawtrees.sidecar(root_of(one) / 'task-carit_bold.json', RepetitionTime=0.8)
        (session,), _ = find(root_of(one))
        assert session.runs[0].repetition_time == 0.8

    @pytest.mark.parametrize('step', [0, 1])
    def test_repetition_time_that_the_header_does_not_have(self, one, step):
        rawtrees.image(one / BOLD, (*rawtrees.BOLD, 300), (2, 2, 2, step), orientation='LAS')
        (session,), problems = find(root_of(one))
        assert problems == []
        assert session.runs[0].repetition_time == 0.8
        name = Path(BOLD).name
        start = (
            f'{name}: RepetitionTime is 0.8 s in {name[:-7]}.json, but in the header it is {step}'
        )
        assert any(note.startswith(start) for note in session.notes)

    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            ({'shape': (104, 90, 60)}, 'are of different grids: 104 x 90 x 72 and 104 x 90 x 60'),
            ({'origin': (0, 0, 4)}, 'are of different grids: up to 4 mm apart'),
            ({'volumes': 2}, 'has 2 volumes (104 x 90 x 72 x 2), but a reference image is one'),
        ],
    )
    def test_reference_of_another_grid(self, one, changes, message):
        rawtrees.echo_planar(one / SBREF, **changes)
        problem = only_problem(one)
        assert message in problem
        assert Path(SBREF).name in problem

    def test_reference_of_another_direction(self, one):
        rawtrees.change(one / SBREF, PhaseEncodingDirection='j-')
        problem = only_problem(one)
        assert 'PhaseEncodingDirection is j in' in problem
        assert (
            str((one / SBREF).with_name(Path(SBREF).name.replace('.nii.gz', '.json'))) in problem
        )

    def test_two_references(self, one):
        rawtrees.echo_planar(one / SBREF.replace('run-1', 'run-01'))
        assert 'are both the reference image of' in only_problem(one)
        query = RawFilters(sbref=BidsFilter({'run': ('*',), 'direction': ('PA',)}))
        assert 'are both the reference image of' in only_problem(one, filters=query)

    def test_without_reference(self, one):
        (one / SBREF).unlink()
        (session,), problems = find(root_of(one))
        assert problems == []
        assert session.runs[0].reference is None
        assert f'{Path(BOLD).name}: no SBRef; its first volume is the reference' in session.notes
        rawtrees.echo_planar(one / SBREF)
        filters = RawFilters(sbref=BidsFilter({'acquisition': ('*',)}))
        (session,), _ = find(root_of(one), filters=filters)
        assert session.runs[0].reference is None


class TestSelection:
    """Which sessions and runs are taken."""

    @pytest.fixture
    def study(self, tmp_path):
        runs = ('task-carit_dir-AP_run-1', 'task-carit_dir-PA_run-02', 'task-rest_run-1')
        return rawtrees.study(tmp_path, ('01', '02'), ('TP1', 'TP2'), runs=runs)

    @pytest.mark.parametrize(
        ('options', 'sessions', 'runs'),
        [
            ({}, 4, ['task-carit_dir-AP_run-1', 'task-carit_dir-PA_run-02']),
            (
                {'participants': ('02',)},
                2,
                ['task-carit_dir-AP_run-1', 'task-carit_dir-PA_run-02'],
            ),
            (
                {'sessions': ('TP2', 'TP9')},
                2,
                ['task-carit_dir-AP_run-1', 'task-carit_dir-PA_run-02'],
            ),
            ({'tasks': ('rest',)}, 4, ['task-rest_run-1']),
            ({'tasks': (), 'runs': ('1',)}, 4, ['task-carit_dir-AP_run-1', 'task-rest_run-1']),
            ({'runs': ('2',)}, 4, ['task-carit_dir-PA_run-02']),
            (
                {'filters': RawFilters(bold=BidsFilter({'direction': ('PA',)}))},
                4,
                ['task-carit_dir-PA_run-02'],
            ),
            (
                {'filters': RawFilters(bold=BidsFilter({'session': ('TP1',), 'run': (1,)}))},
                2,
                ['task-carit_dir-AP_run-1'],
            ),
        ],
    )
    def test_is_as_for_preprocessed_data(self, study, options, sessions, runs):
        found, problems = find(study, **({'participants': ('01', '02')} | options))
        assert problems == []
        assert len(found) == sessions
        for session in found:
            assert [run.name for run in session.runs] == runs

    def test_leaves_out_sessions_that_are_excluded(self, study):
        exclusions = [
            Exclusion('01', 'TP1', '1', 'asleep'),
            Exclusion('01', 'TP1', '2', 'asleep again'),
            Exclusion('01', 'TP2', '', 'ill'),
        ]
        (problem,) = find(study, exclusions=exclusions)[1]
        assert 'is among what was chosen' in problem
        (session,), problems = find(study, exclusions=exclusions[1:])
        assert problems == []
        # Cleaned together: without the run, FIX of the other would be another.
        assert (session.name, len(session.runs)) == ('sub-01_ses-TP1', 2)

    @pytest.mark.parametrize('damage', ['image', 'repetition time', 'field map', 'direction'])
    def test_leaves_out_excluded_runs_that_cannot_be_processed(self, study, damage):
        path = study / 'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_dir-AP_run-1_bold.nii.gz'
        if damage == 'image':
            path.write_bytes(b'')
        elif damage == 'repetition time':
            rawtrees.change(path, RepetitionTime=1)
        elif damage == 'direction':
            rawtrees.change(
                path.with_name(path.name.replace('_bold', '_sbref')), PhaseEncodingDirection='j'
            )
        else:
            rawtrees.change(path, B0FieldSource='lost')
        assert find(study, sessions=('TP1',))[1] != []
        (session,), problems = find(
            study, sessions=('TP1',), exclusions=[Exclusion('01', 'TP1', '1', 'asleep')]
        )
        assert problems == []
        assert [run.name for run in session.runs] == ['task-carit_dir-PA_run-02']
        start = 'task-carit_dir-AP_run-1 is excluded (asleep) and not preprocessed: '
        (note,) = (note for note in session.notes if note.startswith(start))
        assert str(path).removesuffix('.nii.gz') in note

    def test_passes_over_what_was_not_chosen(self, study):
        """Damage in other sessions, tasks and participants stops nobody."""
        for path in (study / 'sub-01/ses-TP2').rglob('*.nii.gz'):
            path.write_bytes(b'')
        for path in (study / 'sub-01/ses-TP1/func').glob('*task-rest*'):
            path.write_bytes(b'')
        shutil.rmtree(study / 'sub-02/ses-TP2/func')
        sessions, problems = find(study, ('01', '02'), sessions=('TP1',))
        assert [session.name for session in sessions] == ['sub-01_ses-TP1', 'sub-02_ses-TP1']
        assert problems == []

    def test_of_nothing_says_what_there_is(self, study):
        sessions, (problem,) = find(study, tasks=('stop',))
        assert sessions == []
        assert problem.startswith(f'{study}: no BOLD series (*_bold.nii.gz) of the task stop')
        assert problem.endswith('There are series of carit, rest.')

    def test_lists_only_folders_of_those_chosen(self, study, monkeypatch):
        listed = []
        listdir = os.listdir
        monkeypatch.setattr(os, 'listdir', lambda path: listed.append(path) or listdir(path))
        find(study, ('02',), sessions=('TP2',))
        inside = {Path(path).relative_to(study).as_posix() for path in listed}
        assert inside == {
            *('.', 'sub-02', 'sub-02/ses-TP2'),
            *(f'sub-02/ses-TP2/{kind}' for kind in ('anat', 'fmap', 'func')),
        }
        assert len(listed) < 20


def test_field_maps_are_filtered(tmp_path):
    rawtrees.study(tmp_path, sessions=('TP1',), field_maps=('epi', 'phasediff'))
    filters = RawFilters(fmap=BidsFilter({'suffix': ('phasediff', 'magnitude1', 'magnitude2')}))
    rawtrees.change(
        tmp_path / 'sub-01/ses-TP1/fmap/sub-01_ses-TP1_run-2_phasediff.json',
        IntendedFor=[f'ses-TP1/{BOLD}', 'ses-TP1/anat/sub-01_ses-TP1_T1w.nii.gz'],
    )
    (session,), problems = find(tmp_path, filters=filters)
    assert problems == []
    assert isinstance(session.runs[0].field_map, GradientEcho)


@pytest.mark.parametrize(
    ('key', 'path'),
    [
        ('EffectiveEchoSpacing', BOLD),
        ('PhaseEncodingDirection', BOLD),
        ('DwellTime', 'anat/sub-01_ses-TP1_T2w.nii.gz'),
    ],
)
def test_missing_keys_are_named_with_their_file(one, key, path):
    sidecar = rawtrees.change(
        one / path, **{key: None}, TotalReadoutTime=None, PixelBandwidth=None
    )
    problems = problems_of(one)
    assert any(f'{sidecar}: {key} is missing' in problem for problem in problems)


def test_broken_sidecars_are_named(one):
    sidecar = one / 'func' / f'sub-01_ses-TP1_{RUN}_bold.json'
    sidecar.write_text('{')
    assert any(f'{sidecar} is not valid JSON' in problem for problem in problems_of(one))


@pytest.mark.parametrize('kind', ['T1w', 'T2w', 'bold', 'sbref', 'epi'])
def test_unreadable_images_are_named(one, kind):
    path = next(one.rglob(f'*_{kind}.nii.gz'))
    path.write_bytes(path.read_bytes()[:30])
    assert any(f'{path} is no readable NIfTI' in problem for problem in problems_of(one))


def test_names_that_are_none(one):
    wrong = [
        one / 'func' / 'sub-01_ses-TP1_task-carit_acq-2.4mm_bold.nii.gz',
        one / 'func' / 'sub-01_ses-TP1_task-carit (copy)_bold.nii.gz',
        one / 'anat' / 'sub-01_ses-TP1_T1w 2.nii.gz',
    ]
    for path in wrong:
        path.touch()
    (one / 'anat' / 'sub-01_ses-TP1_acq-2.4mm_PDw.nii.gz').touch()
    problems = problems_of(one)
    assert len(problems) == 3
    for path in wrong:
        assert any(problem.startswith(f'{path} is no BIDS name') for problem in problems)
    (one / BOLD).unlink()
    problems = problems_of(one)
    assert [problem.partition(' is no ')[0] for problem in problems] == [
        str(path) for path in sorted(wrong[:2])
    ]


def test_names_of_other_sessions(one):
    path = rawtrees.anatomical(one / 'anat' / 'sub-02_ses-TP1_T2w.nii.gz')
    (one / 'anat' / 'sub-01_ses-TP1_T2w.nii.gz').unlink()
    problem = only_problem(one)
    assert problem.startswith(f'{path}: its name is not one of sub-01_ses-TP1.')


def test_session_folders_that_are_no_labels(one):
    one.rename(one.with_name('ses-TP 1'))
    problem = only_problem(one)
    assert problem.startswith(
        f'{one.with_name("ses-TP 1")}: session labels are letters and digits'
    )


def test_a_dataset_in_a_folder_that_the_scripts_cannot_take(tmp_path):
    root = rawtrees.study(tmp_path / 'my data', sessions=('TP1',))
    _, (problem,) = find(root)
    assert problem.startswith(f'{root} holds a space: the HCP pipelines take paths of letters')


def test_a_participant_that_is_not_there(one):
    _, problems = find(root_of(one), ('01', '09'))
    assert problems == [f'{root_of(one) / "sub-09"} is no folder.']


def test_one_field_map_in_two_files(one):
    path = one / 'fmap' / 'sub-01_ses-TP1_dir-AP_epi.nii'
    rawtrees.image(path, (*rawtrees.BOLD, 3), (2, 2, 2, 8), orientation='LAS')
    assert only_problem(one) == (
        f'{path} and {path.name}.gz are one image for the HCP pipelines. Remove one.'
    )


def test_nothing_is_raised_for_any_damage(one):
    """Every file of a session in turn is emptied, cut, made a folder or a link to nothing."""
    for path in sorted(path for path in one.rglob('*') if path.suffix in ('.gz', '.json')):
        content = path.read_bytes()
        for damage in (b'', content[:50], b'[]', b'{"IntendedFor": 3, "RepetitionTime": [1]}'):
            path.write_bytes(damage)
            sessions, problems = find(root_of(one))
            assert problems or sessions, path
            assert all(problem.endswith('.') for problem in problems)
        path.unlink()
        path.mkdir()
        find(root_of(one))
        path.rmdir()
        path.symlink_to('nowhere')
        find(root_of(one))
        path.unlink()
        path.write_bytes(content)
    assert problems_of(one) == []


@pytest.mark.parametrize('below', ['.', 'ses-TP1', 'ses-TP1/func'])
def test_folders_that_may_not_be_read(one, monkeypatch, below):
    closed = (one.parent / below).resolve()
    access = os.access
    monkeypatch.setattr(os, 'access', lambda path, mode: path != closed and access(path, mode))
    assert problems_of(one) == [
        f'{closed} cannot be read: permission denied. Correct its permissions.'
    ]
