from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from ketbids.errors import InputError, KetbidsError, ToolError, UsageError
from ketbids.interfaces.fix import IcaFix, IcaFixMultiRun
from ketbids.interfaces.fixbase import PYFIX_MODELS, training_problem
from ketbids.interfaces.refix import (
    ApplyHandReClassifications,
    PostFix,
    ReApplyFix,
    ReApplyFixMultiRun,
)
from ketbids.io.stages import write_record
from tests.interfaces.hcp_inputs import LARGEST, REALISTIC, RUNS, named_inputs

SESSION = 'sub-01_ses-TP1'


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.delenv('FSL_FIXDIR', raising=False)
    return named_inputs(tmp_path)


@pytest.fixture
def single(inputs):
    return inputs[REALISTIC]['IcaFix'][0]


@pytest.fixture
def joined(inputs):
    return inputs[REALISTIC]['IcaFixMultiRun'][0]


@pytest.fixture
def results(tmp_path):
    return tmp_path / 'study' / SESSION / 'MNINonLinear' / 'Results'


def _script(tmp_path, kind, *flags, more=''):
    path = tmp_path / 'hcp' / kind._script
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ['source newopts.shlib # opts_AddMandatory', *(f"opts_Add '{flag}'" for flag in flags)]
    path.write_text('\n'.join([*lines, more]))


# Single runs


def test_single_run_arguments_by_position(single, results, tmp_path):
    fix = IcaFix(**single, delete_intermediates=True)
    assert fix.argv == [
        f'{tmp_path}/hcp/ICAFIX/hcp_fix',
        f'{results}/{RUNS[0]}/{RUNS[0]}',
        *('2000', 'FALSE', 'HCP_hp2000', '10', 'TRUE'),
    ]


def test_single_run_outputs(single, results):
    outputs, run = IcaFix(**single)._list_outputs(), results / RUNS[0]
    assert outputs['cleaned'] == str(run / f'{RUNS[0]}_hp2000_clean.nii.gz')
    assert outputs['dense_cleaned'] == str(run / f'{RUNS[0]}_Atlas_hp2000_clean.dtseries.nii')
    assert outputs['ica'] == str(run / f'{RUNS[0]}_hp2000.ica')
    assert outputs['classes'].endswith('.ica/fix4melview_HCP_hp2000_thr10.txt')
    unfiltered = IcaFix(**{**single, 'high_pass': '-1'})
    outputs = unfiltered._list_outputs()
    assert outputs['cleaned'] == str(run / f'{RUNS[0]}_clean.nii.gz')
    assert outputs['dense_cleaned'] == str(run / f'{RUNS[0]}_Atlas_clean.dtseries.nii')
    assert outputs['ica'] == str(run / f'{RUNS[0]}.ica')
    # The run itself is not filtered, and stays.
    assert run / f'{RUNS[0]}.nii.gz' not in unfiltered.stale()
    assert run / f'{RUNS[0]}_Atlas.dtseries.nii' not in unfiltered.stale()


@pytest.mark.parametrize('high_pass', ['0', 'pd2', '2000.5', '', 'a'])
def test_single_run_filters(single, high_pass):
    with pytest.raises(UsageError, match='a number of seconds other than 0'):
        _ = IcaFix(**{**single, 'high_pass': high_pass}).argv


def test_threshold_of_a_single_run_comes_after_training_data(single):
    del single['training_file']
    with pytest.raises(UsageError, match='training_file'):
        _ = IcaFix(**single).argv


# Runs together


def test_joined_command(joined, results, tmp_path):
    fix = IcaFixMultiRun(**joined)
    paths = '@'.join(f'{results}/{run}/{run}' for run in RUNS)
    assert fix.argv == [
        f'{tmp_path}/hcp/ICAFIX/hcp_fix_multi_run',
        f'--fmri-names={paths}',
        '--high-pass=0',
        f'--concat-fmri-name={results}/ICAFIX_ALL/ICAFIX_ALL',
        '--motion-regression=FALSE',
        '--enable-legacy-fix=FALSE',
        # Without a name pyfix takes the very model, and scripts make no path of it.
        '--fix-threshold=10',
        '--matlab-run-mode=2',
    ]
    assert fix.mark()['training_file'] == ['HCP_Style_Single_Multirun_Dedrift']


