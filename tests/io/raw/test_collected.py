"""Sessions in which several things are wrong, or little is said."""

import json

import nibabel as nib
import numpy as np
import pytest

from ketbids.io.bids import Exclusion
from ketbids.io.hcpinputs import SpinEcho
from ketbids.io.raw.session import RawOptions, find_hcp_sessions
from tests.io import rawtrees

RUN = 'task-carit_dir-PA_run-1'
STEM = 'sub-01_ses-TP1'
BOLD, SBREF = f'{STEM}_{RUN}_bold', f'{STEM}_{RUN}_sbref'
LEGACY = RawOptions(processing_mode='legacy')
ADVICE = ' To go on without: --processing-mode legacy.'


class Study:
    """A dataset with one session."""

    def __init__(self, root, **options):
        self.root = root
        rawtrees.study(root, **({'sessions': ('TP1',)} | options))
        self.folder = root / 'sub-01' / 'ses-TP1'

    def path(self, name, extension='.nii.gz'):
        kind = {'T1w': 'anat', 'T2w': 'anat', 'bold': 'func', 'sbref': 'func'}
        return self.folder / kind.get(name.rpartition('_')[2], 'fmap') / f'{name}{extension}'

    def change(self, name, **keys):
        return str(rawtrees.change(self.path(name), **keys))

    def lose(self, name):
        """Make an image a link of git-annex without content."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        path.symlink_to('../../.git/annex/objects/nothing')
        return path

    def find(self, **options):
        sessions, problems = find_hcp_sessions(
            self.root, ('01',), **({'tasks': ('carit',), 'sessions': ('TP1',)} | options)
        )
        assert not sessions or not problems
        return sessions[0] if sessions else None, problems

    def problems(self, **options):
        return self.find(**options)[1]

    def session(self, **options):
        session, problems = self.find(**options)
        assert problems == []
        return session


@pytest.fixture
def make(tmp_path):
    return lambda **options: Study(tmp_path / 'raw', **options)


def starts(problems):
    return sorted(problem.partition(' is ')[0] for problem in problems)


# --- all at once


def test_a_series_that_says_nothing(make):
    study = make()
    keys = ('RepetitionTime', 'PhaseEncodingDirection', 'EffectiveEchoSpacing')
    sidecar = study.change(BOLD, **dict.fromkeys(keys), TotalReadoutTime=None)
    assert starts(study.problems()) == sorted(f'{sidecar}: {key}' for key in keys)


def test_a_series_and_its_field_maps_that_say_nothing(make):
    study = make()
    keys = ('PhaseEncodingDirection', 'EffectiveEchoSpacing')
    lacking = dict.fromkeys((*keys, 'TotalReadoutTime'))
    names = (BOLD, f'{STEM}_dir-AP_epi', f'{STEM}_dir-PA_epi')
    sidecars = [study.change(name, **lacking) for name in names]
    assert starts(study.problems()) == sorted(
        f'{path}: {key}' for path in sidecars for key in keys
    )


def test_four_things_of_four_kinds(make):
    study = make()
    t1w, bold, sbref = study.path(f'{STEM}_T1w'), study.path(BOLD), study.path(SBREF)
    rawtrees.image(t1w, (208, 300, 320, 4), (0.8, 0.8, 0.8, 1))
    sidecar = study.change(BOLD, RepetitionTime=None)
    rawtrees.echo_planar(sbref, shape=(104, 90, 60))
    for path in study.folder.glob('fmap/*_dir-AP_*'):
        path.unlink()
    epi = study.path(f'{STEM}_dir-PA_epi')
    problems = study.problems()
    assert len(problems) == 4
    assert problems[0].startswith(f'{t1w} has 4 volumes')
    assert problems[1].startswith(f'{sidecar}: RepetitionTime is missing')
    assert problems[2].startswith(f'{bold} and its reference image {sbref.name} are of different')
    # Once, and for all that it concerns.
    assert problems[3] == (
        f'{t1w}, {bold}: only one polarity of the phase encoding is there to correct distortion: '
        f'{epi} (j), and none with j-. Check PhaseEncodingDirection, or add the image of the '
        f'other polarity.{ADVICE}'
    )


def test_wrong_values_in_three_files(make):
    study = make()
    wrong = {
        study.change(f'{STEM}_T1w', DwellTime=7100): 'DwellTime',
        study.change(BOLD, PhaseEncodingDirection='AP'): 'PhaseEncodingDirection',
        study.change(f'{STEM}_dir-AP_epi', EffectiveEchoSpacing=580): 'EffectiveEchoSpacing',
    }
    assert starts(study.problems()) == sorted(f'{path}: {key}' for path, key in wrong.items())


@pytest.mark.parametrize('link', ['IntendedFor', None])
def test_images_without_content_and_keys(make, link):
    study = make(link='IntendedFor')
    lost = [study.lose(name) for name in (f'{STEM}_T1w', BOLD, f'{STEM}_dir-AP_epi')]
    sidecars = [
        study.change(BOLD, RepetitionTime=None),
        study.change(f'{STEM}_T1w', DwellTime=None, PixelBandwidth=None),
    ]
    problems = study.problems()
    assert len(problems) == 5
    assert [p for p in problems if 'cannot be read: it is a link to nothing' in p]
    for path in (*lost, *sidecars):
        assert sum(problem.startswith(str(path)) for problem in problems) == 1


def test_two_images_of_one_polarity_are_said_once(make):
    study = make()
    sidecar = study.change(f'{STEM}_dir-AP_epi', PhaseEncodingDirection='j')
    (problem,) = study.problems()
    assert problem.startswith('dir-AP and dir-PA have the same direction: ')
    assert sidecar in problem


# --- one polarity, no purpose, other sessions


def test_one_polarity_in_legacy_mode(make):
    study = make()
    for path in study.folder.glob('fmap/*_dir-AP_*'):
        path.unlink()
    session = study.session(options=LEGACY)
    assert session.anat.field_map is session.runs[0].field_map is None
    assert session.runs[0].direction is None
    (note,) = (note for note in session.notes if 'polarity' in note)
    assert note.startswith(f'{STEM}_T1w.nii.gz, {BOLD}.nii.gz: processed without a field map: ')
    assert '--processing-mode' not in note


def test_field_maps_without_purpose_in_legacy_mode(make):
    study = make(link=None)
    (problem,) = study.problems()
    assert problem.startswith(f'{study.path(BOLD)}: no field map is intended for it. Write ')
    assert problem.endswith(ADVICE)
    session = study.session(options=LEGACY)
    assert session.runs[0].field_map is None
    # The T1w image may take any.
    assert session.anat.field_map is not None
    (note,) = (note for note in session.notes if 'without a field map' in note)
    assert note.startswith(f'{BOLD}.nii.gz: processed without a field map: no field map is')


def test_a_field_map_of_another_session(make):
    study = make(sessions=('TP1', 'TP2'))
    for path in study.folder.glob('fmap/*'):
        path.unlink()
    name = 'sub-01_ses-TP2_dir-AP_epi'
    other = study.root / 'sub-01/ses-TP2/fmap' / f'{name}.nii.gz'
    rawtrees.change(other, IntendedFor=[f'bids::sub-01/ses-TP1/func/{BOLD}.nii.gz'])
    problems = study.problems()
    assert problems[1:] == [
        f'{study.path(BOLD)}: the field map that is intended for it, {other}, is one of another '
        f'session, and each session is corrected with its own field maps only.{ADVICE}'
    ]
    assert problems[0].startswith(f'{study.path(f"{STEM}_T1w")}: there is no field map')
    notes = study.session(options=LEGACY).notes
    assert any(str(other) in note for note in notes)


def test_an_excluded_run_without_a_field_map(make):
    study = make(runs=(RUN, 'task-carit_dir-PA_run-2'), field_maps=('epi', 'epi'))
    for path in study.folder.glob('fmap/*_dir-AP_run-2*'):
        path.unlink()
    (problem,) = study.problems()
    assert 'run-2_bold.nii.gz: only one polarity' in problem
    session = study.session(exclusions=[Exclusion('01', 'TP1', '2', 'asleep')])
    assert [run.name for run in session.runs] == [RUN]
    assert any(note.startswith('task-carit_dir-PA_run-2 is excluded') for note in session.notes)


# --- what is not needed


def test_lost_field_maps_of_others(make):
    study = make(runs=(RUN, 'task-rest_run-1'), field_maps=('epi', 'epi'))
    lost = study.lose(f'{STEM}_dir-AP_run-2_epi')
    session = study.session()
    assert isinstance(session.runs[0].field_map, SpinEcho)
    assert isinstance(session.anat.field_map, SpinEcho)
    assert sum(note.startswith(f'{lost} cannot be read') for note in session.notes) == 1
    (problem,) = study.problems(tasks=('rest',))
    assert problem.startswith(f'{lost} cannot be read: it is a link to nothing')


@pytest.mark.parametrize('options', [RawOptions(), LEGACY])
@pytest.mark.parametrize('link', ['IntendedFor', 'B0Field'])
def test_lost_field_maps_that_are_needed(make, link, options):
    study = make(link=link)
    lost = study.lose(f'{STEM}_dir-AP_epi')
    (problem,) = study.problems(options=options)
    assert problem.startswith(f'{lost} cannot be read: it is a link to nothing')


def test_lost_magnitudes(make):
    study = make(field_maps=('phasediff',))
    one = study.lose(f'{STEM}_magnitude1')
    session = study.session()
    assert session.runs[0].field_map.magnitude.name == f'{STEM}_magnitude2.nii.gz'
    assert sum(str(one) in note for note in session.notes) == 1
    study.lose(f'{STEM}_magnitude2')
    (problem,) = study.problems()
    assert problem.startswith(f'{one} cannot be read')


def test_contradictions_of_images_that_are_not_used(make):
    study = make(runs=(RUN, 'task-rest_dir-PA_run-1'), field_maps=('epi', 'epi'))
    for direction, way in (('AP', 'j'), ('PA', 'j-')):
        study.change(f'{STEM}_dir-{direction}_run-2_epi', PhaseEncodingDirection=way)
    notes = study.session().notes
    assert any('dir-PA has opposite or different directions' in note for note in notes)
    assert any('dir-PA has opposite' in text for text in study.problems(tasks=('rest',)))


# --- names


def test_a_series_whose_name_holds_metacharacters(make):
    study = make()
    path = study.folder / 'func' / f'{STEM}_task-ca$(x)rit_bold.nii.gz'
    for old in study.folder.glob('func/*'):
        old.unlink()
    rawtrees.echo_planar(path, volumes=30)
    (problem,) = study.problems()
    assert problem == (
        f'{path} is no BIDS name: labels and suffix are letters and digits (A-Z, a-z, 0-9) only, '
        "and _ stands between them; it holds '$' '(' ')'. Rename or remove it."
    )


def test_notes_do_not_name_the_session_again(make):
    study = make(t1w=('run-1', 'run-2'), t2w=(), field_maps=())
    filters = RawOptions('legacy', t1w=type(LEGACY.t1w)({'run': (1,)}), anat_unwarpdir='z')
    notes = study.session(options=filters).notes
    assert len(notes) == 3
    assert not any(note.startswith(f'{STEM}: ') for note in notes)


# --- a dataset of somebody else


def skeleton(root, spacing):
    """Tiny images with identity affines, and what BIDS asks for."""
    folder = root / 'sub-s1' / 'ses-a'
    rawtrees.dataset(root, ('s1',))
    (root / 'task-go_bold.json').write_text(json.dumps({'TaskName': 'go', 'RepetitionTime': 2.0}))

    def write(name, shape, **keys):
        path = folder / f'{name}.nii.gz'
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)).to_filename(path)
        path.with_name(path.name.replace('.nii.gz', '.json')).write_text(json.dumps(keys))

    stem, run = 'sub-s1_ses-a', 'sub-s1_ses-a_task-go_bold'
    for suffix in ('T1w', 'T2w'):
        write(f'anat/{stem}_{suffix}', (4, 4, 4), DwellTime=7.1e-06)
    write(f'func/{run}', (4, 4, 4, 10), PhaseEncodingDirection='j', **spacing)
    for label, direction in (('AP', 'j-'), ('PA', 'j')):
        write(
            f'fmap/{stem}_dir-{label}_epi',
            (4, 4, 4),
            PhaseEncodingDirection=direction,
            IntendedFor=[f'ses-a/func/{run}.nii.gz'],
            **spacing,
        )
    return folder


@pytest.mark.parametrize(
    ('spacing', 'value'),
    [
        ({'EffectiveEchoSpacing': 0.00058}, 0.00058),
        ({'TotalReadoutTime': 0.06}, 0.02),
        ({'TotalReadoutTime': 0.05, 'EffectiveEchoSpacing': 0.0005}, 0.0005),
    ],
)
def test_a_minimal_dataset(tmp_path, spacing, value):
    folder = skeleton(tmp_path, spacing)
    (session,), problems = find_hcp_sessions(tmp_path, ('s1',), tasks=('go',))
    assert problems == []
    (run,) = session.runs
    pair = tuple(folder / f'fmap/sub-s1_ses-a_dir-{label}_epi.nii.gz' for label in ('AP', 'PA'))
    assert (run.field_map.negative, run.field_map.positive) == pair
    assert session.anat.field_map == run.field_map
    assert run.echo_spacing == run.field_map.echo_spacing == pytest.approx(value)
    assert (run.direction, run.repetition_time, run.n_volumes) == ('y', 2.0, 10)
    anat = session.anat
    assert (anat.template, anat.unwarp, anat.t1w_spacing) == ('1', 'z', 7.1e-06)
