import shutil
from pathlib import Path

import numpy as np
import pytest

from ketbids.demo.brain import small_brain
from ketbids.demo.confounds import SHARES, read_confounds
from ketbids.demo.document import decode
from ketbids.demo.dressed import DressOptions, dress
from ketbids.demo.noise import noise_deviation
from ketbids.demo.source import read_events
from ketbids.demo.task import event_regressor
from ketbids.demo.trialtypes import person_effects, plant_trial_types
from ketbids.errors import InputError, UsageError
from ketbids.io.cifti import read_maps, read_series
from ketbids.io.files import read_json
from ketbids.io.surfaces import read_surface
from tests.demo.sources import NEW, make_source, write


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp('source') / 'src')


@pytest.fixture(scope='module')
def study(source, tmp_path_factory):
    return dress(tmp_path_factory.mktemp('dressed') / 'study', DressOptions(source, 2.0, seed=3))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def test_files_are_where_fmriprep_would_put_them(study):
    found = set(contents(study.tree.fmriprep))
    run = 'sub-01/func/sub-01_task-stop_acq-seq'
    assert {
        'dataset_description.json',
        f'{run}_space-fsLR_den-10k_bold.dtseries.nii',
        f'{run}_space-fsLR_den-10k_bold.json',
        f'{run}_desc-confounds_regressors.tsv',
        'sub-01/anat/sub-01_hemi-L_space-fsLR_den-3k_midthickness.surf.gii',
        # several sessions: the surfaces are of none; one session: they are of that one
        'sub-02/anat/sub-02_hemi-R_space-fsLR_den-3k_inflated.surf.gii',
        'sub-03/ses-a/anat/sub-03_ses-a_hemi-R_space-fsLR_den-3k_midthickness.surf.gii',
        'sub-03/ses-a/func/sub-03_ses-a_task-stop_dir-AP_run-02_bold_confounds.tsv',
    } <= found
    assert len(found) == 1 + 5 * 3 + 3 * 4
    description = read_json(study.tree.fmriprep / 'dataset_description.json')
    assert description['GeneratedBy'][0]['Name'] == 'ketbids-demo'
    assert 'Synthetic' in description['GeneratedBy'][0]['Description']


def test_the_dataset_is_a_copy_without_images(study, source):
    copies, originals = contents(study.tree.bids), contents(source)
    assert copies == {
        name: content
        for name, content in originals.items()
        if not name.startswith('derivatives') and not name.endswith('.nii.gz')
    }


def test_series_and_sidecars_agree(study):
    run = study.source.runs[2]
    series = read_series(study.tree.series(run))
    assert series.data.shape == (100, len(series.models))
    assert series.repetition_time == pytest.approx(2.0)
    sidecar = read_json(study.tree.sidecar(run))
    assert (sidecar['RepetitionTime'], sidecar['StartTime'], sidecar['TaskName']) == (2, 1, 'stop')
    assert 'Synthetic' in sidecar['Description']
    for path in study.tree.surfaces(run):
        surface, structure = read_surface(path)
        assert len(surface.coordinates) == series.models.n_vertices[structure]
    assert 600 < series.data.mean() < 1600


def test_truth_says_what_is_planted(study):
    truth = read_json(study.tree.truth)
    n = truth['geometry']['n_grayordinates']
    maps, models = read_maps(study.tree.truth_maps)
    assert len(models) == n
    assert list(truth['trialTypes']) == ['go', 'stop']
    assert truth['trialTypes']['stop']['trials'] == 50
    hard = np.zeros(n)
    for name, amplitude in truth['trialTypes']['stop']['amplitudes'].items():
        mask = decode(truth['regions'][name]['grayordinates'], n)
        assert mask.sum() == truth['regions'][name]['n']
        hard += amplitude * mask
    assert np.corrcoef(hard, maps[1])[0, 1] > 0.9
    assert truth['runs']['sub-01_task-stop_acq-seq'] == {
        'volumes': 100,
        'trials': {'go': 30, 'stop': 10},
        'rowsLeftOut': 0,
    }
    assert sum(truth['confounds']['shares'].values()) == pytest.approx(0.3)


def test_planted_effects_and_confounds_are_in_the_series(study):
    brain = small_brain()
    effects = plant_trial_types(brain, study.source.trials, 3)
    run = study.source.runs[0]
    data = read_series(study.tree.series(run)).data.astype(float)
    percent = 100 * (data / data.mean(axis=0) - 1)
    trials, _ = read_events(run.events)
    frames = 2.0 * (np.arange(100) + 0.5)
    responses = [
        event_regressor(
            *(trials.loc[trials['trial_type'] == t, c] for c in ('onset', 'duration')), frames
        )
        for t in ('go', 'stop')
    ]
    nuisance = read_confounds(run.confounds).series
    design = np.column_stack([*responses, nuisance, np.ones(100)])
    estimates = np.linalg.lstsq(design, percent, rcond=None)[0]
    own = person_effects(effects, 'sub-01')
    for estimate, planted in zip(estimates, own, strict=False):
        slope = estimate @ planted / (planted @ planted)
        assert slope == pytest.approx(1, abs=0.12)
        assert np.corrcoef(estimate, planted)[0, 1] > 0.4
    left = (percent - np.column_stack(responses) @ own) / noise_deviation(brain)
    # Noise has the variance 1, and confounds in addition what makes their share 0.3.
    share = sum(SHARES.values())
    assert left.var(axis=0).mean() == pytest.approx(1 / (1 - share), rel=0.12)