@pytest.mark.parametrize('high_pass', ['2000', '0', 'pd2'])
def test_joined_outputs(joined, results, high_pass):
    fix = IcaFixMultiRun(**{**joined, 'high_pass': high_pass})
    outputs, folder, text = fix._list_outputs(), results / 'ICAFIX_ALL', f'hp{high_pass}'
    assert outputs['ica'] == str(folder / f'ICAFIX_ALL_{text}.ica')
    assert outputs['dense_cleaned'] == str(folder / f'ICAFIX_ALL_Atlas_{text}_clean.dtseries.nii')
    assert outputs['runs_dense_cleaned'] == [
        str(results / run / f'{run}_Atlas_{text}_clean.dtseries.nii') for run in RUNS
    ]
    stale = fix.stale()
    assert folder in stale
    assert results / RUNS[1] / f'{RUNS[1]}_{text}.ica' in stale
    for name in (f'{RUNS[0]}.nii.gz', f'{RUNS[0]}_Atlas_mean.dscalar.nii'):
        assert results / RUNS[0] / name not in stale
    assert folder / 'pyfix.log' in fix.inner_logs()


@pytest.mark.parametrize('high_pass', ['-1', 'pd6', 'pd', '1.5', 'abc', '00'])
def test_joined_filters(joined, high_pass):
    with pytest.raises(UsageError, match=r'0 \(linear trend\), or pd0 to pd5'):
        _ = IcaFixMultiRun(**{**joined, 'high_pass': high_pass}).argv


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'concat_fmri_name': RUNS[0]}, 'cannot be called .* the script empties that folder'),
        ({'fmri_names': [RUNS[0], RUNS[0]]}, 'a run stands twice'),
        ({'volume_wisharts': 1, 'fallback_threshold': 0.5}, 'does nothing with --vol-wisharts=1'),
        ({'ica_dimension_mode': 'fewtimepoints'}, 'only with --processing-mode=LegacyStyleData'),
    ],
)
def test_what_cannot_be_joined(joined, given, message):
    with pytest.raises(UsageError, match=message):
        _ = IcaFixMultiRun(**{**joined, **given}).argv


def test_components_that_are_there_stay(inputs, results):
    fix = IcaFixMultiRun(**inputs[LARGEST]['IcaFixMultiRun'][0])
    assert results / 'ICAFIX_ALL' not in fix.stale()
    assert 'joined' not in fix._list_outputs()
    assert '--fix-backup=earlier' in fix.argv
    assert '--fallback-threshold=0.5' in fix.argv


def test_only_joined(joined):
    outputs = IcaFixMultiRun(**joined, concatenate_only=True)._list_outputs()
    assert 'joined_filtered' in outputs
    assert {'cleaned', 'runs_cleaned', 'ica'}.isdisjoint(outputs)


# Kinds of FIX, training data


def test_training_data(tmp_path):
    assert all(training_problem(name, 'pyfix') is None for name in PYFIX_MODELS)
    assert training_problem('Standard.RData', 'pyfix') is None
    assert "no model 'HCP_hp2000'" in str(training_problem('HCP_hp2000', 'pyfix'))
    assert training_problem('HCP_hp2000', 'legacy') is None
    missing = str(tmp_path / 'Own.RData')
    assert 'does not exist' in str(training_problem(missing, 'legacy'))
    Path(missing).touch()
    assert training_problem(missing, 'legacy') is None
    model = tmp_path / 'Own.pyfix_model'
    model.touch()
    assert training_problem(str(model), 'pyfix') is None
    assert 'must end in .RData, not' in str(training_problem(str(model), 'legacy'))


def test_training_data_are_refused_before_anything_runs(joined, single):
    with pytest.raises(InputError, match="pyfix has no model 'HCP_hp2000'"):
        _ = IcaFixMultiRun(**{**joined, 'training_file': 'HCP_hp2000'}).argv
    with pytest.raises(InputError, match='does not exist'):
        _ = IcaFix(**{**single, 'training_file': '/no/such.RData'}).argv


