import pytest

from ketbids.errors import InputError, ToolError, UsageError
from ketbids.interfaces.hcp.functional import FMRISurface, FMRIVolume
from tests.interfaces.hcp_inputs import LARGEST, REALISTIC, RUNS, named_inputs

SESSION = 'sub-01_ses-TP1'


@pytest.fixture
def inputs(tmp_path):
    return named_inputs(tmp_path)


@pytest.fixture
def volume(inputs):
    return inputs[REALISTIC]['FMRIVolume'][0]


@pytest.fixture
def without_map(inputs):
    return inputs[REALISTIC]['FMRIVolume'][1]


def test_volume_command(volume, tmp_path):
    raw = tmp_path / 'raw'
    assert FMRIVolume(**volume).argv == [
        f'{tmp_path}/hcp/fMRIVolume/GenericfMRIVolumeProcessingPipeline.sh',
        f'--path={tmp_path}/study',
        f'--subject={SESSION}',
        f'--fmritcs={raw}/bold.nii.gz',
        f'--fmriname={RUNS[0]}',
        '--fmrires=2',
        '--biascorrection=SEBASED',
        f'--fmriscout={raw}/sbref.nii.gz',
        '--mctype=MCFLIRT',
        '--gdcoeffs=NONE',
        '--dcmethod=TOPUP',
        '--echospacing=0.00058',
        '--unwarpdir=y-',
        f'--SEPhaseNeg={raw}/AP.nii.gz',
        f'--SEPhasePos={raw}/PA.nii.gz',
        f'--topupconfig={tmp_path}/hcp/global/config/b02b0.cnf',
        '--dof=6',
    ]


def test_values_as_the_scripts_take_them(inputs):
    argv = FMRIVolume(**inputs[LARGEST]['FMRIVolume'][0]).argv
    for token in (
        '--echoTE=14.2@38.93@63.66',
        '--seechospacing=0.000065',
        '--usejacobian=TRUE',
        '--doslicetime=FALSE',
        '--slicetimerparams=--odd@--down',
        '--wmprojabs=2',
    ):
        assert token in argv


@pytest.mark.parametrize(
    ('name', 'flag'),
    [
        ('spin_echo_negative', '--SEPhaseNeg'),
        ('spin_echo_positive', '--SEPhasePos'),
        ('topup_config', '--topupconfig'),
        ('echo_spacing', '--echospacing'),
        ('unwarp_direction', '--unwarpdir'),
    ],
)
def test_topup_needs_all_of_it(volume, name, flag):
    del volume[name]
    with pytest.raises(UsageError, match=rf'--dcmethod=TOPUP needs {flag} too'):
        _ = FMRIVolume(**volume).argv


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'bias_correction': 'SEBASED'}, 'SEBASED needs spin-echo images'),
        ({'processing_mode': 'HCPStyleData'}, 'dcmethod=NONE: only with --processing-mode=Legacy'),
        ({'distortion_correction': 'SiemensFieldMap'}, '--fmapmag, --fmapphase, --echodiff, --ec'),
        ({'fmri_reference': RUNS[0]}, '--fmriref must be another run'),
        ({'slice_timing': True, 'echo_times': [1.0, 2.0]}, 'slice timing cannot be corrected'),
        ({'resolution': 0.0}, '--fmrires must be greater than 0'),
    ],
)
def test_what_the_script_would_see_late(without_map, given, message):
    with pytest.raises(UsageError, match=message):
        _ = FMRIVolume(**{**without_map, **given}).argv


@pytest.mark.parametrize('name', ['slice_timing', 'fmri_mask'])
def test_lower_quality_must_be_wanted(volume, name):
    volume[name] = {'slice_timing': True, 'fmri_mask': 'fMRI_FOV'}[name]
    with pytest.raises(UsageError, match='only with --processing-mode=LegacyStyleData'):
        _ = FMRIVolume(**volume).argv
    assert FMRIVolume(**volume, processing_mode='LegacyStyleData').argv


@pytest.mark.parametrize('direction', ['z+', 'NONE', 'AP', ''])
def test_directions_are_axes(volume, direction):
    with pytest.raises(Exception, match='unwarp_direction'):
        FMRIVolume(**{**volume, 'unwarp_direction': direction})


def test_separators_in_paths_are_refused(volume, tmp_path):
    odd = tmp_path / 'a@b.nii.gz'
    odd.touch()
    with pytest.raises(InputError, match='separate the items of lists'):
        _ = FMRIVolume(**{**volume, 'fmri_series': str(odd)}).argv


