"""Which field map corrects which image."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.io.hcpinputs import GradientEcho, SpinEcho
from ketbids.io.raw.fieldmaps import Choice, choose_field_map, contradictions, find_field_maps
from ketbids.io.raw.images import RawImage, read_image
from ketbids.io.raw.nearness import seconds_apart
from ketbids.io.raw.sidecars import Sidecars
from tests.io import rawtrees
from tests.io.rawtrees import change, echo_planar, phase_difference

PA, AP = 'task-carit_dir-PA_run-1', 'task-carit_dir-AP_run-1'
STEM = 'sub-01_ses-TP1'
RUN = f'{STEM}_{PA}_bold'
OTHER_SHIMS = [0, 0, 0, 0, 0, 0, 0, 0]


class Session:
    """A session on disk, and what is chosen for its images."""

    def __init__(self, root, **options):
        self.root = rawtrees.dataset(root)
        self.folder = rawtrees.session(root, **options)
        self.fmap = self.folder / 'fmap'
        self.func = self.folder / 'func'

    def images(self):
        return [read_image(path) for path in sorted(self.folder.rglob('*.nii.gz'))]

    def sets(self):
        return find_field_maps(self.images(), Sidecars(self.root))

    def choose(self, name=RUN, shuffled=False):
        sidecars, images = Sidecars(self.root), self.images()
        target = next(image for image in images if image.path.name == f'{name}.nii.gz')
        sets = find_field_maps(images[::-1] if shuffled else images, sidecars)
        return choose_field_map(target, sets, sidecars)

    def contradictions(self):
        return contradictions(self.images(), Sidecars(self.root))

    def change(self, name, **keys):
        change(next(self.folder.rglob(f'{name}.json')), **keys)

    def json(self, name):
        return str(next(self.folder.rglob(f'{name}.json')))


@pytest.fixture
def make(tmp_path):
    return lambda **options: Session(tmp_path / 'raw', **options)


def chosen(choice):
    """Names of the files that were chosen."""
    assert choice.problems == ()
    assert choice.lacking == ()
    return [path.name.removeprefix(f'{STEM}_') for path in choice.field_map.files]


def lack(choice):
    """The only reason why there is none, without which legacy mode can do."""
    assert (choice.field_map, choice.problems) == (None, ())
    assert len(choice.lacking) == 1
    return choice.lacking[0]


def problem(choice):
    """The only problem."""
    assert choice.field_map is None
    assert choice.lacking == ()
    assert len(choice.problems) == 1
    return choice.problems[0]


# --- which are meant


@pytest.mark.parametrize('link', ['IntendedFor', 'uri', 'B0Field'])
@pytest.mark.parametrize('name', [RUN, f'{STEM}_T1w', f'{STEM}_T2w'])
def test_a_pair(make, link, name):
    session = make(link=link)
    why = 'by B0FieldSource (map0)' if link == 'B0Field' else 'by IntendedFor'
    negative, positive = (session.fmap / f'{STEM}_dir-{d}_epi.nii.gz' for d in ('AP', 'PA'))
    assert session.choose(name)._replace(candidates=()) == Choice(
        SpinEcho(negative, positive, rawtrees.SPACING, 'y'),
        (f'{name}.nii.gz: field map {negative.name} and {positive.name}, {why}.',),
    )


@pytest.mark.parametrize('link', ['IntendedFor', 'B0Field'])
def test_without_sessions(tmp_path, link):
    session = Session(tmp_path / 'raw', session='', link=link)
    found = session.choose(f'sub-01_{PA}_bold').field_map
    names = [path.name for path in found.files]
    assert names == ['sub-01_dir-AP_epi.nii.gz', 'sub-01_dir-PA_epi.nii.gz']


@pytest.mark.parametrize('link', ['IntendedFor', 'uri', 'B0Field'])
@pytest.mark.parametrize('run', [1, 2])
def test_each_run_has_the_pair_that_is_meant(make, link, run):
    runs = ('task-carit_dir-PA_run-1', 'task-carit_dir-PA_run-2')
    session = make(runs=runs, field_maps=('epi', 'epi'), link=link)
    # Nearer in time is not what counts then.
    session.change(f'{STEM}_{runs[run - 1]}_bold', AcquisitionTime=rawtrees.clock(62 - run * 20))
    names = [f'dir-{d}_run-{run}_epi.nii.gz' for d in ('AP', 'PA')]
    assert chosen(session.choose(f'{STEM}_{runs[run - 1]}_bold')) == names


@pytest.mark.parametrize(
    ('entry', 'there'),
    [
        (f'ses-TP1/func/{RUN}.nii.gz', True),
        (f'./ses-TP1/func/{RUN}.nii.gz', True),
        (f'bids::sub-01/ses-TP1/func/{RUN}.nii.gz', True),
        (f'bids:raw:sub-01/ses-TP1/func/{RUN}.nii.gz', True),
        (f'sub-01/ses-TP1/func/{RUN}.nii.gz', False),
        (f'func/{RUN}.nii.gz', False),
        (f'ses-TP1/func/{RUN}.nii', False),
        (f'bids::ses-TP1/func/{RUN}.nii.gz', False),
        (f'../sub-01/ses-TP1/func/{RUN}.nii.gz', False),
        (f'bids::../raw/sub-01/ses-TP1/func/{RUN}.nii.gz', False),
        (f'/ses-TP1/func/{RUN}.nii.gz', False),
        ('bids::', False),
        ('ses-TP1/func/a\0b', False),
    ],
)
@pytest.mark.parametrize('as_list', [True, False])
def test_entries_of_intended_for(make, entry, there, as_list):
    session = make(link=None)
    names = [f'{STEM}_dir-{d}_epi' for d in ('AP', 'PA')]
    for name in names:
        session.change(name, IntendedFor=[entry] if as_list else entry)
    everything = session.sets()[0]
    if there:
        assert chosen(session.choose()) == ['dir-AP_epi.nii.gz', 'dir-PA_epi.nii.gz']
        assert everything.notes == ()
    else:
        message = lack(session.choose())
        assert 'no field map is intended for it' in message
        assert message.endswith(everything.notes[-1])
        assert everything.notes == tuple(
            f'{session.json(name)}: IntendedFor names files that are not there: {entry}. They '
            "must be below the participant's folder (such as ses-1/func/...), or BIDS URIs "
            '(bids::sub-01/...).'
            for name in names
        )


def test_many_entries_that_are_not_there(make):
    session = make()
    entries = [f'ses-TP1/func/{RUN}.nii.gz', *(f'func/{i}.nii.gz' for i in range(5))]
    session.change(f'{STEM}_dir-AP_epi', IntendedFor=entries)
    (note,) = session.sets()[0].notes
    assert 'not there: func/0.nii.gz, func/1.nii.gz, func/2.nii.gz and 2 more.' in note
    assert chosen(session.choose()) == ['dir-AP_epi.nii.gz', 'dir-PA_epi.nii.gz']


def test_identifiers_go_before_intended_for(make):
    """Two pairs: the first is intended for the run, the second is its source."""
    session = make(runs=(PA,), field_maps=('epi', 'epi'), link=None)
    for number, direction in itertools.product((1, 2), ('AP', 'PA')):
        name = f'{STEM}_dir-{direction}_run-{number}_epi'
        intended = [f'ses-TP1/func/{RUN}.nii.gz']
        session.change(name, B0FieldIdentifier=[f'map{number}', 'all'], IntendedFor=intended)
    assert chosen(session.choose())[0] == 'dir-AP_run-1_epi.nii.gz'
    session.change(RUN, B0FieldSource=['map2'])
    assert chosen(session.choose())[0] == 'dir-AP_run-2_epi.nii.gz'
    session.change(RUN, B0FieldSource='map2')
    assert chosen(session.choose())[0] == 'dir-AP_run-2_epi.nii.gz'
    session.change(RUN, B0FieldSource=['map2', 'map1'], AcquisitionTime=rawtrees.clock(24))
    assert chosen(session.choose())[0] == 'dir-AP_run-1_epi.nii.gz'


def test_a_source_that_nobody_is(make):
    session = make(link='B0Field')
    session.change(RUN, B0FieldSource='map7')
    assert problem(session.choose()) == (
        f'{session.json(RUN)}: B0FieldSource is map7, and no image of the session says so in '
        'B0FieldIdentifier. Write it into the sidecars of the field maps.'
    )


@pytest.mark.parametrize(
    ('name', 'key', 'value'),
    [
        (RUN, 'B0FieldSource', 3),
        (RUN, 'B0FieldSource', ['a', None]),
        (f'{STEM}_dir-AP_epi', 'B0FieldIdentifier', {'a': 1}),
        (f'{STEM}_dir-AP_epi', 'IntendedFor', 7),
    ],
)
def test_keys_that_are_no_text(make, name, key, value):
    session = make()
    session.change(name, **{key: value})
    said = session.sets()[0].problems or session.choose().problems
    assert said == (
        f'{session.json(name)}: {key} is {value!r}; it must be text, or a list of texts.',
    )


def test_none_is_intended_for_a_run(make):
    session = make(link=None)
    one, other = (session.json(f'{STEM}_dir-{d}_epi') for d in ('AP', 'PA'))
    assert lack(session.choose()) == (
        'no field map is intended for it. Write IntendedFor '
        f'("bids::sub-01/ses-TP1/func/{RUN}.nii.gz") into those of {one}, {other} that are; or '
        f'B0FieldIdentifier there, and the same as B0FieldSource into {session.json(RUN)}.'
    )


def test_all_field_maps_are_for_something_else(make):
    """Then legacy mode can go on: nothing was forgotten."""
    session = make()
    for direction in ('AP', 'PA'):
        name = f'{STEM}_dir-{direction}_epi'
        session.change(name, IntendedFor=[f'ses-TP1/anat/{STEM}_T1w.nii.gz'])
    assert lack(session.choose()).startswith('no field map is intended')


@pytest.mark.parametrize('name', [RUN, f'{STEM}_T1w'])
def test_no_field_map_at_all(make, name):
    session = make(field_maps=())
    assert session.sets() == []
    choice = session.choose(name)
    assert choice.notes == ()
    assert lack(choice) == (
        'there is no field map (sub-*/[ses-*/]fmap) to correct its distortion.'
    )


# --- of several


def several(make, **options):
    """Two pairs, at 10:20 and 10:40, both intended for the run (10:24) and the T1w (10:00)."""
    session = make(field_maps=('epi', 'epi'), link=None, **options)
    for direction, number in itertools.product(('AP', 'PA'), (1, 2)):
        session.change(
            f'{STEM}_dir-{direction}_run-{number}_epi',
            IntendedFor=[f'ses-TP1/func/{RUN}.nii.gz', f'ses-TP1/anat/{STEM}_T1w.nii.gz'],
        )
    return session


@pytest.mark.parametrize(
    ('minutes', 'number', 'seconds'),
    # Means of the pairs: 10:20:30 and 10:40:30.
    [(10, 1, 630), (24, 1, 210), (30, 1, 570), (31, 2, 570), (32, 2, 510), (59, 2, 1110)],
)
def test_the_nearest_in_time(make, minutes, number, seconds):
    session = several(make)
    session.change(RUN, AcquisitionTime=rawtrees.clock(minutes))
    for shuffled in (False, True):
        choice = session.choose(shuffled=shuffled)
        names = [f'dir-{d}_run-{number}_epi.nii.gz' for d in ('AP', 'PA')]
        assert chosen(choice) == names
        assert choice.notes == (
            f'{RUN}.nii.gz: field map {STEM}_{names[0]} and {STEM}_{names[1]}, by IntendedFor; '
            f'of 2, the one with the same shim settings, nearest in time ({seconds} s).',
        )


def test_a_tie_goes_to_the_earlier(make):
    session = several(make)
    for number, minutes in ((1, 50), (2, 10)):
        for direction in ('AP', 'PA'):
            name = f'{STEM}_dir-{direction}_run-{number}_epi'
            session.change(name, AcquisitionTime=rawtrees.clock(minutes))
    session.change(RUN, AcquisitionTime=rawtrees.clock(30))
    assert chosen(session.choose())[0] == 'dir-AP_run-2_epi.nii.gz'


def test_past_midnight(make):
    session = several(make)
    times = {1: '23:40:00', 2: '00:05:00'}
    for number, direction in itertools.product((1, 2), ('AP', 'PA')):
        name = f'{STEM}_dir-{direction}_run-{number}_epi'
        session.change(name, AcquisitionTime=times[number])
    session.change(RUN, AcquisitionTime='23:58:00')
    assert chosen(session.choose())[0] == 'dir-AP_run-2_epi.nii.gz'


def test_shims_go_before_time(make):
    session = several(make)
    for direction in ('AP', 'PA'):
        session.change(f'{STEM}_dir-{direction}_run-1_epi', ShimSetting=OTHER_SHIMS)
    assert chosen(session.choose())[0] == 'dir-AP_run-2_epi.nii.gz'
    session.change(RUN, ShimSetting=OTHER_SHIMS)
    assert chosen(session.choose())[0] == 'dir-AP_run-1_epi.nii.gz'
    # Known for none: time counts.
    session.change(RUN, ShimSetting=None)
    choice = session.choose()
    assert chosen(choice)[0] == 'dir-AP_run-1_epi.nii.gz'
    assert 'of 2, the one nearest in time (210 s)' in choice.notes[0]


def test_a_single_pair_with_other_shims_is_noted(make):
    session = make()
    for direction in ('AP', 'PA'):
        session.change(f'{STEM}_dir-{direction}_epi', ShimSetting=OTHER_SHIMS)
    assert (
        session.choose()
        .notes[0]
        .endswith('by IntendedFor, with other shim settings than the image.')
    )


def test_without_times_the_first_by_name(make):
    session = several(make, timed=False)
    for name in ('AP_run-1', 'PA_run-1', 'AP_run-2', 'PA_run-2'):
        session.change(f'{STEM}_dir-{name}_epi', AcquisitionTime=None)
    choice = session.choose()
    assert chosen(choice)[0] == 'dir-AP_run-1_epi.nii.gz'
    assert 'the first by name, since AcquisitionTime is missing' in choice.notes[0]


def test_images_of_two_pairs_are_not_mixed(make):
    """By polarity alone, those of 10:21 (PA) and 10:40 (AP) would be nearest to 10:31."""
    session = several(make)
    session.change(f'{STEM}_dir-AP_run-1_epi', AcquisitionTime='10:20:00')
    session.change(f'{STEM}_dir-PA_run-2_epi', AcquisitionTime='10:44:00')
    session.change(RUN, AcquisitionTime='10:31:00')
    assert chosen(session.choose()) == [f'dir-{d}_run-1_epi.nii.gz' for d in ('AP', 'PA')]


def test_a_repeated_polarity(make):
    """The one that is nearest to its partner, with its shims, is of the pair."""
    session = make()
    intended = [f'ses-TP1/func/{RUN}.nii.gz']
    path = session.fmap / f'{STEM}_dir-AP_run-2_epi.nii.gz'
    echo_planar(path, minutes=22.0, volumes=3, IntendedFor=intended)
    assert chosen(session.choose()) == ['dir-AP_epi.nii.gz', 'dir-PA_epi.nii.gz']
    session.change(f'{STEM}_dir-AP_epi', ShimSetting=OTHER_SHIMS)
    assert chosen(session.choose()) == ['dir-AP_run-2_epi.nii.gz', 'dir-PA_epi.nii.gz']


def test_a_pair_that_does_not_fit_is_passed_over(make):
    session = several(make)
    for direction in ('AP', 'PA'):
        path = session.fmap / f'{STEM}_dir-{direction}_run-1_epi.nii.gz'
        rawtrees.image(path, (96, 90, 72), rawtrees.BOLD_ZOOMS, orientation='LAS')
    choice = session.choose()
    assert chosen(choice)[0] == 'dir-AP_run-2_epi.nii.gz'
    assert 'have 104 x 90 x 72 and 96 x 90 x 72 voxels' in choice.notes[1]
    assert choice.notes[1].endswith('It is not used.')


def test_a_t1w_that_none_is_intended_for(make):
    session = make(runs=(PA,), field_maps=('epi', 'epi'), link=None)
    choice = session.choose(f'{STEM}_T1w')
    assert chosen(choice)[0] == 'dir-AP_run-1_epi.nii.gz'
    assert choice.notes == (
        f'{STEM}_T1w.nii.gz: field map {STEM}_dir-AP_run-1_epi.nii.gz and '
        f'{STEM}_dir-PA_run-1_epi.nii.gz, which no key says is for it; of 2, the one with the '
        'same shim settings, nearest in time (1230 s).',
    )
    session.change(f'{STEM}_T1w', ShimSetting=OTHER_SHIMS)
    for direction in ('AP', 'PA'):
        session.change(f'{STEM}_dir-{direction}_run-2_epi', ShimSetting=OTHER_SHIMS)
    assert chosen(session.choose(f'{STEM}_T1w'))[0] == 'dir-AP_run-2_epi.nii.gz'


def test_a_t1w_beside_identified_pairs(make):
    runs = ('task-carit_dir-PA_run-1', 'task-carit_dir-PA_run-2')
    session = make(runs=runs, field_maps=('epi', 'epi'), link='B0Field')
    session.change(f'{STEM}_T1w', B0FieldSource=None)
    choice = session.choose(f'{STEM}_T1w')
    assert chosen(choice)[0] == 'dir-AP_run-1_epi.nii.gz'
    assert 'which no key says is for it' in choice.notes[0]


def test_a_t1w_for_which_no_field_map_can_be_used(make):
    session = make(link=None)
    for path in session.fmap.glob('*_dir-AP_*'):
        path.unlink()
    assert lack(session.choose(f'{STEM}_T1w')).startswith('only one polarity')


# --- pairs that are none


def test_one_polarity(make):
    session = make()
    for path in session.fmap.glob('*_dir-AP_*'):
        path.unlink()
    assert lack(session.choose()) == (
        'only one polarity of the phase encoding is there to correct distortion: '
        f'{session.fmap}/{STEM}_dir-PA_epi.nii.gz (j), and none with j-. Check '
        'PhaseEncodingDirection, or add the image of the other polarity.'
    )


def test_two_images_of_one_polarity(make):
    session = make()
    session.change(f'{STEM}_dir-AP_epi', PhaseEncodingDirection='j')
    assert 'dir-AP_epi.nii.gz (j), ' in lack(session.choose())
    assert 'dir-PA_epi.nii.gz (j), and none with j-. Check' in lack(session.choose())


def test_the_sign_decides_not_the_label(make):
    session = make()
    session.change(f'{STEM}_dir-AP_epi', PhaseEncodingDirection='j')
    session.change(f'{STEM}_dir-PA_epi', PhaseEncodingDirection='j-')
    found = session.choose().field_map
    assert found.negative.name == f'{STEM}_dir-PA_epi.nii.gz'
    assert found.positive.name == f'{STEM}_dir-AP_epi.nii.gz'


def test_different_axes(make):
    session = make()
    session.change(f'{STEM}_dir-AP_epi', PhaseEncodingDirection='i-')
    assert lack(session.choose()).startswith('the phase encodings of ')
    assert 'have no axis in common' in lack(session.choose())


@pytest.mark.parametrize('key', ['PhaseEncodingDirection', 'EffectiveEchoSpacing'])
def test_missing_keys(make, key):
    session = make()
    name = f'{STEM}_dir-AP_epi'
    session.change(name, **{key: None, 'TotalReadoutTime': None})
    assert problem(session.choose()).startswith(f'{session.json(name)}: {key} is missing')


@pytest.mark.parametrize('key', ['PhaseEncodingDirection', 'EffectiveEchoSpacing'])
def test_missing_keys_of_the_run(make, key):
    session = make()
    session.change(RUN, **{key: None, 'TotalReadoutTime': None})
    assert problem(session.choose()).startswith(f'{session.json(RUN)}: {key} is missing')


def test_all_missing_keys_are_said_at_once(make):
    session = make()
    for direction in ('AP', 'PA'):
        session.change(f'{STEM}_dir-{direction}_epi', PhaseEncodingDirection=None)
    assert len(session.choose().problems) == 2


def test_echo_spacings_of_a_pair(make):
    session = make()
    session.change(f'{STEM}_dir-AP_epi', EffectiveEchoSpacing=0.00069, TotalReadoutTime=None)
    assert problem(session.choose()) == (
        f'{session.fmap}/{STEM}_dir-AP_epi.nii.gz and {session.fmap}/{STEM}_dir-PA_epi.nii.gz are '
        'no pair of field maps: their effective echo spacings are 0.00069 and 0.00058 s. Check '
        'EffectiveEchoSpacing (or TotalReadoutTime) in their sidecars.'
    )


def test_echo_spacing_of_the_run(make):
    session = make()
    session.change(RUN, EffectiveEchoSpacing=0.00069)
    assert 'differ in effective echo spacing: 0.00069 and 0.00058 s' in problem(session.choose())
    # The T1w has none.
    assert chosen(session.choose(f'{STEM}_T1w'))


@pytest.mark.parametrize(
    ('shape', 'zooms', 'orientation', 'said'),
    [
        ((90, 104, 72), (2.0, 2.0, 2.0), 'LAS', '90 x 104 x 72'),
        ((104, 90, 60), (2.0, 2.0, 2.0), 'LAS', '104 x 90 x 60'),
        ((104, 90, 72), (2.0, 2.0, 2.4), 'LAS', '2 x 2 x 2.4'),
        ((104, 90, 72), (2.0, 2.0, 2.0), 'LPS', 'voxel axes'),
    ],
)
@pytest.mark.parametrize('which', ['run', 'one'])
def test_geometry(make, shape, zooms, orientation, said, which):
    session = make()
    for direction in ('AP', 'PA') if which == 'run' else ('AP',):
        path = session.fmap / f'{STEM}_dir-{direction}_epi.nii.gz'
        rawtrees.image(path, (*shape, 3), (*zooms, 8.0), orientation=orientation)
    message = problem(session.choose())
    assert said in message
    needs = 'the HCP pipelines need the same grid' if which == 'run' else 'are no pair'
    assert needs in message
    if which == 'run' and orientation == 'LAS':
        # A T1w image has its own grid anyway.
        assert chosen(session.choose(f'{STEM}_T1w'))


def test_rounded_voxel_sizes_are_the_same(make):
    session = make()
    path = session.fmap / f'{STEM}_dir-AP_epi.nii.gz'
    rawtrees.image(path, (*rawtrees.BOLD, 3), (2.0002, 2.0, 1.9999, 8.0), orientation='LAS')
    assert chosen(session.choose())


def test_axis_of_the_run(make):
    session = make()
    session.change(RUN, PhaseEncodingDirection='i')
    message = problem(session.choose())
    assert 'are encoded along different axes: PhaseEncodingDirection is i, and j- and j' in message


def test_pairs_along_k(make):
    session = make()
    session.change(f'{STEM}_dir-AP_epi', PhaseEncodingDirection='k-')
    session.change(f'{STEM}_dir-PA_epi', PhaseEncodingDirection='k')
    assert 'topup takes field maps along i and j only' in problem(session.choose())


@pytest.mark.parametrize('name', [RUN, f'{STEM}_T1w'])
def test_orientations_that_upstream_does_not_handle(make, name):
    session = make()
    for path in (*session.fmap.glob('*epi.nii.gz'), *session.func.glob('*.nii.gz')):
        rawtrees.image(path, rawtrees.BOLD, rawtrees.BOLD_ZOOMS, orientation='LPS')
    choice = session.choose(name)
    assert 'its voxel axes go to L, P, S' in problem(choice)


# --- images of func


def sources(make, suffix='sbref', identified=True):
    """An AP epi in fmap; the other polarity is an image of the run (PA)."""
    session = make(link='B0Field')
    for path in session.fmap.glob('*_dir-PA_*'):
        path.unlink()
    if identified:
        session.change(f'{STEM}_{PA}_{suffix}', B0FieldIdentifier='map0')
    return session


def test_a_reference_as_the_other_polarity(make):
    choice = sources(make).choose()
    assert chosen(choice) == ['dir-AP_epi.nii.gz', f'{PA}_sbref.nii.gz']
    assert choice.notes[1] == (
        f'{STEM}_{PA}_sbref.nii.gz is no spin echo: the bias field of the receive coil is '
        f'estimated less well with it ({RUN}.nii.gz).'
    )


def test_a_reference_that_no_identifier_names(make):
    assert lack(sources(make, identified=False).choose()).startswith('only one polarity')


def test_a_whole_series_is_no_field_map(make):
    message = lack(sources(make, 'bold').choose())
    assert message.endswith(
        'A whole series cannot be used; write B0FieldIdentifier into '
        f'{STEM}_{PA}_sbref.json instead.'
    )


def test_references_alone(make):
    session = make(runs=(AP, 'task-carit_dir-PA_run-2'), field_maps=())
    for run in (AP, 'task-carit_dir-PA_run-2'):
        session.change(f'{STEM}_{run}_sbref', B0FieldIdentifier='pepolar')
        session.change(f'{STEM}_{run}_bold', B0FieldSource='pepolar')
    names = [f'{AP}_sbref.nii.gz', 'task-carit_dir-PA_run-2_sbref.nii.gz']
    assert chosen(session.choose(f'{STEM}_{AP}_bold')) == names
    assert chosen(session.choose(f'{STEM}_T1w')) == names


# --- gradient echoes


def gradient(make):
    session = make(field_maps=('phasediff',))
    return session, session.json(f'{STEM}_phasediff')


def test_a_phase_difference(make):
    session, _ = gradient(make)
    assert session.choose()._replace(candidates=()) == Choice(
        GradientEcho(
            session.fmap / f'{STEM}_magnitude1.nii.gz',
            session.fmap / f'{STEM}_phasediff.nii.gz',
            2.46,
        ),
        (f'{RUN}.nii.gz: field map {STEM}_phasediff.nii.gz, by IntendedFor.',),
    )


def test_only_the_phase_difference_is_intended(make):
    session, _ = gradient(make)
    for number in (1, 2):
        session.change(f'{STEM}_magnitude{number}', IntendedFor=None)
    assert chosen(session.choose()) == ['magnitude1.nii.gz', 'phasediff.nii.gz']


def test_echo_times_of_the_magnitudes(make):
    session, _ = gradient(make)
    session.change(f'{STEM}_phasediff', EchoTime1=None, EchoTime2=None)
    assert session.choose().field_map.echo_difference == 2.46


def test_the_second_magnitude_will_do(make):
    session, _ = gradient(make)
    (session.fmap / f'{STEM}_magnitude1.nii.gz').unlink()
    assert chosen(session.choose()) == ['magnitude2.nii.gz', 'phasediff.nii.gz']


@pytest.mark.parametrize(
    ('keys', 'said'),
    [
        ({'EchoTime1': 4.92, 'EchoTime2': 7.38}, '4.92 and 7.38, 2460 ms apart. This cannot be'),
        ({'EchoTime1': 0.00738, 'EchoTime2': 0.00492}, '-2.46 ms apart. This cannot be'),
        ({'EchoTime1': '4.92'}, "EchoTime1 is '4.92'; it must be a number of seconds above 0."),
        ({'Manufacturer': 'GE'}, "Manufacturer is 'GE', and gradient-echo field maps of other"),
        ({'Manufacturer': 'Philips'}, "Manufacturer is 'Philips', and gradient-echo"),
    ],
)
def test_wrong_phase_differences(make, keys, said):
    session, path = gradient(make)
    change(Path(path), **keys)
    assert problem(session.choose()).startswith(f'{path}: ')
    assert said in problem(session.choose())


@pytest.mark.parametrize('maker', [None, '', ' '])
def test_a_phase_difference_of_an_unknown_maker(make, maker):
    session, path = gradient(make)
    change(Path(path), Manufacturer=maker)
    choice = session.choose()
    assert chosen(choice) == ['magnitude1.nii.gz', 'phasediff.nii.gz']
    assert choice.notes[1:] == (
        f'{STEM}_phasediff.nii.gz: Manufacturer is missing; it is taken as one of Siemens',
    )


@pytest.mark.parametrize('value', ['', 'noon', 7])
def test_times_that_are_none_are_noted_if_they_would_decide(make, value):
    session = several(make)
    session.change(RUN, AcquisitionTime=value, ShimSetting=value)
    choice = session.choose()
    assert chosen(choice)[0] == 'dir-AP_run-1_epi.nii.gz'
    assert choice.notes[1:] == (
        f'{RUN}.nii.gz: AcquisitionTime is {value!r}, not a time such as "10:20:30.5"; it is not '
        'known',
        f'{RUN}.nii.gz: ShimSetting is {value!r}, not a list of numbers; it is not known',
    )


@pytest.mark.parametrize('value', ['', 'noon', 7])
def test_times_that_are_none_do_not_matter_to_a_single_pair(make, value):
    session = make()
    session.change(RUN, AcquisitionTime=value, AcquisitionDateTime=value, ShimSetting=value)
    session.change(f'{STEM}_dir-AP_epi', AcquisitionTime=value, ShimSetting=value)
    choice = session.choose()
    assert chosen(choice) == ['dir-AP_epi.nii.gz', 'dir-PA_epi.nii.gz']
    assert len(choice.notes) == 1


@pytest.mark.parametrize('link', ['IntendedFor', 'B0Field'])
def test_a_field_map_for_the_reference_only(make, link):
    session = make(link=link)
    reference = f'{STEM}_{PA}_sbref'
    if link == 'B0Field':
        session.change(RUN, B0FieldSource=None)
        why = f'by B0FieldSource (map0) of its SBRef {reference}.nii.gz only'
    else:
        for direction in ('AP', 'PA'):
            name = f'{STEM}_dir-{direction}_epi'
            session.change(name, IntendedFor=f'ses-TP1/func/{reference}.nii.gz')
        why = f'by IntendedFor, which names its SBRef {reference}.nii.gz only'
    images, sidecars = session.images(), Sidecars(session.root)
    target, of = (
        next(image for image in images if image.path.name == f'{name}.nii.gz')
        for name in (RUN, reference)
    )
    choice = choose_field_map(target, find_field_maps(images, sidecars), sidecars, of)
    assert chosen(choice) == ['dir-AP_epi.nii.gz', 'dir-PA_epi.nii.gz']
    assert choice.notes[0].endswith(f'_epi.nii.gz, {why}.')
    assert lack(session.choose()).startswith('no field map is intended')


def test_a_missing_echo_time(make):
    session, path = gradient(make)
    change(Path(path), EchoTime2=None)
    session.change(f'{STEM}_magnitude2', EchoTime=None)
    assert problem(session.choose()).startswith(f'{path}: EchoTime2 is missing.')


def test_missing_magnitudes(make):
    session, _ = gradient(make)
    for path in session.fmap.glob('*magnitude*'):
        path.unlink()
    assert f'its magnitude image {STEM}_magnitude1.nii.gz is missing' in problem(session.choose())


def test_magnitudes_of_another_grid(make):
    session, _ = gradient(make)
    rawtrees.image(session.fmap / f'{STEM}_magnitude1.nii.gz', (64, 64, 54), (3.0, 3.0, 2.5))
    assert '104 x 104 x 54 and 64 x 64 x 54 voxels: convert them' in problem(session.choose())


def test_magnitudes_alone(make):
    session, _ = gradient(make)
    for path in session.fmap.glob('*phasediff*'):
        path.unlink()
    assert 'lacks the image of the field' in problem(session.choose())


@pytest.mark.parametrize(
    ('suffixes', 'said'),
    [
        (('phase1', 'phase2', 'magnitude1', 'magnitude2'), 'two phase images (phase1, phase2)'),
        (('fieldmap', 'magnitude'), 'field maps in Hz (fieldmap) are not supported'),
    ],
)
def test_kinds_that_are_not_supported(make, suffixes, said):
    session = make(field_maps=())
    for suffix in suffixes:
        path = session.fmap / f'{STEM}_{suffix}.nii.gz'
        echo_planar(path, IntendedFor=[f'ses-TP1/func/{RUN}.nii.gz'])
    assert said in problem(session.choose())
    assert 'the query fmap of --bids-filter-file' in problem(session.choose())


def test_the_nearest_phase_difference(make):
    session = make(field_maps=('phasediff', 'phasediff'), link=None)
    assert chosen(session.choose(f'{STEM}_T1w'))[1] == 'run-1_phasediff.nii.gz'
    for number in (1, 2):
        intended = [f'ses-TP1/func/{RUN}.nii.gz']
        session.change(f'{STEM}_run-{number}_phasediff', IntendedFor=intended)
    session.change(RUN, AcquisitionTime=rawtrees.clock(39))
    choice = session.choose()
    assert chosen(choice) == ['run-2_magnitude1.nii.gz', 'run-2_phasediff.nii.gz']
    assert 'of 2, the one with the same shim settings, nearest in time (60 s)' in choice.notes[0]


def test_spin_echoes_go_before_gradient_echoes(make):
    session = make()
    phase_difference(session.fmap, STEM, IntendedFor=[f'ses-TP1/func/{RUN}.nii.gz'])
    assert chosen(session.choose()) == ['dir-AP_epi.nii.gz', 'dir-PA_epi.nii.gz']
    # But not half a pair.
    for path in session.fmap.glob('*_dir-AP_*'):
        path.unlink()
    said = f'{session.func / RUN}.nii.gz: only one polarity'
    assert problem(session.choose()).startswith(said)


# --- contradictions


def test_no_contradictions(make):
    assert make(runs=(PA, AP)).contradictions() == []
    assert make(field_maps=()).contradictions() == []


def test_a_run_against_its_reference(make):
    session = make()
    session.change(f'{STEM}_{PA}_sbref', PhaseEncodingDirection='j-')
    assert session.contradictions() == [
        f'PhaseEncodingDirection is j in {session.json(RUN)}, but j- in '
        f'{session.json(f"{STEM}_{PA}_sbref")}, of the same run. Correct the one that is wrong.'
    ]


def test_one_label_with_two_signs(make):
    session = make(reference=False)
    session.change(RUN, PhaseEncodingDirection='j-')
    (message,) = session.contradictions()
    assert message.startswith('dir-PA has opposite or different directions in one session: ')
    assert f'j in {session.json(f"{STEM}_dir-PA_epi")}' in message
    assert f'j- in {session.json(RUN)}' in message


def test_two_labels_with_one_sign(make):
    session = make()
    session.change(f'{STEM}_dir-AP_epi', PhaseEncodingDirection='j')
    (message,) = session.contradictions()
    assert message.startswith('dir-AP and dir-PA have the same direction: ')
    assert session.json(f'{STEM}_dir-AP_epi') in message


def test_signs_of_other_voxel_axes(make):
    """LR runs along i in a RAS image, and against it in a LAS image."""
    session = make(runs=('task-a_dir-LR_run-1',), field_maps=(), reference=False)
    path = session.func / f'{STEM}_task-b_dir-LR_run-1_bold.nii.gz'
    echo_planar(path)
    rawtrees.image(path, rawtrees.BOLD, rawtrees.BOLD_ZOOMS, orientation='RAS')
    assert len(session.contradictions()) == 1
    session.change(path.name.removesuffix('.nii.gz'), PhaseEncodingDirection='i')
    assert session.contradictions() == []


def test_missing_directions_are_no_contradiction(make):
    session = make()
    session.change(f'{STEM}_dir-AP_epi', PhaseEncodingDirection=None)
    session.change(RUN, PhaseEncodingDirection='PA')
    assert session.contradictions() == []


# --- properties


class Said:
    """Sidecars of images that are not on disk."""

    def __init__(self, content):
        self.bids_dir = Path('/raw')
        self.content = content

    def value(self, path, key):
        value = self.content[path].get(key)
        return None if value is None else (value, path.with_suffix('.json'))


def picture(name, **labels):
    path = Path('/raw/sub-01') / ('fmap' if name.endswith('epi') else 'func') / f'{name}.nii'
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    return RawImage(path, {'sub': '01', **labels}, (90, 90, 60), (2.0, 2.0, 2.0), affine)


scans = st.tuples(
    st.sampled_from(['j', 'j-']),
    st.one_of(st.none(), st.integers(0, 86399)),
    st.sampled_from([None, (1, 2), (3, 4)]),
)


@given(st.lists(scans, min_size=1, max_size=7), scans, st.randoms(use_true_random=False))
def test_the_choice(members, run, random):
    """The order of files is no matter; signs are right; no pair is left that is better."""
    content = {}

    def add(name, scan, **keys):
        image = picture(name, number=name)
        direction, time, shimmed = scan
        content[image.path] = {
            'PhaseEncodingDirection': direction,
            'EffectiveEchoSpacing': 0.00058,
            'AcquisitionTime': time
            if time is None
            else f'{time // 3600:02d}:{time // 60 % 60:02d}:{time % 60:02d}',
            'ShimSetting': None if shimmed is None else list(shimmed),
            **keys,
        }
        return image

    maps = [add(f'{i}_epi', scan, B0FieldIdentifier='a') for i, scan in enumerate(members)]
    target = add('run_bold', run, B0FieldSource='a')
    sidecars = Said(content)
    choice = choose_field_map(target, find_field_maps(maps, sidecars), sidecars)
    shuffled = random.sample(maps, len(maps))
    assert choose_field_map(target, find_field_maps(shuffled, sidecars), sidecars) == choice
    both = {direction for direction, _, _ in members} == {'j', 'j-'}
    assert (choice.field_map is not None) == both
    assert bool(choice.lacking) != both
    assert choice.problems == ()
    if not both:
        return
    taken = [int(path.name.split('_')[0]) for path in choice.field_map.files]
    assert [members[i][0] for i in taken] == ['j-', 'j']
    # With times and shims of all, a pair of the target's shims that stands alone in being so
    # is the one that is taken.
    fitting = [i for i, (_, _, shimmed) in enumerate(members) if shimmed == run[2]]
    if run[2] is not None and {members[i][0] for i in fitting} == {'j', 'j-'}:
        known = all(shimmed is not None for _, _, shimmed in members)
        if known:
            assert set(taken) <= set(fitting)
    if all(s == members[0][2] for _, _, s in members) and None not in (
        run[1],
        *(time for _, time, _ in members),
    ):
        # The pair acquired closest together can only lose to one that is nearer to the run.
        def gap(i, j):
            return seconds_apart(members[i][1], members[j][1])

        def far(i, j):
            return (
                seconds_apart(members[i][1], run[1]) + seconds_apart(members[j][1], run[1])
            ) / 2

        combinations = [
            (i, j)
            for i, j in itertools.product(range(len(members)), repeat=2)
            if members[i][0] == 'j-' and members[j][0] == 'j'
        ]
        closest = min(combinations, key=lambda pair: gap(*pair))
        assert far(*taken) <= far(*closest) + 1e-3 or gap(*taken) == gap(*closest)


ODD = (None, True, 0, -1, 0.5, 10**400, float('nan'), float('inf'), '', 'x', 'j', 'k-', 'a\0')
ODD += ([], [1], [None], ['a', 'a'], ['b'], {}, {'a': 1}, '25:00:00', '::', 'bids:', '/', '..')
KEYS = (
    *('PhaseEncodingDirection', 'EffectiveEchoSpacing', 'TotalReadoutTime', 'ReconMatrixPE'),
    *('BandwidthPerPixelPhaseEncode', 'AcquisitionTime', 'AcquisitionDateTime', 'ShimSetting'),
    *('IntendedFor', 'B0FieldIdentifier', 'B0FieldSource', 'Manufacturer', 'EchoTime1'),
)
NAMES = ('0_epi', '1_epi', '2_epi', 'run_sbref', 'run_bold')
change_of_one = st.tuples(st.integers(0, 4), st.sampled_from(KEYS), st.sampled_from(ODD))


@given(st.lists(change_of_one, max_size=8))
def test_nothing_in_a_sidecar_is_fatal(changes):
    """Whatever a file says, there is a choice, or a reason why there is none."""
    images = [picture(name) for name in NAMES]
    content = {
        image.path: {
            'PhaseEncodingDirection': 'j-' if number % 2 else 'j',
            'EffectiveEchoSpacing': 0.00058,
            'TotalReadoutTime': 0.05162,
            'B0FieldSource' if image.datatype == 'func' else 'B0FieldIdentifier': 'a',
        }
        for number, image in enumerate(images)
    }
    for number, key, value in changes:
        content[images[number].path][key] = value
    sidecars = Said(content)
    sets = find_field_maps(images, sidecars)
    for message in contradictions(images, sidecars):
        assert 'PhaseEncodingDirection' in message
    choice = choose_field_map(images[-1], sets, sidecars)
    assert (choice.field_map is not None) + bool(choice.problems) + bool(choice.lacking) == 1
    if not changes:
        assert choice.field_map is not None