def test_older_training_data_have_their_path(joined):
    given = {**joined, 'enable_legacy_fix': True, 'training_file': 'HCP_hp2000'}
    fix = IcaFixMultiRun(**given, environ={'FSL_FIXDIR': '/opt/fix'})
    assert '--training-file=/opt/fix/training_files/HCP_hp2000.RData' in fix.argv
    # Where FIX is plays no part.
    assert fix.mark()['training_file'] == ['HCP_hp2000']
    assert '--training-file=HCP_hp2000' in IcaFixMultiRun(**given).argv


def test_older_training_data_are_converted_aside(joined, tmp_path):
    own = tmp_path / 'training' / 'Own.RData'
    own.parent.mkdir()
    own.write_text('data')
    fix = IcaFixMultiRun(**{**joined, 'training_file': str(own)})
    copy = tmp_path / 'study' / 'stages' / 'x_training' / 'Own.RData'
    assert f'--training-file={copy}' in fix.argv
    before = fix.mark()['training_file']
    fix._prepare({})
    assert copy.read_text() == 'data'
    assert [path.name for path in own.parent.iterdir()] == ['Own.RData']
    own.write_text('other')
    assert fix.mark()['training_file'] != before


def test_scripts_without_pyfix(joined, tmp_path):
    flags = ('--fmri-names', '--high-pass', '--concat-fmri-name', '--motion-regression')
    _script(tmp_path, IcaFixMultiRun, *flags, '--fix-threshold', '--training-file')
    with pytest.raises(ToolError, match=r'cannot use pyfix: 5\.0 or newer'):
        _ = IcaFixMultiRun(**joined).argv
    argv = IcaFixMultiRun(**{**joined, 'enable_legacy_fix': True}).argv
    assert not [token for token in argv if token.startswith(('--enable', '--matlab'))]


def _before(fix, **environment):
    needed = dict.fromkeys(fix._variables, '/x')
    for path in fix.needed():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    fix._check_before({**needed, **environment})


def _untrained(joined):
    given = {name: value for name, value in joined.items() if name != 'training_file'}
    return IcaFixMultiRun(**{**given, 'enable_legacy_fix': True})


def test_kinds_of_fix_are_not_mistaken(joined, tmp_path):
    _script(tmp_path, IcaFixMultiRun)
    folder = tmp_path / 'fix'
    folder.mkdir()
    older = IcaFixMultiRun(**{**joined, 'enable_legacy_fix': True})
    with pytest.raises(ToolError, match='FSL_FIXDIR must be set'):
        _before(older)
    with pytest.raises(ToolError, match=r'does not hold fix and settings\.sh of the'):
        _before(older, FSL_FIXDIR=str(folder))
    for name in ('fix', 'settings.sh'):
        (folder / name).touch()
    _script(tmp_path, IcaFixMultiRun, more='# $FSL_FIXDIR/call_matlab.sh')
    _before(_untrained(joined), FSL_FIXDIR=str(folder))
    _script(tmp_path, IcaFixMultiRun, more='  "${FSL_FIXDIR}/call_matlab.sh" -r')
    with pytest.raises(ToolError, match=r'fix \(FSL_FIXDIR\) does not hold call_matlab\.sh of'):
        _before(_untrained(joined), FSL_FIXDIR=str(folder))
    for name in ('call_matlab.sh', 'convert_fix_model'):
        (folder / name).touch()
    with pytest.raises(ToolError, match='holds pyfix, not the older FIX'):
        _before(_untrained(joined), FSL_FIXDIR=str(folder))
    newer = IcaFixMultiRun(**{**joined, 'matlab_run_mode': 0})
    with pytest.raises(ToolError, match='MATLAB_COMPILER_RUNTIME must be set'):
        _before(newer, FSL_DIR='/fsl')
    newer = IcaFixMultiRun(**joined)
    with pytest.raises(ToolError, match='FSL_DIR must be set'):
        _before(newer)
    _before(newer, FSL_DIR='/fsl')


def test_names_that_become_paths(joined, tmp_path):
    flags = [token.partition('=')[0] for token in IcaFixMultiRun(**joined).argv[1:]]
    command = '    TrainingData="$(pwd)/$TrainingData"'
    _script(tmp_path, IcaFixMultiRun, *flags, '--training-file', more=command)
    assert IcaFixMultiRun(**joined).argv
    joined['training_file'] = 'Standard'
    with pytest.raises(ToolError, match=r'Give the path of Standard\.pyfix_model'):
        _ = IcaFixMultiRun(**joined).argv


