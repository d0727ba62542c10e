"""Bad input of one run, through the command line: one participant per way to be broken.

All are in one study, so that one call shows that the message is right, that the others are done,
and that nothing half-written is left.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ketbids.io.cifti import read_maps, write_maps, write_series
from ketbids.io.surfaces import read_surface, write_surface
from ketbids.reports.page import SessionSection
from ketbids.stats.brainmodels import Surface
from ketbids.stats.confounds import MOTION
from tests.interfaces.files import TR, BrainFiles, write_events, write_movement
from tests.stats.small_brain import LEFT, RIGHT, SmallBrain
from tests.test_end_to_end import small_model

N_VOLUMES = 170
CODE = 'import sys; from ketbids.cli.main import main; sys.exit(main(sys.argv[1:]))'
BRAIN = SmallBrain(2)


class Files(NamedTuple):
    """Files of a participant."""

    events: Path
    series: Path
    confounds: Path
    surfaces: tuple[Path, Path]
    labels: Path | None

    @property
    def sidecar(self) -> Path:
        return Path(str(self.series).replace('.dtseries.nii', '.json'))


def noise(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(1e4, 50, (N_VOLUMES, len(BRAIN.models)))


def write_bold(path: Path, data: np.ndarray, models=BRAIN.models, step: float = TR) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_series(path, data, models, step)


def replaced(path: Path, old: str, new: str, count: int = -1) -> None:
    content = path.read_bytes()
    assert old.encode() in content
    path.write_bytes(content.replace(old.encode(), new.encode(), count))


def cells(path: Path, change: Callable[[list[str], int], list[str]]) -> None:
    """Change the rows of an events file, each given as its cells and its number."""
    header, *rows = path.read_text().splitlines()
    changed = ['\t'.join(change(row.split('\t'), n)) for n, row in enumerate(rows)]
    path.write_text('\n'.join([header, *changed]) + '\n')


def events_in_ms(files: Files) -> None:
    cells(files.events, lambda row, n: [str(1000 * float(row[0])), '600', *row[2:]])


def events_late(files: Files) -> None:
    cells(files.events, lambda row, n: ['136.5', *row[1:]] if n == 59 else row)


def other_types(files: Files) -> None:
    cells(files.events, lambda row, n: [*row[:2], 'left' if n % 2 else 'right', row[3]])


def negative_duration(files: Files) -> None:
    cells(files.events, lambda row, n: [row[0], '-0.6', *row[2:]] if n == 4 else row)


def text_onset(files: Files) -> None:
    cells(files.events, lambda row, n: ['soon', *row[1:]] if n == 4 else row)


def damaged_header(files: Files) -> None:
    replaced(files.series, 'IndexCount="', 'IndexCount=!', 1)


def as_scalars(files: Files) -> None:
    maps = dict(zip('abc', noise()[:3], strict=True))
    path = write_maps(files.series.with_name('x.dscalar.nii'), maps, BRAIN.models)
    path.replace(files.series)


def without_data(files: Files) -> None:
    """NaN in one half, a constant in the other."""
    data = np.full((N_VOLUMES, len(BRAIN.models)), 7.0)
    data[:, ::2] = np.nan
    write_bold(files.series, data)


def coarse_surfaces(files: Files) -> None:
    coarse = BrainFiles(files.surfaces[0].parent, level=1)
    for path, made in zip(files.surfaces, coarse.pair('coarse'), strict=True):
        Path(made).replace(path)


def swapped_surfaces(files: Files) -> None:
    left, right = (path.read_bytes() for path in files.surfaces)
    files.surfaces[0].write_bytes(right)
    files.surfaces[1].write_bytes(left)


def in_metres(files: Files) -> None:
    surface, structure = read_surface(files.surfaces[0])
    write_surface(
        files.surfaces[0], Surface(surface.coordinates / 1000, surface.triangles), structure
    )


def lost_volume(files: Files) -> None:
    data = noise()
    data[17] = np.nan
    write_bold(files.series, data)


def two_runs(files: Files, second: np.ndarray, models=BRAIN.models) -> None:
    folder = files.series.parents[1]
    for number in ('1', '2'):
        events = files.events.with_name(
            files.events.name.replace('_events', f'_run-{number}_events')
        )
        shutil.copy(files.events, events)
        run = folder / f'task-carit_run-{number}'
        series = run / f'{run.name}_Atlas_hp2000_clean.dtseries.nii'
        if number == '1':
            write_bold(series, noise())
        else:
            write_bold(series, second, models)
        shutil.copy(files.confounds, run / files.confounds.name)
    files.events.unlink()
    shutil.rmtree(files.series.parent)


def second_run(files: Files) -> None:
    """Two runs; the second one without its last grayordinates."""
    models = SmallBrain(2, volume=False).models
    two_runs(files, noise()[:, : len(models)], models)


def other_units(files: Files) -> None:
    two_runs(files, noise() - 1e4)


def not_denoised(files: Files, rows: int = N_VOLUMES, columns: int = 12) -> None:
    files.series.rename(files.series.with_name(files.series.name.replace('_hp2000_clean', '')))
    write_movement(files.confounds, rows, columns)


def confounds(files: Files, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    rows = [line.split('\t') for line in files.confounds.read_text().splitlines()]
    files.confounds.write_text('\n'.join('\t'.join(row) for row in change(rows)) + '\n')


def missing_value(rows: list[list[str]]) -> list[list[str]]:
    rows[8][2] = 'n/a'
    return rows


def timing(files: Files, **content: float | bool | str) -> None:
    files.sidecar.write_text(json.dumps(content))


def header_step(files: Files, step: float, **content: float) -> None:
    write_bold(files.series, noise(), step=step)
    timing(files, **content)


#: How each participant is broken, and what is said of it.
HCP: dict[str, tuple[Callable[[Files], object], str]] = {
    'noContent': (lambda f: f.events.write_text(''), r'{events} is empty'),
    'noEvents': (
        lambda f: f.events.write_text('onset\tduration\ttrial_type\tresponse_time\n'),
        r'{events}: The file has a header, but no event',
    ),
    'noOnset': (
        lambda f: replaced(f.events, 'onset', 'start'),
        r'{events} lacks the column onset; it has start, duration',
    ),
    'otherTypes': (
        other_types,
        r"{events}: No row .* The file has: trial_type='right' \(30\); trial_type='left' \(30\)\. "
        r"The model has: correctGo: trial_type='go', with a response",
    ),
    'textOnset': (text_onset, r"{events}: Row 5 \(line 6 of the file\) .* onset 'soon'"),
    'negativeDuration': (negative_duration, r"{events}: Row 5 .* duration '-0.6': it must be"),
    'milliseconds': (
        events_in_ms,
        r'{events}: the last event starts at 126500 s \(line 61\), but {series} ends at 136 s '
        r'\(170 volumes\)'
        r'\. The onsets look like milliseconds',
    ),
    'late': (
        events_late,
        r'{events}: the last event starts at 136.5 s \(line 61\), .* belong to another run.*'
        r'--drop-volumes',
    ),
    'truncated': (
        lambda f: os.truncate(f.series, f.series.stat().st_size // 2),
        r'{series} cannot be read .*truncated: \d+ bytes instead of \d+',
    ),
    'damagedHeader': (damaged_header, r'{series} cannot be read as a CIFTI-2 dense time series'),
    'scalars': (
        as_scalars,
        r'{series} is not a dense time series .* scalars x brain models\. Put the dense time',
    ),
    'lostVolume': (lost_volume, r'{series} has no data: .* Nothing is finite in volume 18\.'),
    'stepInMs': (
        lambda f: write_bold(f.series, noise(), step=1000 * TR),
        r'{series}: the repetition time is 800 s\. This looks like milliseconds',
    ),
    'jsonContradicts': (
        lambda f: timing(f, RepetitionTime=2.0),
        r'is 0.8 s in the header of {series}, but 2 s in {sidecar}',
    ),
    'jsonBroken': (lambda f: f.sidecar.write_text('{'), r'{sidecar} is not valid JSON'),
    'jsonFolder': (lambda f: f.sidecar.mkdir(), r'{sidecar} is no file that can be read'),
    'inMetres': (in_metres, r'{left} is no usable surface: it is 0\.1 mm long, which no brain is'),
    'unitsDiffer': (other_units, r'The mean was removed from \S+run-2\S+ but not from \S+run-1'),
    'noData': (without_data, r'{series} has no data: every grayordinate'),
    'otherMesh': (coarse_surfaces, r'{left} has 42 vertices, the time series 162'),
    'otherSide': (swapped_surfaces, r'{left} is a surface of .*RIGHT, not of .*LEFT'),
    'noSurface': (
        lambda f: f.surfaces[1].write_text('not a surface'),
        r'{right} cannot be read as a GIFTI surface',
    ),
    'runsDiffer': (
        second_run,
        r'run-2_Atlas\S+ \(\d+ grayordinates\) and \S+run-1_Atlas\S+ \(\d+\) do not have the same',
    ),
    'movementRows': (
        lambda f: not_denoised(f, rows=169),
        r'{confounds}: 169 rows of confounds, but the time series has 170 volumes',
    ),
    'movementColumns': (
        lambda f: not_denoised(f, columns=5),
        r'{confounds} has 5 columns; it must have 6 or 12',
    ),
}
FMRIPREP: dict[str, tuple[Callable[[Files], object], str]] = {
    'confoundRows': (
        lambda f: confounds(f, lambda rows: rows[:-1]),
        r'{confounds}: 169 rows of confounds, but the time series has 170 volumes',
    ),
    'confoundColumns': (
        lambda f: confounds(f, lambda rows: [row[:4] for row in rows]),
        r'{confounds}: There is no column rot_y, rot_z, which the set 24 needs; there are: '
        r'trans_x, trans_y, trans_z, rot_x\. Choose other sets',
    ),
    'noComponents': (
        lambda f: confounds(f, lambda rows: [row[:6] for row in rows]),
        r'{confounds}: The set acompcor needs the columns a_comp_cor_00',
    ),
    'confoundMissing': (
        lambda f: confounds(f, missing_value),
        r'{confounds}: Row 8 \(line 9 .*\) has trans_z n/a',
    ),
    'noConfounds': (
        lambda f: f.confounds.unlink(),
        r'{confounds} is missing, which the confounds 24 acompcor .*--confounds none',
    ),
    'timeContradicts': (
        lambda f: timing(f, RepetitionTime=2.0),
        r'is 0.8 s in the header of {series}, but 2 s in {sidecar}',
    ),
    'timeUnknown': (
        lambda f: header_step(f, np.nan),
        r'{series}: the header has no time step in seconds, and no JSON .*'
        r'\(looked in: {sidecar}\)',
    ),
    'startTime': (
        lambda f: timing(f, RepetitionTime=TR, SliceTimingCorrected=True, StartTime=400),
        r'{sidecar}: StartTime is 400; it must be a number of seconds from 0 to',
    ),
}
BROKEN = {**HCP, **FMRIPREP}


def mended_events(files: Files) -> None:
    """Order, impulses, unknown types, an onset before the scan."""

    def change(row: list[str], n: int) -> list[str]:
        duration = '0' if n == 10 else row[1]
        kind = 'break' if n in (12, 13) else row[2]
        return ['-3.2' if n == 0 else row[0], duration, kind, row[3]]

    cells(files.events, change)
    header, *rows = files.events.read_text().splitlines()
    files.events.write_text('\n'.join([header, *rows[::-1]]) + '\n')


EMPTY = {3: np.nan, 100: 0.0, 200: 5000.0, -1: np.inf}


def some_empty(files: Files) -> None:
    data = noise()
    for column, value in EMPTY.items():
        data[:, column] = value
        if not np.isfinite(value):
            data[1:, column] = noise(1)[1:, column]
    write_bold(files.series, data)


def mended(files: Files) -> None:
    """What is repaired or left out, and said."""
    mended_events(files)
    files.confounds.write_text('1 2 3 4 5 6\n')
    Path(str(files.surfaces[0]).replace('midthickness', 'inflated')).write_text('no surface')
    coarse = BrainFiles(files.series.parent, level=1)
    made = coarse.labels('x', np.zeros(len(coarse.models)), {0: '???'})
    Path(made).replace(files.labels)


WHOLE: dict[str, Callable[[Files], object]] = {
    'mended': mended,
    'someEmpty': some_empty,
}
#: What is modelled of them gives no map, and is told.
NO_MAPS: dict[str, Callable[[Files], object]] = {
    'noNogo': lambda f: cells(
        f.events, lambda row, _: ['go' if cell == 'nogo' else cell for cell in row]
    )
}
WHOLE_FMRIPREP: dict[str, Callable[[Files], object]] = {
    'noStep': lambda f: header_step(
        f, np.nan, RepetitionTime=TR, SliceTimingCorrected=True, StartTime=0.2
    )
}
#: Visits that are done.
DONE = (*WHOLE, *NO_MAPS, *WHOLE_FMRIPREP)


def write_participant(root: Path, label: str, *, fmriprep: bool) -> Files:
    name = f'sub-{label}'
    func = root / 'bids' / name / 'func'
    func.mkdir(parents=True)
    events = Path(write_events(func / f'{name}_task-carit_events.tsv'))
    if fmriprep:
        folder = root / 'derivatives' / 'fmriprep' / name
        stem = f'{name}_task-carit'
        series = folder / 'func' / f'{stem}_space-fsLR_den-91k_bold.dtseries.nii'
        mesh, pattern = folder / 'anat', f'{name}_hemi-{{}}_space-fsLR_den-0k_{{}}.surf.gii'
        table = folder / 'func' / f'{stem}_desc-confounds_timeseries.tsv'
    else:
        folder = root / 'derivatives' / 'hcp' / name / 'MNINonLinear'
        run = folder / 'Results' / 'task-carit'
        series = run / 'task-carit_Atlas_hp2000_clean.dtseries.nii'
        mesh, pattern = folder / 'fsaverage_LR0k', f'{name}.{{}}.{{}}.0k_fs_LR.surf.gii'
        table = run / 'Movement_Regressors.txt'
    write_bold(series, noise())
    mesh.mkdir(parents=True, exist_ok=True)
    brain = BrainFiles(mesh, level=2)
    for kind in ('midthickness', 'inflated'):
        for hemi, structure in (('L', LEFT), ('R', RIGHT)):
            Path(brain.surface('x', structure)).replace(mesh / pattern.format(hemi, kind))
    surfaces = tuple(mesh / pattern.format(hemi, 'midthickness') for hemi in 'LR')
    labels = None
    if fmriprep:
        columns = [*MOTION, *(f'a_comp_cor_{n:02d}' for n in range(12))]
        values = np.random.default_rng(3).standard_normal((N_VOLUMES, len(columns)))
        np.savetxt(table, values, delimiter='\t', header='\t'.join(columns), comments='')
    else:
        write_movement(table, N_VOLUMES)
        made = brain.labels('x', np.zeros(len(brain.models)), {0: '???'})
        labels = Path(made).replace(mesh / f'{name}.aparc.0k_fs_LR.dlabel.nii')
    return Files(events, series, table, surfaces, labels)


def model() -> dict:
    """One first-level contrast is enough."""
    content = small_model()
    run = content['Nodes'][0]
    run['Contrasts'] = [c for c in run['Contrasts'] if c['Name'] == 'nogoVsGo']
    return content


class Study(NamedTuple):
    """The study after the call."""

    root: Path
    files: dict[str, Files]
    code: int
    output: str

    @property
    def out(self) -> Path:
        return self.root / 'out'

    def written(self, label: str) -> list[Path]:
        return [path for path in (self.out / f'sub-{label}').rglob('*') if path.is_file()]

    def section(self, label: str) -> SessionSection:
        (path,) = (self.out / f'sub-{label}' / 'figures').glob('*_section.json')
        return SessionSection.from_dict(json.loads(path.read_text()))


@pytest.fixture(scope='module')
def study(tmp_path_factory) -> Study:
    root = tmp_path_factory.mktemp('refusals')
    files = {}
    for fmriprep, cases in (
        (False, {name: case[0] for name, case in HCP.items()} | WHOLE | NO_MAPS),
        (True, {name: case[0] for name, case in FMRIPREP.items()} | WHOLE_FMRIPREP),
    ):
        for label, change in cases.items():
            files[label] = write_participant(root, label, fmriprep=fmriprep)
            change(files[label])
    (root / 'bids' / 'dataset_description.json').write_text(
        '{"Name": "x", "BIDSVersion": "1.10.0"}'
    )
    (root / 'model.json').write_text(json.dumps(model()))
    command = [str(root / 'bids'), str(root / 'out'), 'participant', '--nprocs', '2']
    command += ['--model', str(root / 'model.json'), '--skip-bids-validation', '--derivatives']
    command += [str(root / 'derivatives' / name) for name in ('hcp', 'fmriprep')]
    done = subprocess.run(
        [sys.executable, '-c', CODE, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1])},
        timeout=300,
    )
    return Study(root, files, done.returncode, done.stdout + done.stderr)


def test_the_others_are_done(study):
    assert study.code == 1, study.output
    expected = f'{len(DONE)} of {len(DONE) + len(BROKEN)} visits done, {len(BROKEN)} failed'
    assert expected in study.output, study.output
    recorded = {path.stem for path in (study.out / 'logs' / 'records').glob('*.json')}
    assert recorded == {f'sub-{name}_task-carit' for name in DONE}


@pytest.mark.parametrize('label', BROKEN)
def test_message(study, label):
    files = study.files[label]
    series = files.series
    if label.startswith('movement'):
        series = series.with_name(series.name.replace('_hp2000_clean', ''))
    names = {
        'events': files.events,
        'series': series,
        'confounds': files.confounds,
        'sidecar': files.sidecar,
        'left': files.surfaces[0],
        'right': files.surfaces[1],
    }
    said = re.search(rf'sub-{label}_task-carit failed: (.*)', study.output)
    assert said is not None, study.output
    pattern = BROKEN[label][1]
    for name, path in names.items():
        pattern = pattern.replace(f'{{{name}}}', re.escape(str(path)))
    assert re.search(pattern, said[1]), said[1]
    assert 'Traceback' not in said[1]


@pytest.mark.parametrize('label', BROKEN)
def test_nothing_is_half_written(study, label):
    written = study.written(label)
    assert not [path for path in written if path.name.startswith('.')]
    for path in written:
        if path.name.endswith('.dscalar.nii'):
            read_maps(path)
        if path.suffix == '.json':
            json.loads(path.read_text())
    page = (study.out / f'sub-{label}.html').read_text()
    assert f'sub-{label}_task-carit failed' in page


@pytest.mark.parametrize('label', [*WHOLE, *WHOLE_FMRIPREP])
def test_what_is_done_is_whole(study, label):
    names = [path.name for path in study.written(label)]
    maps = [name for name in names if name.endswith('_statmap.dscalar.nii')]
    assert len([name for name in maps if '_stat-' in name]) == 4
    assert len([name for name in maps if '_desc-whiteness_' in name]) == 1
    assert len([name for name in names if name.endswith('_statmap.png')]) == 1


def test_a_run_without_an_estimable_contrast_goes_on(study):
    names = {path.name for path in study.written('noNogo')}
    assert not [name for name in names if '_statmap.' in name]
    stem = 'sub-noNogo_task-carit_desc'
    for ending in ('trials_events', 'counts_events', 'design_timeseries', 'performance_beh'):
        assert f'{stem}-{ending}.tsv' in names
    assert 'no contrast can be estimated, so no model was fitted (nogoVsGo: ' in study.output
    (run,) = study.section('noNogo').runs
    assert any('The contrast nogoVsGo cannot be estimated' in line for line in run.warnings)


def test_repairs_are_told(study):
    (run,) = study.section('mended').runs
    told = ' '.join([*run.warnings, *run.notes])
    assert 'not in the order of their onsets, sorted' in told
    assert 'with duration 0, modelled as impulses' in told
    assert '2 rows of the events file: no condition matches trial_type=break' in told
    assert '1 row of the events file: starts before the first volume of the scan' in told
    said = 'the rows of the events file were not in the order'
    assert f'{study.files["mended"].events}: {said}' in study.output


def test_what_serves_the_page_only_fails_nothing(study):
    """Head movement after FIX, and inflated surfaces."""
    files = study.files['mended']
    visit = study.section('mended')
    (run,) = visit.runs
    assert 'Head movement' not in [part.heading for part in run.parts]
    movement = f'n/a: {files.confounds}: 1 rows of confounds, but the time series has 170'
    assert dict(run.facts)['Mean framewise displacement'].startswith(movement)
    inflated = str(files.surfaces[0]).replace('midthickness', 'inflated')
    words = f'Pictures are on the midthickness surfaces. {inflated} cannot be read'
    assert visit.messages[0].startswith(words)
    assert words in study.output
    names = [path.name for path in study.written('mended')]
    assert len([name for name in names if name.endswith('_inflated.surf.gii')]) == 2
    for path in study.written('mended'):
        if path.name.endswith('.surf.gii'):
            read_surface(path)
    assert '<h2>Runs</h2>' in (study.out / 'sub-mended.html').read_text()


def test_grayordinates_without_data_stay_alone(study):
    """They are NaN in the maps and counted; their neighbours have values as elsewhere."""
    maps = [
        p
        for p in study.written('someEmpty')
        if p.name.endswith('_statmap.dscalar.nii') and '_stat-' in p.name
    ]
    for path in maps:
        values = read_maps(path)[0][0]
        missing = np.flatnonzero(np.isnan(values))
        assert missing.tolist() == sorted(np.arange(len(values))[list(EMPTY)])
        if '_stat-effect_' in path.name:
            assert np.nanmax(np.abs(values)) < 1000
        sidecar = json.loads(Path(str(path).replace('.dscalar.nii', '.json')).read_text())
        assert sidecar['GrayordinatesWithoutData'] == 4
    (run,) = study.section('someEmpty').runs
    assert any('4 grayordinates are constant or not finite' in line for line in run.warnings)


def test_labels_of_another_mesh_are_left_out(study):
    labels = study.files['mended'].labels
    assert f'{labels} has 42 vertices' in study.output
    names = [path.name for path in study.written('mended')]
    assert not [name for name in names if name.endswith('.dlabel.nii')]
    assert [p for p in study.written('someEmpty') if p.name.endswith('.dlabel.nii')]


def test_sidecar_of_fmriprep(study):
    paths = [
        p
        for p in study.written('noStep')
        if p.name.endswith('_statmap.json') and '_stat-' in p.name
    ]
    assert len(paths) == 4
    for path in paths:
        sidecar = json.loads(path.read_text())
        assert sidecar['Preprocessing'] == 'fMRIPrep'
        assert sidecar['Confounds'] == ['24', 'acompcor']
        assert len(sidecar['ConfoundColumns']) == 34
        assert sidecar['RepetitionTime'] == TR
        assert sidecar['SliceTimingReference'] == 0.25
        assert 'so that the median temporal mean' in sidecar['SignalUnits']
    (run,) = study.section('noStep').runs
    assert 'the header of the series has no time step; 0.8 s is from the JSON file' in run.warnings
    assert dict(run.facts)['Confounds in the model'] == '24, acompcor: 34 regressors'
    assert 'Head movement' in [part.heading for part in run.parts]
