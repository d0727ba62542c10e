"""Values of the acquisition, from sidecars."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.io.raw.acquisition import (
    DIRECTIONS,
    as_axis,
    as_number,
    effective_echo_spacing,
    is_siemens,
    milliseconds,
    phase_encoding,
    readout_direction,
    same_spacing,
    sample_spacing,
    template_size,
)
from ketbids.io.raw.images import read_image
from ketbids.io.raw.nearness import acquisition_time, odd_values, seconds_apart, shims
from ketbids.io.raw.orientation import (
    patient_direction,
    slice_plane,
    unsupported_orientation,
    voxel_axes,
)
from ketbids.io.raw.sidecars import Sidecars
from tests.io.rawtrees import image, sidecar

BOLD = 'sub-01_task-carit_bold'


@pytest.fixture
def make(tmp_path):
    """Make an image of the dataset with a sidecar; give it and the reader of sidecars."""

    def make(name=BOLD, shape=(104, 90, 72), orientation='LAS', zooms=(2.0, 2.0, 2.0), **keys):
        path = tmp_path / f'{name}.nii.gz'
        image(path, shape, zooms, orientation=orientation)
        sidecar(path, **keys)
        return read_image(path), Sidecars(tmp_path)

    return make


# --- numbers on a command line


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (7.4e-06, '0.0000074'),
        (2.1e-06, '0.0000021'),
        (0.00058, '0.00058'),
        (0.000580002668012, '0.000580002668012'),
        (2.46, '2.46'),
        (0.0522 / 89, '0.0005865168539325843'),
        (2.0, '2'),
        (150, '150'),
        (1e22, '10000000000000000000000'),
        (0.0, '0'),
        (-0.0, '0'),
        (-1.5, '-1.5'),
    ],
)
def test_numbers_are_exact_and_without_exponent(value, text):
    assert as_number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives(value):
    text = as_number(value)
    assert float(text) == value
    assert set(text) <= set('-.0123456789')
    assert text.count('.') <= 1
    assert not text.endswith('.')


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_no_number(value):
    with pytest.raises(ValueError, match='cannot be written on a command line'):
        as_number(value)


@given(st.decimals('0.0005', '0.05', places=6), st.decimals('0.0005', '0.05', places=6))
def test_echo_differences_have_no_binary_error(early, late):
    assert milliseconds(float(late), float(early)) == float((late - early) * 1000)
    assert Decimal(as_number(milliseconds(0.00738, 0.00492))) == Decimal('2.46')


# --- phase encoding


@pytest.mark.parametrize(
    ('direction', 'axis'),
    list(zip(DIRECTIONS, ('x', 'x-', 'y', 'y-', 'z', 'z-'), strict=True)),
)
def test_directions(make, direction, axis):
    assert phase_encoding(*make(PhaseEncodingDirection=direction)) == direction
    assert as_axis(direction) == axis


def test_missing_direction(make, tmp_path):
    with pytest.raises(InputError) as error:
        phase_encoding(*make())
    assert str(error.value) == (
        f'{tmp_path / BOLD}.json: PhaseEncodingDirection is missing, for {BOLD}.nii.gz. Write '
        'there the direction of the phase encoding, such as "j-".'
    )


@pytest.mark.parametrize('value', ['y-', '-j', 'AP', '', 1, ['j'], True, 'J'])
def test_wrong_direction(make, tmp_path, value):
    with pytest.raises(InputError) as error:
        phase_encoding(*make(PhaseEncodingDirection=value))
    assert str(error.value).startswith(
        f'{tmp_path / BOLD}.json: PhaseEncodingDirection is {value!r}; it must be one of i, i-, '
    )


def test_the_file_that_says_it_is_named(make, tmp_path):
    (tmp_path / 'task-carit_bold.json').write_text(json.dumps({'PhaseEncodingDirection': 'PA'}))
    with pytest.raises(InputError, match=r'/task-carit_bold\.json: PhaseEncodingDirection is'):
        phase_encoding(*make())


# --- echo spacing


def test_echo_spacing_as_it_is(make):
    found = effective_echo_spacing(*make(EffectiveEchoSpacing=0.00058))
    assert found == (0.00058, None)


def test_echo_spacing_needs_no_direction_if_it_is_said(make):
    found = effective_echo_spacing(*make(EffectiveEchoSpacing=0.00058, TotalReadoutTime=0.05))
    assert found == (0.00058, None)


@pytest.mark.parametrize(
    ('direction', 'keys', 'expected', 'size'),
    [
        # N is the size of the image along its phase encoding.
        ('j', {'TotalReadoutTime': 0.05162}, 0.05162 / 89, '90 (size of the image along'),
        ('i-', {'TotalReadoutTime': 0.05162}, 0.05162 / 103, '104 (size of the image along'),
        ('j', {'TotalReadoutTime': 0.05162, 'ReconMatrixPE': 104}, 0.05162 / 103, '104 (Recon'),
        # Siemens: bandwidth per pixel (0019,1028) and reconstructed lines.
        (
            'j',
            {'BandwidthPerPixelPhaseEncode': 19.157, 'ReconMatrixPE': 90},
            1 / (19.157 * 90),
            '90 (ReconMatrixPE)',
        ),
        ('i', {'BandwidthPerPixelPhaseEncode': 19.157}, 1 / (19.157 * 104), '104 (size of'),
        # The readout time goes before the bandwidth.
        (
            'j',
            {'TotalReadoutTime': 0.05162, 'BandwidthPerPixelPhaseEncode': 30.0},
            0.05162 / 89,
            '90 (size of',
        ),
    ],
)
def test_echo_spacing_by_other_keys(make, direction, keys, expected, size):
    found = effective_echo_spacing(*make(PhaseEncodingDirection=direction, **keys))
    assert found.value == expected
    name = 'TotalReadoutTime' if 'TotalReadoutTime' in keys else 'BandwidthPerPixelPhaseEncode'
    assert found.note.startswith(f'{BOLD}.nii.gz: no EffectiveEchoSpacing; ')
    assert f'{name}' in found.note
    assert f'of {BOLD}.json, N = {size}' in found.note


def test_all_keys_of_one_sequence_agree(make):
    """HCP-Lifespan: 0.58 ms, 90 lines."""
    lines, spacing = 90, 0.00058
    keys = [
        {'EffectiveEchoSpacing': spacing},
        {'TotalReadoutTime': spacing * (lines - 1)},
        {'BandwidthPerPixelPhaseEncode': 1 / (spacing * lines)},
    ]
    for given_keys in keys:
        found = effective_echo_spacing(*make(PhaseEncodingDirection='j-', **given_keys))
        assert found.value == pytest.approx(spacing, rel=1e-12)


@pytest.mark.parametrize(
    'keys',
    [
        {'EffectiveEchoSpacing': 0.58},  # ms
        {'EffectiveEchoSpacing': 580},  # us
        {'EffectiveEchoSpacing': 5.8e-07},
        {'TotalReadoutTime': 51.6},  # ms
        {'TotalReadoutTime': 0.0000516},
        {'BandwidthPerPixelPhaseEncode': 0.019157},  # kHz
        {'BandwidthPerPixelPhaseEncode': 1915.7},
    ],
)
def test_implausible_echo_spacing(make, tmp_path, keys):
    key, value = next(iter(keys.items()))
    with pytest.raises(InputError) as error:
        effective_echo_spacing(*make(PhaseEncodingDirection='j', **keys))
    message = str(error.value)
    assert message.startswith(f'{tmp_path / BOLD}.json: {key} is {as_number(value)}')
    assert 'echo spacings are 0.00005 to 0.05 s. Times must be in seconds' in message
    assert ('which makes the effective' in message) == (key != 'EffectiveEchoSpacing')


def test_long_echo_spacings_are_noted(make):
    said = 's is unusually long (the usual is up to 0.005 s)'
    assert effective_echo_spacing(*make(EffectiveEchoSpacing=0.005)).note is None
    found = effective_echo_spacing(*make(EffectiveEchoSpacing=0.02))
    assert found == (0.02, f'{BOLD}.nii.gz: an effective echo spacing of 0.02 {said}')
    # A readout time of an image of a few lines.
    found = effective_echo_spacing(
        *make(PhaseEncodingDirection='j', TotalReadoutTime=0.06, ReconMatrixPE=4)
    )
    assert found.value == pytest.approx(0.02)
    assert found.note.startswith(f'{BOLD}.nii.gz: no EffectiveEchoSpacing; 0.02 s is TotalReadout')
    assert found.note.endswith(said)


@pytest.mark.parametrize('key', ['EffectiveEchoSpacing', 'TotalReadoutTime', 'ReconMatrixPE'])
@pytest.mark.parametrize('value', ['0.00058', 0, -0.00058, True, [0.1]])
def test_no_positive_number(make, key, value):
    keys = {'PhaseEncodingDirection': 'j', 'TotalReadoutTime': 0.05, key: value}
    with pytest.raises(InputError, match=rf'{BOLD}\.json: {key} is .* must be a number above 0'):
        effective_echo_spacing(*make(**keys))


@pytest.mark.parametrize('value', [89.5, 1])
def test_lines_that_cannot_be(make, value):
    keys = {'PhaseEncodingDirection': 'j', 'TotalReadoutTime': 0.05, 'ReconMatrixPE': value}
    with pytest.raises(InputError, match='must be the number of lines of the image'):
        effective_echo_spacing(*make(**keys))


def test_missing_echo_spacing(make, tmp_path):
    with pytest.raises(InputError) as error:
        effective_echo_spacing(*make(PhaseEncodingDirection='j'))
    assert str(error.value).startswith(f'{tmp_path / BOLD}.json: EffectiveEchoSpacing is missing')
    assert 'TotalReadoutTime' in str(error.value)


def test_readout_time_needs_the_direction(make):
    with pytest.raises(InputError, match='PhaseEncodingDirection is missing'):
        effective_echo_spacing(*make(TotalReadoutTime=0.05))


def test_contradicting_readout_time_is_noted(make):
    keys = {'PhaseEncodingDirection': 'j', 'EffectiveEchoSpacing': 0.00058}
    assert effective_echo_spacing(*make(TotalReadoutTime=0.05162, **keys)).note is None
    found = effective_echo_spacing(*make(TotalReadoutTime=0.0267, **keys))
    assert found.value == 0.00058
    assert found.note == (
        f'{BOLD}.nii.gz: EffectiveEchoSpacing (0.00058 s) is used, though TotalReadoutTime '
        f'(0.0267 s in {BOLD}.json) makes it 0.0003 s'
    )


@given(st.floats(0.0001, 0.004), st.floats(0.9, 1.1))
def test_same_spacing(one, ratio):
    assert same_spacing(one, one)
    assert same_spacing(one, one * ratio) == same_spacing(one * ratio, one)
    if abs(ratio - 1) > 0.03:
        assert not same_spacing(one, one * ratio)


# --- readout of anatomical images


def test_sample_spacing(make):
    found = sample_spacing(*make('sub-01_T1w', DwellTime=7.4e-06))
    assert found == (7.4e-06, None)


@pytest.mark.parametrize(
    ('bandwidth', 'expected'),
    # The values that the HCP has for its T1w and T2w images.
    [(210, '7.4e-06'), (744, '2.1e-06')],
)
def test_sample_spacing_of_siemens(make, bandwidth, expected):
    keys = {'PixelBandwidth': bandwidth, 'BaseResolution': 320, 'Manufacturer': 'SIEMENS'}
    found = sample_spacing(*make('sub-01_T1w', **keys))
    assert found.value == 1 / (bandwidth * 320 * 2)
    assert f'{found.value:.1e}' == expected
    assert found.note == (
        f'sub-01_T1w.nii.gz: no DwellTime; {as_number(found.value)} s is 1 / (2 x PixelBandwidth '
        'x BaseResolution) of sub-01_T1w.json'
    )


@pytest.mark.parametrize(
    'keys',
    [
        {},
        {'PixelBandwidth': 210, 'BaseResolution': 320},
        {'PixelBandwidth': 210, 'BaseResolution': 320, 'Manufacturer': 'GE'},
        {'PixelBandwidth': 210, 'Manufacturer': 'Siemens'},
        {'BaseResolution': 320, 'Manufacturer': 'Siemens'},
    ],
)
def test_missing_sample_spacing(make, tmp_path, keys):
    with pytest.raises(InputError) as error:
        sample_spacing(*make('sub-01_T1w', **keys))
    assert str(error.value).startswith(f'{tmp_path}/sub-01_T1w.json: DwellTime is missing')


@pytest.mark.parametrize('value', [7400, 7.4, 0.0074, 7.4e-09])
def test_implausible_sample_spacing(make, tmp_path, value):
    with pytest.raises(InputError, match='it must be in seconds') as error:
        sample_spacing(*make('sub-01_T1w', DwellTime=value))
    assert f'sub-01_T1w.json: DwellTime is {as_number(value)}' in str(error.value)


def test_implausible_bandwidth(make):
    keys = {'PixelBandwidth': 210000, 'BaseResolution': 320, 'Manufacturer': 'Siemens'}
    with pytest.raises(InputError, match='PixelBandwidth must be in Hz per pixel'):
        sample_spacing(*make('sub-01_T1w', **keys))


SAGITTAL, AXIAL, CORONAL = [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]


@pytest.mark.parametrize(
    ('orientation', 'keys', 'plane'),
    [
        ('RAS', {'ImageOrientationPatientDICOM': SAGITTAL}, 'sagittal'),
        ('RAS', {'ImageOrientationPatientDICOM': [0.05, 0.99, 0.1, 0, 0.1, -0.99]}, 'sagittal'),
        ('RAS', {'ImageOrientationPatientDICOM': AXIAL}, 'axial'),
        ('RAS', {'ImageOrientationPatientDICOM': CORONAL}, 'coronal'),
        ('RAS', {'ImageOrientationText': 'Sag>Cor(-2.1)'}, 'sagittal'),
        ('RAS', {'ImageOrientationText': 'Tra'}, 'axial'),
        ('RAS', {'SliceEncodingDirection': 'i-'}, 'sagittal'),
        ('RAS', {'SliceEncodingDirection': 'k'}, 'axial'),
        ('PSR', {'SliceEncodingDirection': 'k'}, 'sagittal'),
        ('PSR', {}, 'sagittal'),
        ('ASL', {}, 'sagittal'),
        ('RAS', {}, None),
        ('RSA', {}, None),
        ('RAS', {'ImageOrientationPatientDICOM': ['a'] * 6}, None),
    ],
)
def test_planes(make, orientation, keys, plane):
    made = make('sub-01_T1w', orientation=orientation, **keys)
    assert slice_plane(*made)[0] == plane
    if plane in ('sagittal', None):
        assert readout_direction(*made) == 'z'
    else:
        with pytest.raises(InputError, match='Give --anat-unwarpdir') as error:
            readout_direction(*made)
        assert plane in str(error.value)
    assert readout_direction(*made, 'y-') == 'y-'


def test_sagittal_slices_read_from_back_to_front(make):
    keys = {'ImageOrientationPatientDICOM': SAGITTAL}
    made = make('sub-01_T1w', InPlanePhaseEncodingDirectionDICOM='COL', **keys)
    with pytest.raises(InputError, match=r'DirectionDICOM in sub-01_T1w\.json'):
        readout_direction(*made)
    assert readout_direction(*make('sub-01_T1w', InPlanePhaseEncodingDirectionDICOM='ROW', **keys))


@pytest.mark.parametrize(('maker', 'known'), [('SIEMENS', True), (None, True), ('GE', False)])
def test_polarity_is_known_for_siemens(make, maker, known):
    made = make('sub-01_T1w', ImageOrientationPatientDICOM=SAGITTAL, Manufacturer=maker)
    if known:
        assert readout_direction(*made) == 'z'
    else:
        with pytest.raises(InputError, match='the polarity on scanners of GE'):
            readout_direction(*made)
    assert readout_direction(*made, 'z-') == 'z-'


@pytest.mark.parametrize('given_direction', ['k', 'zz', '', '-z'])
def test_readout_direction_that_is_none(make, given_direction):
    with pytest.raises(InputError, match=r'--anat-unwarpdir is .* must be one of x, x-, y'):
        readout_direction(*make('sub-01_T1w'), given_direction)


@pytest.mark.parametrize(
    ('zooms', 'size'),
    [
        ((0.8, 0.8, 0.8), '0.8'),
        ((0.7, 0.7, 0.7), '0.7'),
        ((1.0, 1.0, 1.0), '1'),
        ((0.800000012,) * 3, '0.8'),
        ((0.5, 0.5, 0.5), '0.7'),
        ((1.2, 1.0, 1.0), '1'),
        ((0.9, 0.9, 0.9), '0.8'),
        ((0.75, 0.75, 0.75), '0.7'),
        ((0.91, 1.0, 1.0), '1'),
        ((2.0, 2.0, 2.0), '1'),
        ((1.0, 0.72, 0.72), '0.7'),
    ],
)
def test_template(zooms, size):
    assert template_size(zooms) == size


# --- time and shims


@pytest.mark.parametrize(
    ('keys', 'seconds'),
    [
        ({'AcquisitionTime': '10:20:30.512500'}, 37230.5125),
        ({'AcquisitionTime': '10:20:3.5'}, 37203.5),
        ({'AcquisitionTime': '102030.25'}, 37230.25),
        ({'AcquisitionTime': '00:00:00'}, 0.0),
        ({'AcquisitionTime': '23:59:59.9'}, 86399.9),
        ({'AcquisitionDateTime': '2017-05-01T10:20:30.5'}, 37230.5),
        ({'AcquisitionDateTime': '2017-05-01 10:20:30'}, 37230.0),
        ({'AcquisitionDateTime': '2017-05-01T10:20:30.5+02:00'}, 37230.5),
        ({'AcquisitionDateTime': '2017-05-01T10:20:30Z'}, 37230.0),
        ({'AcquisitionDateTime': '20170501102030.5'}, 37230.5),
        ({'AcquisitionTime': '10:20:30', 'AcquisitionDateTime': 'x'}, 37230.0),
        ({'AcquisitionTime': '', 'AcquisitionDateTime': '2017-05-01T10:20:30'}, 37230.0),
        ({}, None),
    ],
)
def test_times(make, keys, seconds):
    assert acquisition_time(*make(**keys)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    'keys',
    [
        {'AcquisitionTime': '24:00:00'},
        {'AcquisitionTime': '10:61:00'},
        {'AcquisitionTime': 'ten'},
        {'AcquisitionTime': 102030.5},
        {'AcquisitionTime': ['10:20:30']},
        {'AcquisitionDateTime': '2017-05-01'},
        {'AcquisitionTime': ''},
    ],
)
def test_no_times(make, keys):
    key, value = next(iter(keys.items()))
    made, sidecars = make(**keys)
    assert acquisition_time(made, sidecars) is None
    (said,) = odd_values([made], sidecars)
    assert said.startswith(f'{BOLD}.nii.gz: {key} is {value!r}, not a time such as')


def test_past_midnight():
    assert seconds_apart(86390.0, 20.0) == 30.0


@given(st.floats(0, 86400), st.floats(0, 86400))
def test_time_apart(one, other):
    apart = seconds_apart(one, other)
    assert apart == pytest.approx(seconds_apart(other, one), abs=1e-6)
    assert 0 <= apart <= 43200
    assert seconds_apart(one, one) == 0


def test_shims(make):
    assert shims(*make()) is None
    assert shims(*make(ShimSetting=[-3717, 15233.5, 0])) == (-3717.0, 15233.5, 0.0)
    for value in ('auto', [1, 'x'], 3, [[1]], '', []):
        made, sidecars = make(ShimSetting=value)
        assert shims(made, sidecars) is None
        (said,) = odd_values([made], sidecars)
        assert said.startswith(f'{BOLD}.nii.gz: ShimSetting is {value!r}, not a list of numbers')


@pytest.mark.parametrize(
    ('maker', 'expected'),
    [('Siemens', True), ('SIEMENS', True), ('Siemens Healthineers', True), ('GE', False)],
)
def test_makers(make, maker, expected):
    assert is_siemens(*make(Manufacturer=maker)) == expected
    assert not is_siemens(*make())


# --- orientation


@pytest.mark.parametrize(
    ('orientation', 'direction', 'patient'),
    [
        ('LAS', 'j-', 'P'),
        ('RAS', 'j', 'A'),
        ('LAS', 'i', 'L'),
        ('RAS', 'i', 'R'),
        ('RAS', 'i-', 'L'),
        ('LPS', 'j', 'P'),
        ('RAS', 'k-', 'I'),
        ('PSR', 'i', 'P'),
    ],
)
def test_directions_in_the_patient(make, orientation, direction, patient):
    made, _ = make(orientation=orientation)
    assert voxel_axes(made) == orientation
    assert patient_direction(made, direction) == patient


@pytest.mark.parametrize(
    ('orientation', 'fine'),
    [('LAS', True), ('RAS', True), ('LPS', False), ('PSR', False), ('RAI', False)],
)
def test_supported_orientations(make, tmp_path, orientation, fine):
    said = unsupported_orientation(make(orientation=orientation)[0])
    assert (said is None) == fine
    if not fine:
        assert said.startswith(f'{tmp_path / BOLD}.nii.gz: its voxel axes go to ')