# After FIX


def test_post_fix(inputs, results):
    post = PostFix(**inputs[REALISTIC]['PostFix'][0])
    assert post.argv[3:5] == ['--fmri-name=ICAFIX_ALL', '--high-pass=0']
    assert post.argv[-2:] == ['--reuse-high-pass=YES', '--matlab-run-mode=1']
    scene = f'{SESSION}_ICAFIX_ALL_hp0_ICA_Classification_dualscreen.scene'
    assert post._list_outputs()['dual_screen_scene'] == str(results / 'ICAFIX_ALL' / scene)
    names = {path.name for path in post.stale()}
    assert {'Signal.txt', 'Noise.txt', scene} <= names
    assert not [name for name in names if name.startswith('Reclassify')]
    # All components may be noise.
    assert 'Signal.txt' not in {path.name for path in post.expected()}


@pytest.mark.parametrize('high_pass', ['0', 'pd2'])
def test_trends_are_removed_already(inputs, high_pass):
    given = {**inputs[REALISTIC]['PostFix'][0], 'high_pass': high_pass, 'reuse_high_pass': 'NO'}
    with pytest.raises(UsageError, match='--reuse-high-pass=YES'):
        _ = PostFix(**given).argv


@pytest.fixture
def labelled(results):
    ica = results / 'ICAFIX_ALL' / 'ICAFIX_ALL_hp0.ica'
    ica.mkdir(parents=True)
    (ica / 'Signal.txt').write_text('1 2')
    (ica / 'Noise.txt').write_text('3')
    (ica / 'ReclassifyAsSignal.txt').touch()
    (ica / 'ReclassifyAsNoise.txt').write_text('2\n')
    return ica


def test_labels_by_hand_decide(inputs, labelled):
    given = {**inputs[REALISTIC]['ApplyHandReClassifications'][0]}
    given['signal_file'] = str(labelled / 'ReclassifyAsSignal.txt')
    given['noise_file'] = str(labelled / 'ReclassifyAsNoise.txt')
    apply = ApplyHandReClassifications(**given)
    assert f'--reclassify-as-noise-file={labelled}/ReclassifyAsNoise.txt' in apply.argv
    mark = apply.mark()
    assert (mark['labelled_signal'], mark['labelled_noise']) == ([], [2])
    record = Path(given['record'])
    record.parent.mkdir(parents=True, exist_ok=True)
    outputs = apply.expected()
    assert [path.name for path in outputs] == [
        *('HandSignal.txt', 'HandNoise.txt', 'hand_labels_noise.txt'),
    ]
    for path in outputs:
        path.write_text('1\n')
    write_record(record, mark=mark, after={}, version='', command='', outputs=outputs)
    assert apply.state().done
    # Written otherwise, they are the same.
    (labelled / 'ReclassifyAsNoise.txt').write_text('2 2')
    assert apply.state().done
    (labelled / 'ReclassifyAsNoise.txt').write_text('1')
    state = apply.state()
    assert (state.done, state.why) == (False, 'it was made with something else: labelled noise')
    (labelled / 'ReclassifyAsNoise.txt').write_text('4')
    with pytest.raises(InputError, match='component 4 cannot be'):
        apply.state()


def test_data_cleaned_again_are_not_those_of_fix(joined, labelled):
    fix = IcaFixMultiRun(**joined)
    cleaned = {Path(path) for path in fix._list_outputs()['runs_dense_cleaned']}
    assert cleaned <= set(fix.expected())
    (labelled / 'HandNoise.txt').write_text('2 3')
    assert cleaned.isdisjoint(fix.expected())
    assert labelled.parent / 'ICAFIX_ALL_Atlas_hp0.dtseries.nii' in fix.expected()


