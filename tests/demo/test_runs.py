import numpy as np
import pytest

from ketbids.demo.contrasts import analysis_rows, draw_contrasts, estimation_error
from ketbids.demo.runs import participant_surfaces, simulate_run
from ketbids.demo.task import draw_events, regressors
from ketbids.demo.truth import contrast_map
from ketbids.stats.graph import vertex_areas

SEED, N_VOLUMES = 5, 200


def simulate(planted, sample, person, session='TP1'):
    events = draw_events(SEED, person.label, session, N_VOLUMES)
    return events, simulate_run(planted, sample, person, session, events, N_VOLUMES)


@pytest.fixture(scope='module')
def regular(planted, sample):
    return simulate(planted, sample, sample.patients[0])


def estimate(events, series):
    design = np.column_stack([regressors(events, len(series)), np.ones(len(series))])
    beta = np.linalg.lstsq(design, series.astype(float), rcond=None)[0]
    return 100 * (beta[1] - beta[0]) / series.mean(axis=0)


def test_a_run_looks_like_cleaned_data(brain, regular):
    _, run = regular
    assert run.series.shape == (N_VOLUMES, len(brain.models))
    assert run.series.dtype == np.float32
    mean = run.series.mean(axis=0)
    assert mean.mean() == pytest.approx(10000, rel=0.01)
    assert mean.min() > 5000
    ratio = mean / run.series.std(axis=0)
    surface = brain.models.is_surface
    assert 70 < np.median(ratio[surface]) < 130
    assert 50 < np.median(ratio[~surface]) < np.median(ratio[surface])


def test_estimated_contrast_is_the_planted_one_with_the_stated_error(
    brain, planted, sample, regular
):
    events, run = regular
    truth = contrast_map(planted, sample.patients[0], 'TP1')
    gap = (estimate(events, run.series) - truth)[brain.models.is_surface]
    assert abs(gap.mean()) < 0.1
    assert gap.std() == pytest.approx(estimation_error(events, N_VOLUMES), rel=0.15)


def test_a_run_is_repeatable_to_the_bit(planted, sample, regular):
    _, again = simulate(planted, sample, sample.patients[0])
    assert again.series.tobytes() == regular[1].series.tobytes()
    assert again.movement.tobytes() == regular[1].movement.tobytes()
    _, other = simulate(planted, sample, sample.patients[0], 'TP2')
    assert (other.series != again.series).mean() > 0.99


def test_movement_has_derivatives_and_the_excluded_moves(planted, sample, regular):
    calm = regular[1].movement
    assert calm.shape == (N_VOLUMES, 12)
    assert calm[1:, 6:] == pytest.approx(np.diff(calm[:, :6], axis=0))
    assert not calm[0, 6:].any()
    person = next(p for p in sample.participants if p.label == sample.excluded)
    _, run = simulate(planted, sample, person)
    assert np.abs(run.movement[:, 6:]).max() > 5 * np.abs(calm[:, 6:]).max()
    jumps, calm_jumps = (np.abs(np.diff(r.series.mean(axis=1))).max() for r in (run, regular[1]))
    assert jumps > 4 * calm_jumps


def test_surfaces_are_a_little_different(brain):
    made = participant_surfaces(brain, SEED, '01')
    for name, template in brain.midthickness.items():
        own = made['midthickness'][name]
        assert (own.triangles == template.triangles).all()
        ratio = vertex_areas(own).sum() / vertex_areas(template).sum()
        assert 0.75 < ratio < 1.3
        assert np.linalg.norm(own.coordinates - template.coordinates, axis=1).max() < 25


def test_drawn_contrasts_have_the_planted_differences(planted, sample):
    maps = draw_contrasts(planted, sample, N_VOLUMES)
    assert set(maps) == {(p.label, s) for p, s in sample.runs}
    labels, rows = analysis_rows(sample, maps, 'TP1', 'TP3')
    assert len(labels) == len(rows) == 12
    less = planted.decrease > 0.3
    assert rows[:, less].mean() == pytest.approx(planted.decrease[less].mean(), abs=0.12)
    labels, rows = analysis_rows(sample, maps, 'TP1', 'TP2')
    assert len(labels) == 14
    assert abs(rows[:, less].mean()) < 0.1
    assert abs(rows[:, planted.precentral > 0.9].mean()) < 0.1
