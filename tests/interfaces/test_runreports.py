"""Figures of a run, and the sections of the participant's page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.interfaces.rundesign import BuildRunDesign
from ketbids.interfaces.runreports import DescribeRun, DescribeVisit, RunFigures
from ketbids.reports.page import SessionSection
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
MOVED = {
    'MeanFramewiseDisplacement': 0.1234,
    'MeanFramewiseDisplacementFiltered': None,
    'ShareAboveFramewiseDisplacementLimit': 0.05,
    'FramewiseDisplacementLimit': 0.5,
    'MeanDVARS': 31.26,
    'NotAvailable': {'MeanFramewiseDisplacementFiltered': 'The run is too short.'},
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


def figures(files, design, **more):
    return RunFigures(**files, **design, conditions=NAMES, **more).run().outputs


def test_pictures_of_a_run(run_files, motion_file):
    files, design = run_files
    found = figures(files, design, quality=QUALITY, motion_file=motion_file)
    assert found.names == ['design', 'correlations', 'whiteness', 'motion']
    assert all(is_picture(path) for path in found.pictures)
    # Displacement and DVARS of the table are drawn.
    full = Path(found.pictures[-1]).read_bytes()
    table = pd.read_csv(motion_file, sep='\t', na_values='n/a')
    table.assign(dvars=np.nan).to_csv(motion_file, sep='\t', index=False, na_rep='n/a')
    less = figures(files, design, motion_file=motion_file)
    assert less.names == ['design', 'correlations', 'motion']
    assert Path(less.pictures[-1]).read_bytes() != full


@pytest.mark.parametrize('more', [[], [(20.0, 'other'), (60.0, 'other')]])
def test_a_trial_at_the_end_of_the_run_fails_no_figure(series, tmp_path, motion_file, more):
    """Its regressor is 0 throughout: there is nothing to correlate."""
    length = N_VOLUMES * 0.8
    rows = [*more, (length - 0.2, 'go')]
    trials = tmp_path / 'trials.tsv'
    trials.write_text(
        'onset\tduration\tcondition\tstatus\n'
        + ''.join(f'{onset}\t0.6\t{name}\ttrial\n' for onset, name in rows)
    )
    names = ['go', 'other']
    found = BuildRunDesign(
        trials_file=str(trials),
        series_file=series,
        conditions=names,
        contrasts={'go': {'rows': [{'go': 1.0}], 'test': 't'}},
        hrf_model='spm',
        high_pass=0.005,
    ).run(cwd=str(tmp_path)).outputs  # fmt: skip
    drawn = RunFigures(
        trials_file=str(trials),
        series_file=series,
        design_file=found.design_file,
        contrasts_file=found.contrasts_file,
        conditions=names,
        motion_file=motion_file,
        quality={},
    ).run(cwd=str(tmp_path)).outputs  # fmt: skip
    assert drawn.names == ['design', 'correlations'][: 2 if more else 1]
    assert all(is_picture(path) for path in drawn.pictures)


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
            'motion_facts': MOVED,
            'quality': QUALITY,
            'smoothing': '5 mm FWHM added; 5.39 mm with the 2 mm of the HCP pipelines',
            'denoised': True,
            'contrasts': ['nogoVsGo'],
            'names': ['design', 'motion'],
            'pictures': [str(figures / 'design.png'), str(figures / 'motion.png')],
            'maps': [str(figures / 'map.png')],
        }
        known = {name: files[name] for name in ('trials_file', 'series_file')}
        return DescribeRun(**{**known, **given, **inputs}).run().outputs.out_file

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
    assert times[0][0] == 'not checked'
    assert not any('not checked' in text for text in run.warnings)
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


def test_nothing_to_estimate_is_no_error(series, tmp_path, describe, motion_file):
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
    drawn = RunFigures(
        trials_file=trials,
        series_file=series,
        design_file=found.design_file,
        contrasts_file=found.contrasts_file,
        conditions=['incorrectNogo'],
        motion_file=motion_file,
        quality={},
    ).run().outputs  # fmt: skip
    assert drawn.names == ['design']
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
    (run,) = section(describe()).runs
    facts = dict(run.facts)
    assert facts['Mean framewise displacement'] == '0.123 mm'
    assert facts['The same without breathing'] == 'n/a: The run is too short.'
    assert facts['Volumes that moved'] == '5.0 % more than 0.5 mm'
    assert facts['Mean DVARS'] == '31.3'


@pytest.mark.parametrize('content', [None, '1 2 3 4 5 6\n', 'a b\n'])
def test_a_run_without_head_movement(run_files, tmp_path, motion_file, content):
    """The facts of the run say why; nothing fails."""
    files, design = run_files
    path = Path(files.pop('confounds_file'))
    given = {}
    if content is not None:
        path.write_text(content)
        given = {'confounds_file': str(path)}
    found = figures(files, design, motion_file=motion_file, **given)
    assert found.names == ['design', 'correlations']


def test_a_page_without_head_movement(describe, tmp_path):
    facts = dict.fromkeys(MOVED) | {'NotAvailable': {'MeanFramewiseDisplacement': 'No table.'}}
    (run,) = section(
        describe(motion_facts=facts, names=['design'], pictures=str(tmp_path / 'design.png'))
    ).runs
    assert 'Head movement' not in [part.heading for part in run.parts]
    assert part(run, 'Design matrix').picture.path == 'design.png'
    assert dict(run.facts)['Mean framewise displacement'] == 'n/a: No table.'


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
        maps_sidecars=[
            {'RunsUsed': ['run-1', 'run-2'], 'RunsLeftOut': {}},
            {'RunsUsed': ['run-1'], 'RunsLeftOut': {'run-2': 'no trials of x in this run'}},
        ],
        messages=['odd'],
        performance_file=str(performance),
    ).run()
    visit = section(found.outputs.out_file)
    assert visit.session_id == 'TP1'
    assert [run.title for run in visit.runs] == ['run 1', 'run 2']
    assert [picture.path for picture in visit.maps] == ['a.png', 'b.png']
    assert [picture.caption for picture in visit.maps] == [
        '',
        'Run 1 only; run 2 is left out: no trials of x in this run.',
    ]
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


def test_checks_are_published(run_files, tmp_path):
    """They go into the sidecar of the design."""
    files, design = run_files
    found = DescribeRun(
        title='Task carit',
        base_directory=str(tmp_path),
        trials_file=files['trials_file'],
        series_file=files['series_file'],
        contrasts_file=design['contrasts_file'],
        motion_facts=MOVED,
        smoothing='none',
        denoised=True,
        contrasts=[],
        names=[],
        pictures=[],
    ).run(cwd=str(tmp_path))  # fmt: skip
    (sidecar,) = found.outputs.design_sidecar
    plan = json.loads(Path(design['contrasts_file']).read_text())
    checks = sidecar['Checks']
    one, own = checks['Regressors'][0], plan['checks']['regressors'][0]
    assert (one['Name'], one['Trials'], one['Level'], one['Mark']) == ('correctGo', 45, 'ok', None)
    assert one['VIF'] == pytest.approx(own['vif'], rel=1e-5)
    assert one['LargestCorrelation'] == pytest.approx(own['correlation'], rel=1e-5)
    assert one['CorrelatedWith'] == 'correctNogo'
    contrasts = {check['Name']: check for check in checks['Contrasts']}
    known = {check['name']: check for check in plan['checks']['contrasts']}
    assert contrasts['nogoVsGo']['Test'] == 't'
    assert contrasts['nogoVsGo']['Efficiency'] == pytest.approx(
        known['nogoVsGo']['efficiency'], rel=1e-5
    )
    assert contrasts['errors'] == {
        'Name': 'errors',
        'Test': 't',
        'VIF': None,
        'Efficiency': None,
        'Level': 'alarm',
        'Mark': 'no trials of incorrectNogo in this run',
    }
    assert {'unchecked', 'alarm', 'warn'} <= {m['Level'] for m in checks['Messages']}
    assert checks['Span']['FirstOnset'] == 2.0
    assert checks['Span']['RunLength'] == N_VOLUMES * 0.8