def test_older_fix_may_give_no_noise_level(joined, inputs):
    for legacy in (True, False):
        fix = IcaFixMultiRun(**{**joined, 'enable_legacy_fix': legacy})
        outputs = fix._list_outputs()
        noise = {Path(outputs[name]) for name in ('cleaned_noise', 'dense_cleaned_noise')}
        assert noise.isdisjoint(fix.expected()) is legacy
        assert Path(outputs['joined_dense_noise']) in fix.expected()
    again = ReApplyFixMultiRun(**inputs[REALISTIC]['ReApplyFixMultiRun'][0])
    assert Path(again._list_outputs()['dense_cleaned_noise']) not in again.expected()


def test_labels_are_withdrawn_by_empty_files(inputs, labelled):
    given = {**inputs[REALISTIC]['ApplyHandReClassifications'][0]}
    signal, noise = (labelled / f'ReclassifyAs{kind}.txt' for kind in ('Signal', 'Noise'))
    given |= {'signal_file': str(signal), 'noise_file': str(noise)}
    apply = ApplyHandReClassifications(**given)
    assert apply.labelled
    noise.unlink()
    assert not apply.labelled
    mark = apply.mark()
    assert (mark['labelled_signal'], mark['labelled_noise']) == ([], [])
    assert {signal, noise}.isdisjoint(apply.needed())
    apply._prepare({})
    assert noise.read_bytes() == b''
    elsewhere = labelled / 'other.txt'
    other = ApplyHandReClassifications(**{**given, 'noise_file': str(elsewhere)})
    assert elsewhere in other.needed()


def test_fix_is_not_done_again_over_labels(joined, labelled, tmp_path):
    _script(tmp_path, IcaFixMultiRun)
    with pytest.raises(KetbidsError, match=r'labelled by hand: \S+ReclassifyAsNoise\.txt'):
        _before(IcaFixMultiRun(**joined), FSL_DIR='/fsl')
    assert (labelled / 'ReclassifyAsNoise.txt').exists()


def test_cleaning_a_run_again(inputs, results):
    given = inputs[REALISTIC]['ReApplyFix'][0]
    again = ReApplyFix(**given)
    assert again._list_outputs()['cleaned'] == str(
        results / RUNS[0] / f'{RUNS[0]}_hp2000_clean.nii.gz'
    )
    by_features = ReApplyFix(**{**given, 'registration_name': 'MSMAll', 'low_res_mesh': 59})
    assert by_features._list_outputs()['dense_cleaned'].endswith(
        f'{RUNS[0]}_Atlas_MSMAll.59k_hp2000_clean.dtseries.nii'
    )
    assert 'cleaned' not in by_features._list_outputs()
    with pytest.raises(UsageError, match='trends are removed from joined runs only'):
        _ = ReApplyFix(**{**given, 'high_pass': '0'}).argv


def test_cleaning_runs_again(inputs, results):
    given = inputs[REALISTIC]['ReApplyFixMultiRun'][0]
    again = ReApplyFixMultiRun(**given)
    assert f'--fmri-names={RUNS[0]}@{RUNS[1]}' in again.argv
    outputs = again._list_outputs()
    assert outputs['runs_cleaned'] == [
        str(results / run / f'{run}_hp0_clean.nii.gz') for run in RUNS
    ]
    # Whole files that FIX made are taken as they are; those that are cut off are removed.
    joined = results / 'ICAFIX_ALL' / 'ICAFIX_ALL_Atlas_hp0.dtseries.nii'
    joined.parent.mkdir(parents=True)
    joined.write_bytes(b'cut off')
    assert joined in again.stale()
    header = nb.Nifti2Header()
    header.set_data_shape((1, 1, 1))
    nb.Nifti2Image(np.zeros((1, 1, 1)), np.eye(4), header).to_filename(joined)
    assert joined not in again.stale()
    assert results / RUNS[0] / f'{RUNS[0]}_Atlas_demean.dtseries.nii' in again.stale()
    # Of another registration nothing is.
    other = ReApplyFixMultiRun(**{**given, 'registration_name': 'MSMAll'})
    moved = joined.with_name('ICAFIX_ALL_Atlas_MSMAll_hp0.dtseries.nii')
    joined.rename(moved)
    assert moved in other.stale()
    assert joined not in other.stale()
    with pytest.raises(UsageError, match='cannot be without a filter'):
        _ = ReApplyFixMultiRun(**{**given, 'high_pass': '-1'}).argv