def test_options_and_methods_of_newer_scripts(volume, tmp_path):
    script = tmp_path / 'hcp' / FMRIVolume._script
    script.parent.mkdir(parents=True)
    lines = [f"opts_AddMandatory '{flag}'" for flag in ('--studyfolder', '--subject', '--path')]
    flags = [token.partition('=')[0] for token in FMRIVolume(**volume).argv[1:]]
    lines += [f"opts_AddOptional '{flag}' 'x'" for flag in flags]
    script.write_text('\n'.join([*lines, 'SPIN_ECHO_METHOD_OPT="TOPUP"\n']))
    assert FMRIVolume(**volume).argv
    with pytest.raises(ToolError, match=r'do not know --species \(species\)'):
        _ = FMRIVolume(**volume, species='Human').argv
    with pytest.raises(ToolError, match='do not know --dcmethod=OnScanner'):
        _ = FMRIVolume(
            **{**volume, 'distortion_correction': 'OnScanner', 'bias_correction': 'NONE'}
        ).argv


def test_volume_outputs_depend_on_the_method(volume, without_map, tmp_path):
    results = f'{tmp_path}/study/{SESSION}/MNINonLinear/Results/{RUNS[0]}'
    outputs = FMRIVolume(**volume)._list_outputs()
    assert outputs['fmri'] == f'{results}/{RUNS[0]}.nii.gz'
    assert outputs['brain_mask'] == f'{results}/brainmask_fs.2.nii.gz'
    assert outputs['spin_echo_bias'] == f'{results}/{RUNS[0]}_sebased_bias.nii.gz'
    assert outputs['phase_two'] == f'{results}/{RUNS[0]}_PhaseTwo_gdc_dc.nii.gz'
    assert outputs['fmri_to_structural'].endswith(f'T1w/xfms/{RUNS[0]}2str.nii.gz')
    missing = set(outputs) - set(FMRIVolume(**without_map)._list_outputs())
    assert missing == {
        *('phase_one', 'phase_two', 'spin_echo_bias', 'spin_echo_reference', 'dropouts'),
        *('pseudo_transmit_raw', 'pseudo_transmit_field'),
    }


def test_volume_is_removed_whole(volume, tmp_path):
    top = tmp_path / 'study' / SESSION
    stale = FMRIVolume(**volume).stale()
    assert stale[:2] == [top / RUNS[0], top / 'MNINonLinear' / 'Results' / RUNS[0]]
    assert top / 'MNINonLinear' / 'xfms' / f'{RUNS[0]}2standard.nii.gz' in stale
    later = FMRIVolume(**volume, run_mode='OneStepResampling').stale()
    assert later == [top / 'MNINonLinear' / 'Results' / RUNS[0]]


def test_surface(inputs, tmp_path):
    surface = FMRISurface(**inputs[REALISTIC]['FMRISurface'][0])
    assert surface.argv[3:] == [
        f'--fmriname={RUNS[0]}',
        '--lowresmesh=32',
        '--fmrires=2',
        '--smoothingFWHM=2',
        '--grayordinatesres=2',
        '--regname=MSMSulc',
    ]
    results = tmp_path / 'study' / SESSION / 'MNINonLinear' / 'Results' / RUNS[0]
    outputs = surface._list_outputs()
    assert outputs['dense_series'] == str(results / f'{RUNS[0]}_Atlas.dtseries.nii')
    assert len(outputs['snapshots']) == 2
    stale = surface.stale()
    assert results / 'RibbonVolumeToSurfaceMapping' in stale
    assert results / f'{RUNS[0]}_s2.atlasroi.L.32k_fs_LR.func.gii' in stale
    # What fMRIVolume made stays.
    assert results not in stale
    assert results / f'{RUNS[0]}.nii.gz' not in stale


def test_surface_without_pictures(inputs):
    surface = FMRISurface(**inputs[LARGEST]['FMRISurface'][0])
    assert '--fmrires=1.6' in surface.argv
    assert {'scene', 'snapshots', 'good_voxels'}.isdisjoint(surface._list_outputs())
    only = FMRISurface(**{**inputs[REALISTIC]['FMRISurface'][0], 'quality_control': 'ONLY'})
    assert set(only._list_outputs()) == {'record', 'scene', 'snapshots'}
    assert [path.name for path in only.stale()] == ['fMRIQC']
