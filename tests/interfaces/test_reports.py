"""Figures, and the sections of the pages."""

import json
from pathlib import Path

import numpy as np
import pytest

from ketbids.interfaces.reports import (
    AnalysisFigures,
    DescribeRun,
    DescribeVisit,
    MapFigures,
    RunFigures,
)
from ketbids.reports.page import SessionSection
from ketbids.stats.confounds import MOTION
from tests.interfaces.files import CONDITIONS, write_events, write_movement
from tests.interfaces.test_firstlevel import N_VOLUMES, NAMES, build, code

SIDECAR = {
    'NoiseModel': 'AR(6)',
    'DegreesOfFreedom': 100.0,
    'SignalUnits': 'percent',
    'ConfoundColumns': ['trans_x', 'trans_y'],
    'GrayordinatesWithoutData': 0,
}
PNG = b'\x89PNG\r\n\x1a\n'


def is_picture(path):
    return Path(path).read_bytes().startswith(PNG) and Path(path).stat().st_size > 2000


@pytest.fixture
def run_files(brain, tmp_path):
    series = brain.series('bold', brain.noise(N_VOLUMES))
    trials = code(write_events(tmp_path / 'events.tsv', errors=False), series)
    found = build(trials, series)
    return {
        'trials_file': trials,
        'series_file': series,
        'confounds_file': write_movement(tmp_path / 'movement.txt', N_VOLUMES),
    }, {'design_file': found.design_file, 'contrasts_file': found.contrasts_file}


def test_pictures_of_a_run(run_files):
    files, design = run_files
    found = RunFigures(**files, design_file=design['design_file'], conditions=NAMES).run().outputs
    assert found.names == ['design', 'motion']
    assert all(is_picture(path) for path in found.pictures)


@pytest.fixture
def inflated(brain):
    return brain.pair('inflated')


def test_pictures_of_maps(brain, inflated):
    values = np.random.default_rng(0).normal(0, 3, len(brain.models))
    values[3] = np.nan
    found = MapFigures(
        z=[brain.map('a', values), brain.map('b', 0.0)],
        contrasts=['a', 'b'],
        left_inflated=inflated[0],
        right_inflated=inflated[1],
    ).run()
    pictures = found.outputs.figures
    assert [Path(path).name for path in pictures] == ['map_a.png', 'map_b.png']
    assert all(is_picture(path) for path in pictures)
    assert len({Path(path).read_bytes() for path in pictures}) == 2


@pytest.mark.parametrize('p', [0.01, 0.5])
def test_picture_of_an_analysis(brain, inflated, tmp_path, p):
    summary = tmp_path / 'summary.json'
    summary.write_text(json.dumps({'SmallestP': {'pos': p}, 'Alpha': 0.05, 'ClaimBelow': 0.05}))
    found = AnalysisFigures(
        title='meanHC',
        maps={'z': brain.map('z', 4.0), 'pfwe_pos': brain.map('p', p)},
        summary=str(summary),
        inflated=list(inflated),
    ).run()
    assert is_picture(found.outputs.figure)


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
            'conditions': CONDITIONS,
            'fwhm': 5.0,
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


def test_section_of_a_run(describe):
    (run,) = section(describe()).runs
    facts = dict(run.facts)
    assert facts['Volumes'] == str(N_VOLUMES)
    assert facts['Repetition time'] == '0.8 s'
    # 5 mm and the 2 mm of the HCP pipelines, in quadrature.
    assert '5.39 mm' in facts['Smoothing']
    assert facts['Confounds in the model'] == 'none (FIX)'
    assert run.maps[0].path == 'sub-01/figures/map.png'
    assert run.design.path == 'sub-01/figures/design.png'
    warnings = ' '.join(run.warnings)
    assert 'No trial of incorrectNogo' in warnings
    assert 'The contrast errors cannot be estimated' in warnings
    assert ['correctGo', 45] in [[row[0], int(row[1])] for row in run.trials.rows]


def test_section_says_what_was_not_denoised(describe, tmp_path):
    # Nipype hands on one file as text and several as a list.
    single = str(tmp_path / 'map.png')
    (run,) = section(describe(denoised=False, maps=single, sets=['24', 'acompcor'])).runs
    assert dict(run.facts)['Confounds in the model'] == '24, acompcor: 2 regressors'
    assert run.maps[0].path == 'map.png'
    (run,) = section(describe(denoised=False, sets=[])).runs
    assert dict(run.facts)['Confounds in the model'] == 'none'


def test_grayordinates_without_data_are_counted(describe):
    (run,) = section(describe(maps_sidecars=[{**SIDECAR, 'GrayordinatesWithoutData': 7}])).runs
    assert any('7 grayordinates are constant or not finite' in line for line in run.warnings)


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
    found = RunFigures(
        **files, **given, design_file=design['design_file'], conditions=NAMES
    ).run().outputs  # fmt: skip
    assert found.names == ['design']
    assert [is_picture(path) for path in found.pictures] == [True]
    (run,) = section(
        describe(**given, names=['design'], pictures=str(tmp_path / 'design.png'))
    ).runs
    assert run.motion is None
    assert run.design.path == 'design.png'
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
    assert dict(other.facts)['Smoothing'] == '5 mm FWHM added'


def test_sections_of_a_visit_are_joined(describe, tmp_path):
    parts = []
    for title in ('run 1', 'run 2'):
        path = Path(describe(title=title))
        parts.append(str(path.rename(tmp_path / f'{title[-1]}.json')))
    found = DescribeVisit(
        session_id='TP1',
        base_directory=str(tmp_path),
        runs=parts,
        contrasts=['a', 'b'],
        maps=[str(tmp_path / 'a.png'), str(tmp_path / 'b.png')],
    ).run()
    visit = section(found.outputs.out_file)
    assert visit.session_id == 'TP1'
    assert [run.title for run in visit.runs] == ['run 1', 'run 2']
    assert [picture.path for picture in visit.maps] == ['a.png', 'b.png']
    assert visit.maps[0].title.startswith('a: z')