def test_same_bytes_for_any_number_of_processes(study, source, tmp_path):
    other = dress(tmp_path / 'other', DressOptions(source, 2.0, seed=3), nprocs=2)
    assert other.new_runs == 5
    assert contents(other.tree.root) == contents(study.tree.root)


def test_a_repeat_fills_gaps_only(study, source):
    root, run = study.tree.root, study.source.runs[1]
    before = contents(root)
    times = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    again = dress(root, DressOptions(source, 2.0, seed=3))
    assert again.new_runs == 0
    assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == times
    study.tree.series(run).unlink()
    study.tree.surfaces(run)[0].unlink()
    study.tree.confounds(run).unlink()
    assert dress(root, DressOptions(source, 2.0, seed=3)).new_runs == 1
    assert contents(root) == before


@pytest.mark.parametrize('change', [{'seed': 4}, {'participants': 2}, {'seed': 3}])
def test_another_study_is_refused(study, source, tmp_path, change):
    original = source
    if change == {'seed': 3}:  # the same options, another source
        original = make_source(tmp_path / 'changed')
        (original / 'README').write_text('Other.\n')
    with pytest.raises(UsageError, match='made with other options'):
        dress(study.tree.root, DressOptions(original, 2.0, **({'seed': 3} | change)))


def test_a_folder_with_something_else_is_refused(source, tmp_path):
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(UsageError, match=r'notes\.txt exists, but .*truth\.json is missing'):
        dress(tmp_path, DressOptions(source, 2.0))


@pytest.mark.parametrize('inside', ['.', 'derivatives/new', '..'])
def test_source_and_study_must_be_apart(source, inside):
    with pytest.raises(UsageError, match='must be apart'):
        dress(source / inside, DressOptions(source, 2.0))
    assert not (source / 'truth.json').exists()


@pytest.mark.parametrize('repetition_time', [0.0, -1.0, 2000.0, float('nan')])
def test_repetition_time_must_be_one(source, tmp_path, repetition_time):
    with pytest.raises(UsageError, match='it must be in seconds, above 0'):
        dress(tmp_path / 'x', DressOptions(source, repetition_time))
    assert not (tmp_path / 'x').exists()


def test_another_mesh_is_refused(study, source, tmp_path):
    options = DressOptions(source, 2.0, like=study.tree.truth_maps)
    with pytest.raises(InputError, match='needs both hemispheres on the fs_LR 32k mesh'):
        dress(tmp_path / 'x', options)
    assert not (tmp_path / 'x').exists()


def test_what_is_left_out_or_strange_is_said(source, tmp_path):
    copy = tmp_path / 'src'
    shutil.copytree(source, copy)
    (copy / 'derivatives/fmriprep/sub-02/ses-a/func' / f'sub-02_ses-a_task-stop{NEW}').unlink()
    path = copy / 'sub-01/func/sub-01_task-stop_acq-seq_events.tsv'
    path.write_text(path.read_text() + 'n/a\t1\tgo\n300\t1\tgo\n')
    said: list[str] = []
    written = dress(tmp_path / 'x', DressOptions(copy, 2.0, participants=2), report=said.append)
    assert said[0].startswith('Left out: sub-02_ses-a_task-stop: it has no confounds')
    assert said[1].startswith('sub-01_task-stop_acq-seq: 1 rows of the events are left out')
    assert 'the last event starts at 300 s, but the 100 volumes' in said[2]
    assert said[3].startswith('Writing 2 runs of 2 participants')
    truth = read_json(written.tree.truth)
    assert list(truth['leftOut']) == ['sub-02_ses-a_task-stop']
    events = written.tree.bids / 'sub-02/ses-a/func/sub-02_ses-a_task-stop_events.tsv'
    assert not events.exists()
    assert str(tmp_path) not in written.tree.truth.read_text()


def test_confounds_and_sidecars_keep_their_names(source, tmp_path):
    copy = tmp_path / 'src'
    shutil.copytree(source, copy)
    sidecar = copy / f'derivatives/fmriprep/sub-02/ses-b/func/sub-02_ses-b_task-stop{NEW}'
    sidecar.with_suffix('.json').write_text('{"a_comp_cor_00": {"Mask": "CSF"}}')
    write(copy / 'phenotype' / 'raven.tsv', read_events(next(copy.rglob('*_events.tsv')))[0])
    written = dress(tmp_path / 'x', DressOptions(copy, 2.0))
    run = written.source.runs[2]
    assert 'CSF' in written.tree.confounds(run).with_suffix('.json').read_text()
    assert written.tree.confounds(run).read_bytes() == sidecar.read_bytes()
    assert (written.tree.bids / 'phenotype' / 'raven.tsv').exists()
