"""Figures of a run, and the sections of the participant's page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.interfaces.rundesign import BuildRunDesign
from ketbids.interfaces.runreports import DescribeRun, DescribeVisit, RunFigures
from ketbids.reports.page import SessionSection
from ketbids.stats.confounds import MOTION
from tests.interfaces.files import CONTRASTS, code, write_events, write_movement
from tests.interfaces.test_firstlevel import N_VOLUMES, NAMES, build

SIDECAR = {'SignalUnits': 'percent', 'GrayordinatesWithoutData': 0}
BEFORE = {'Percentile5': [0.1, 0.0], 'Median': [0.4, 0.2], 'Percentile95': [0.7, 0.5]}
AFTER = {'Percentile5': [-0.1, -0.1], 'Median': [0.0, 0.0], 'Percentile95': [0.1, None]}
QUALITY = {
    'NoiseModel': 'AR(6)',
    'NoiseSmoothingFWHM': 10.0,
    'DegreesOfFreedomNominal': 160.0,
    'ComponentsRemoved': 30,
    'DegreesOfFreedomEffective': 130.0,
    'Lags': [1, 2],
    'AutocorrelationBefore': BEFORE,
    'AutocorrelationAfter': AFTER,
    'PortmanteauRejected': 0.062,
}
PNG = b'\x89PNG\r\n\x1a\n'


def is_picture(path):
    return Path(path).read_bytes().startswith(PNG) and Path(path).stat().st_size > 2000


@pytest.fixture
def series(brain):
    return brain.series('bold', brain.noise(N_VOLUMES))


@pytest.fixture
def run_files(series, tmp_path):
    trials = code(write_events(tmp_path / 'events.tsv', errors=False), series)
    found = build(trials, series)
    return {
        'trials_file': trials,
        'series_file': series,
        'confounds_file': write_movement(tmp_path / 'movement.txt', N_VOLUMES),
    }, {'design_file': found.design_file, 'contrasts_file': found.contrasts_file}


@pytest.fixture
def motion_file(tmp_path):
    values = np.random.default_rng(0).random((N_VOLUMES, 3))
    values[0] = np.nan
    columns = ['framewise_displacement', 'framewise_displacement_filtered', 'dvars']
    path = tmp_path / 'motion.tsv'
    pd.DataFrame(values, columns=columns).to_csv(path, sep='\t', index=False, na_rep='n/a')
    return str(path)


def test_pictures_of_a_run(run_files, motion_file):
    files, design = run_files
    found = RunFigures(**files, **design, conditions=NAMES).run().outputs
    assert found.names == ['design', 'correlations', 'motion']
    assert all(is_picture(path) for path in found.pictures)
    plain = Path(found.pictures[-1]).read_bytes()
    more = RunFigures(
        **files, **design, conditions=NAMES, quality=QUALITY, motion_file=motion_file
    ).run().outputs  # fmt: skip
    assert more.names == ['design', 'correlations', 'whiteness', 'motion']
    assert all(is_picture(path) for path in more.pictures)
    # Displacement and DVARS of the table are drawn.
    assert Path(more.pictures[-1]).read_bytes() != plain


@pytest.fixture
def describe(run_files, tmp_path):
    files, design = run_files

    def run(**inputs):
        figures = tmp_path / 'sub-01' / 'figures'
        given = {
            'title': 'Task carit',
            'base_directory': str(tmp_path),
            'contrasts_file': design['contrasts_file'],
            'maps_sidecars': [SIDECAR],
            'quality': QUALITY,
            'smoothing': '5 mm FWHM added; 5.39 mm with the 2 mm of the HCP pipelines',
            'denoised': True,
            'contrasts': ['nogoVsGo'],
            'names': ['design', 'motion'],
            'pictures': [str(figures / 'design.png'), str(figures / 'motion.png')],
            'maps': [str(figures / 'map.png')],
        }
        return DescribeRun(**{**files, **given, **inputs}).run().outputs.out_file

    return run


def section(path):
    return SessionSection.from_dict(json.loads(Path(path).read_text()))


def part(run, heading):
    (found,) = [part for part in run.parts if part.heading == heading]
    return found


def test_section_of_a_run(describe):
    (run,) = section(describe()).runs
    facts = dict(run.facts)
    assert facts['Volumes'] == str(N_VOLUMES)
    assert facts['Repetition time'] == '0.8 s'
    assert '5.39 mm' in facts['Smoothing']
    assert facts['Confounds in the model'] == 'none (FIX)'
    assert facts['Noise model'] == 'AR(6), smoothed 10 mm'
    assert facts['Degrees of freedom'] == '160; 130 without the 30 components that FIX removed'
    assert facts['Grayordinates with autocorrelation left'] == '6.2 %'
    assert run.maps[0].path == 'sub-01/figures/map.png'
    assert part(run, 'Design matrix').picture.path == 'sub-01/figures/design.png'
    warnings = ' '.join(run.warnings)
    assert 'No trial of incorrectNogo' in warnings
    assert 'The contrast errors cannot be estimated: no trials of incorrectNogo' in warnings
    assert run.span['first'] == 2.0
    assert all(p.words for p in run.parts)
    assert all(p.table.caption for p in run.parts if p.table)


def test_tables_of_a_run(describe, tmp_path):
    counts = tmp_path / 'counts.tsv'
    counts.write_text('status\tcondition\treason\tn_rows\ntrial\tcorrectGo\tn/a\t45\n')
    (run,) = section(describe(counts_file=str(counts))).runs
    assert part(run, 'Rows of the events file').table.rows == (
        ('trial', 'correctGo', 'n/a', '45'),
    )
    regressors = part(run, 'Trials').table
    assert [row[:2] for row in regressors.rows] == [
        ('correctGo', '45'),
        ('correctNogo', '15'),
        ('incorrectNogo', '0'),
    ]
    assert regressors.rows[0][-1] == 'fine'
    assert 1 < float(regressors.rows[0][2]) < 5
    assert regressors.rows[2][2:] == ('n/a', 'n/a', 'doubtful: no trial: not in the design')
    contrasts = {row[0]: row for row in part(run, 'Contrasts').table.rows}
    assert contrasts['nogoVsGo'][1] == 't'
    assert contrasts['nogoVsGo'][-1] == 'fine'
    assert contrasts['errors'][2:] == (
        'n/a',
        'n/a',
        'not estimable: no trials of incorrectNogo in this run',
    )
    times = part(run, 'Times').table.rows
    assert times[0][0] == 'fine'
    assert 'there is no raw image (170 volumes, --drop-volumes 0)' in times[0][1]
    # Warnings of the design stand in its tables and above, not among the times.
    assert not any('contrast' in row[1] for row in times)


def test_checks_go_into_the_plan(series, tmp_path):
    """Removed volumes that nobody mentioned, and an F contrast."""
    trials = code(write_events(tmp_path / 'events.tsv'), series)
    weights = {name: {'rows': [w], 'test': 't'} for name, w in CONTRASTS.items()}
    weights['any'] = {'rows': [{name: 1.0} for name in NAMES], 'test': 'F'}
    found = build(trials, series, contrasts=weights, raw_volumes=N_VOLUMES + 10)
    plan = json.loads(Path(found.contrasts_file).read_text())
    assert plan['tests'] == {'nogoVsGo': 't', 'correctGo': 't', 'errors': 't', 'any': 'F'}
    rows = np.array(plan['weights']['any'])
    np.testing.assert_array_equal(rows[:, :3], np.eye(3))
    assert plan['few'] == {
        'errors': 'rests on 2 trials of incorrectNogo',
        'any': 'rests on 2 trials of incorrectNogo',
    }
    (alarm,) = [m['text'] for m in plan['checks']['messages'] if m['level'] == 'alarm']
    assert 'The raw image has 180 volumes and the series 170' in alarm
    assert 'give --drop-volumes 10' in alarm
    told = build(
        trials, series, contrasts=weights, raw_volumes=N_VOLUMES + 10, drop_volumes=10
    )  # fmt: skip
    plan = json.loads(Path(told.contrasts_file).read_text())
    assert not any(m['level'] == 'alarm' for m in plan['checks']['messages'])


def test_nothing_to_estimate_is_no_error(series, tmp_path, describe):
    trials = code(write_events(tmp_path / 'events.tsv', errors=False), series)
    found = BuildRunDesign(
        trials_file=trials,
        series_file=series,
        conditions=['incorrectNogo'],
        contrasts={'errors': {'rows': [{'incorrectNogo': 1.0}], 'test': 't'}},
        hrf_model='spm',
        high_pass=0.005,
    ).run().outputs  # fmt: skip
    plan = json.loads(Path(found.contrasts_file).read_text())
    assert plan['weights'] == {}
    assert plan['dropped'] == ['incorrectNogo']
    figures = RunFigures(
        trials_file=trials,
        series_file=series,
        design_file=found.design_file,
        contrasts_file=found.contrasts_file,
        conditions=['incorrectNogo'],
        quality={},
    ).run().outputs  # fmt: skip
    assert figures.names == ['design']
    page = describe(
        contrasts_file=found.contrasts_file, maps_sidecars=[], quality={}, contrasts=[], maps=[]
    )
    (run,) = section(page).runs
    assert dict(run.facts)['Model'] == 'not fitted: no contrast can be estimated'
    assert run.maps == ()
    assert 'no event of the run belongs to a condition (incorrectNogo)' in run.warnings


def test_section_says_what_was_not_denoised(describe, tmp_path):
    # Nipype hands on one file as text and several as a list.
    single = str(tmp_path / 'map.png')
    (run,) = section(describe(denoised=False, maps=single, sets=['24', 'acompcor'])).runs
    assert dict(run.facts)['Confounds in the model'] == '24, acompcor: 0 regressors'
    assert run.maps[0].path == 'map.png'
    (run,) = section(describe(denoised=False, sets=[])).runs
    assert dict(run.facts)['Confounds in the model'] == 'none'


def test_grayordinates_without_data_are_counted(describe):
    (run,) = section(describe(maps_sidecars=[{**SIDECAR, 'GrayordinatesWithoutData': 7}])).runs
    assert any('7 grayordinates are constant or not finite' in line for line in run.warnings)


def test_facts_of_the_volumes(describe):
    """Of `RunQuality`; what is not known has a reason."""
    known = {
        'MeanFramewiseDisplacement': 0.1234,
        'MeanFramewiseDisplacementFiltered': None,
        'ShareAboveFramewiseDisplacementLimit': 0.05,
        'FramewiseDisplacementLimit': 0.5,
        'MeanDVARS': 31.26,
        'NotAvailable': {'MeanFramewiseDisplacementFiltered': 'The run is too short.'},
    }
    (run,) = section(describe(motion_facts=known)).runs
    facts = dict(run.facts)
    assert facts['Mean framewise displacement'] == '0.123 mm'
    assert facts['The same without breathing'] == 'n/a: The run is too short.'
    assert facts['Volumes that moved'] == '5.0 % more than 0.5 mm'
    assert facts['Mean DVARS'] == '31.3'


@pytest.mark.parametrize(
    ('content', 'why'),
    [
        (None, 'there is no table of it'),
        ('1 2 3 4 5 6\n', '1 rows of confounds, but the time series has 170 volumes'),
        ('a b\n', "'a' is not a number"),
    ],
)
def test_a_run_without_head_movement(run_files, describe, tmp_path, content, why):
    """The page says why; nothing fails."""
    files, design = run_files
    path = Path(files['confounds_file'])
    files.pop('confounds_file')
    given = {}
    if content is not None:
        path.write_text(content)
        given = {'confounds_file': str(path)}
    found = RunFigures(**files, **given, **design, conditions=NAMES).run().outputs
    assert found.names == ['design', 'correlations']
    (run,) = section(
        describe(**given, names=['design'], pictures=str(tmp_path / 'design.png'))
    ).runs
    assert 'Head movement' not in [part.heading for part in run.parts]
    assert part(run, 'Design matrix').picture.path == 'design.png'
    said = dict(run.facts)['Head movement']
    assert said.startswith('unknown: ')
    assert why in said


def test_rotations_of_fmriprep_are_radians(run_files, describe, tmp_path):
    """The same movement gives the same displacement, whoever wrote it down."""
    files, _ = run_files
    moved = np.loadtxt(files['confounds_file'])[:, :6]
    moved[:, 3:] = np.deg2rad(moved[:, 3:])
    path = tmp_path / 'sub-01_desc-confounds_timeseries.tsv'
    path.write_text(
        '\t'.join(MOTION) + '\n' + '\n'.join('\t'.join(map(repr, row)) for row in moved.tolist())
    )
    (hcp,) = section(describe()).runs
    (other,) = section(describe(confounds_file=str(path), origin='fmriprep')).runs
    name = 'Mean framewise displacement'
    assert dict(hcp.facts)[name] == dict(other.facts)[name]


def test_sections_of_a_visit_are_joined(describe, tmp_path):
    parts = []
    for title in ('run 1', 'run 2'):
        path = Path(describe(title=title))
        parts.append(str(path.rename(tmp_path / f'{title[-1]}.json')))
    performance = tmp_path / 'performance.tsv'
    performance.write_text(
        'run\tn_go\tn_correct_go\taccuracy\tdprime\trt_drift\tvalid\tinvalid_reason\n'
        '1\t60\t57\t0.95\t3.1\t-0.001\tTrue\tn/a\n'
        '2\t60\t30\t0.5\t-0.2\tn/a\tFalse\tGo accuracy: 0.5, below 0.7\n'
        'all\t120\t87\t0.725\t1.4\t0.00001\tTrue\tn/a\n'
    )
    found = DescribeVisit(
        session_id='TP1',
        base_directory=str(tmp_path),
        runs=parts,
        contrasts=['a', 'b'],
        maps=[str(tmp_path / 'a.png'), str(tmp_path / 'b.png')],
        messages=['odd'],
        performance_file=str(performance),
    ).run()
    visit = section(found.outputs.out_file)
    assert visit.session_id == 'TP1'
    assert [run.title for run in visit.runs] == ['run 1', 'run 2']
    assert [picture.path for picture in visit.maps] == ['a.png', 'b.png']
    assert visit.messages == (
        'odd',
        'The task may not have been done (run 2): Go accuracy: 0.5, below 0.7.',
    )
    table = visit.behaviour.table
    assert table.columns == ('', 'run 1', 'run 2', 'all runs')
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows['Go trials with a correct response'] == (
        '57 of 60 (95.0 %)',
        '30 of 60 (50.0 %)',
        '87 of 120 (72.5 %)',
    )
    assert rows["Sensitivity d'"] == ('3.10', '\N{MINUS SIGN}0.20', '1.40')
    assert rows['Drift of response time (s per minute)'] == (
        '\N{MINUS SIGN}0.0010',
        'n/a',
        '0.0000',
    )
    assert rows['Task done'] == ('yes', 'doubtful', 'yes')
    alone = DescribeVisit(session_id='', base_directory=str(tmp_path), runs=parts[:1]).run()
    assert section(alone.outputs.out_file).behaviour is None
