"""Declared statistics of a group call: what is done, what is left as it is, what goes wrong."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ketbids.cli import statistics
from ketbids.cli.behaviour import Behaviour
from ketbids.cli.dataset import record_path
from ketbids.cli.planning import PlannedAnalysis
from ketbids.cli.statisticdata import StatisticSource
from ketbids.cli.statistics import region_contrasts, run_statistics
from ketbids.io.bids import Exclusion
from ketbids.io.files import write_json
from ketbids.io.statistics import statistic_path
from ketbids.io.tables import read_table, write_table
from ketbids.model import load_model
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    CountStatistic,
    LinearStatistic,
    MixedStatistic,
    Outcome,
    RegionChoice,
    TableStatistic,
)
from tests.stats.clinical.study import CONTROLS, PATIENTS, SESSIONS, study
from tests.workflows.studies import settings

MODEL = load_model()
SCORES = ['hdrs_TP1', 'hdrs_TP2', 'hdrs_TP3']
REMISSION = CountStatistic('remission', conditions={'remission': 'hdrs_TP3 <= 7'})
HDRS = MixedStatistic('hdrs', outcome=Outcome(score='hdrs'), formula='time', sessions=SESSIONS)
CHOICE = RegionChoice('nogoVsGo', selected_by=('remitterChange',), apriori=('front',))
#: Of the change from TP1 to TP3, and of the level at TP2, of which the selection used nothing.
REGIONS = CorrelationStatistic(
    'regions',
    outcome=Outcome(regions=CHOICE),
    variable='hdrs_change',
    values={'serial': ('TP1', 'TP3')},
)
ACCURACY = LinearStatistic(
    'accuracy', outcome=Outcome(behaviour=('accuracy',)), formula='group', value=('TP1',)
)


def visits():
    rows = [(who, when) for who in CONTROLS + PATIENTS for when in SESSIONS]
    rows = [row for row in rows if row[0] in PATIENTS or row[1] == 'TP1']
    return pd.DataFrame(rows, columns=['participant_id', 'session_id']).assign(has_map='yes')


class Group:
    """A group call on the small study; regions are written as the group level writes them."""

    def __init__(self, root):
        self.settings = settings(root, 'group', nprocs=1)
        self.out = root / 'out'
        self.people = study().people.drop(columns=['remitter', 'hdrs_change'])
        self.exclusions = []
        self.behaviour = None
        self.analyses = []
        self.contrasts = []
        self.messages = []
        self.current = []

    def __call__(self, *declared, names=None):
        model = replace(MODEL, statistics=declared)
        source = StatisticSource(
            self.people,
            visits(),
            self.exclusions,
            self.behaviour,
            self.analyses,
            self.contrasts,
        )
        names = [s.name for s in declared] if names is None else names
        done = run_statistics(self.settings, model, names, source, verbosity=0)
        self.current, self.messages = done.current, done.messages
        return done.failures

    def regions(self, *rows, whole=True):
        """Write the table of parcels: name, source, atlas and label of each."""
        path = self.out / 'group' / 'group_contrast-nogoVsGo_parcels.tsv'
        write_table(path, self._table(rows))
        self.contrasts = ['nogoVsGo'] if whole else []

    def select(self, *rows, name='remitterChange', significant=9, notes=()):
        """Write the regions that an analysis found, and how much was significant."""
        design = SimpleNamespace(
            rows=pd.DataFrame({'participant_id': [f'sub-{who}' for who in PATIENTS]}),
            sessions=('ses-TP1', 'ses-TP3'),
        )
        item = PlannedAnalysis(
            MODEL.analysis(name), 'nogoVsGo', design, pd.DataFrame(), (), 'mark'
        )
        table = self._table(rows, selected_by=name)
        start = item.folder(self.out) / item.stem
        write_table(Path(f'{start}_roi.tsv'), table)
        write_json(Path(f'{start}_roi.json'), {'Notes': list(notes)})
        counts = {'pos': significant, 'neg': 0}
        write_json(Path(f'{start}_summary.json'), {'SignificantGrayordinates': counts})
        self.analyses = [item]

    def table(self, name, table):
        return read_table(statistic_path(self.out, name, table))

    def summary(self, name):
        return json.loads(statistic_path(self.out, name).read_text())

    def state(self):
        files = [path for path in self.out.rglob('*') if path.is_file()]
        return {str(path): path.stat().st_mtime_ns for path in files}

    @staticmethod
    def _table(rows, selected_by=None):
        columns = ['participant_id', 'session_id', 'roi', 'source', 'atlas', 'label']
        columns += ['selected_by', 'direction', 'value', 'value_area', 'n_grayordinates']
        rng = np.random.default_rng(3)
        found = []
        for row in rows:
            for who, when in visits()[['participant_id', 'session_id']].to_numpy():
                value = rng.normal()
                found.append(
                    (f'sub-{who}', f'ses-{when}', *row, selected_by, 'pos', value, 10 * value, 5)
                )
        table = pd.DataFrame(found, columns=columns)
        return table.assign(coverage=1.0, extent=100.0, unit='mm2')


PARCELS = [(f'{side}_{name}', 'parcel', 'DesikanKilliany', f'{side}_{name}') for side in 'LR'
           for name in ('precentral', 'cuneus')]  # fmt: skip
FRONT = ('front', 'apriori', 'DesikanKilliany', 'L_parsopercularis')
FOUND = ('R_precentral', 'significant', 'DesikanKilliany', 'R_precentral')


@pytest.fixture
def group(tmp_path):
    return Group(tmp_path)


@pytest.fixture
def idle(monkeypatch):
    """Let nothing be computed."""

    def refuse(*_):
        raise AssertionError('something is done again')

    return lambda: monkeypatch.setattr(statistics, '_compute', refuse)


def test_nothing_is_done_twice(group, idle, caplog):
    caplog.set_level('INFO', logger='ketbids')
    assert group(REMISSION, HDRS) == {}
    assert 'Statistics: 2 to do, 0 done before, 0 that cannot be made.' in caplog.text
    counts = group.table('remission', 'counts')
    assert counts['n'].iloc[0] == len(PATIENTS)
    people = group.people.loc[PATIENTS]
    assert counts['count'].iloc[0] == (people['hdrs_TP3'] <= 7).sum()
    assert group.table('hdrs', 'terms')['n_subjects'].tolist() == [len(PATIENTS)]
    assert not (group.settings.paths.work_dir).exists()
    idle()
    before = group.state()
    assert group(REMISSION, HDRS) == {}
    assert 'Statistics: 0 to do, 2 done before, 0 that cannot be made.' in caplog.text
    assert group.state() == before


def test_what_has_changed_is_done_again(group, caplog):
    """A score; the words of one statistic; a file that is gone."""
    caplog.set_level('INFO', logger='ketbids')
    group(REMISSION, HDRS)
    caplog.clear()
    first = group.table('hdrs', 'terms')['f'].iloc[0]
    group.people.loc[PATIENTS[0], 'hdrs_TP3'] += 5
    assert group(REMISSION, HDRS) == {}
    assert 'Statistics: 2 to do, 0 done before' in caplog.text
    assert group.table('hdrs', 'terms')['f'].iloc[0] < first
    caplog.clear()
    statistic_path(group.out, 'hdrs', 'terms').unlink()
    described = replace(REMISSION, description='Who is well.')
    group(described, HDRS)
    assert 'Statistics: 2 to do' in caplog.text
    assert group.summary('remission')['Description'] == 'Who is well.'
    assert statistic_path(group.out, 'hdrs', 'terms').is_file()


def test_a_statistic_that_is_no_longer_declared(group, caplog):
    caplog.set_level('INFO', logger='ketbids')
    group(REMISSION, HDRS)
    record_path(group.out, 'statistic-hdrs').unlink()  # that call was stopped
    other = group.out / 'group' / 'statistics' / 'notes.txt'
    other.touch()
    caplog.clear()
    group(names=[])
    for name in ('remission', 'hdrs'):
        assert f'{name}: no longer in the model file; its files were removed.' in caplog.text
    assert list(other.parent.iterdir()) == [other]
    assert not list((group.out / 'logs' / 'records').iterdir())


def test_one_that_is_not_asked_for_stays(group, idle):
    group(REMISSION, HDRS)
    before = group.state()
    idle()
    score = group.people.loc[PATIENTS[0], 'hdrs_TP3']
    group.people.loc[PATIENTS[0], 'hdrs_TP3'] += 5
    assert group(REMISSION, HDRS, names=[]) == {}
    assert group.state() == before
    # Both are of the score as it was.
    assert group.current == []
    stale = 'was made with other settings, scores or maps: not shown until it is made again.'
    assert group.messages == [f'remission {stale}', f'hdrs {stale}']
    group.people.loc[PATIENTS[0], 'hdrs_TP3'] = score
    group(REMISSION, HDRS, names=['hdrs'])
    assert (group.current, group.messages) == (['remission', 'hdrs'], [])


def test_only_what_uses_a_score_is_done_again(group, caplog):
    caplog.set_level('INFO', logger='ketbids')
    baseline = CountStatistic('ill', conditions={'ill': 'hdrs_TP1 >= 17'})
    group(baseline, REMISSION, HDRS)
    group.people.loc[PATIENTS[0], 'hdrs_TP3'] += 5
    group.people['age'] += 1
    caplog.clear()
    group(baseline, REMISSION, HDRS)
    assert 'Statistics: 2 to do, 1 done before' in caplog.text


def test_what_is_of_other_maps_is_not_shown(group):
    """The call asks for nothing of regions, so that those of the new maps are not made."""
    group.regions(*PARCELS, FRONT)
    group.select(FOUND)
    group(REGIONS, HDRS)
    assert group.current == ['regions', 'hdrs']
    group.contrasts = []
    assert group(REGIONS, HDRS, names=['hdrs']) == {}
    assert group.current == ['hdrs']
    assert group.messages[0].startswith('regions was made with other settings, scores or maps')
    assert statistic_path(group.out, 'regions').is_file()


def test_one_that_fails_does_not_stop_the_others(group, caplog):
    """One that lacks data before anything runs, and one that fails when it is computed."""
    caplog.set_level('INFO', logger='ketbids')
    group(HDRS)
    assert statistic_path(group.out, 'hdrs').is_file()
    nobody = replace(HDRS, subset='age > 200')
    failures = group(REMISSION, nobody, REGIONS, ACCURACY)
    assert set(failures) == {'hdrs', 'regions', 'accuracy'}
    assert 'age > 200' in failures['hdrs']
    assert 'The regions of nogoVsGo failed, or are of other maps' in failures['regions']
    assert failures['accuracy'] == 'accuracy asks for behaviour, and there is no table of it.'
    assert 'Statistics: 2 to do, 0 done before, 2 that cannot be made.' in caplog.text
    folder = group.out / 'group' / 'statistics'
    assert {path.name.split('_')[0].split('.')[0] for path in folder.iterdir()} == {'remission'}
    records = {path.stem for path in (group.out / 'logs' / 'records').iterdir()}
    assert records == {'statistic-remission'}


def test_regions(group):
    group.regions(*PARCELS, FRONT)
    group.select(FOUND)
    assert group(REGIONS) == {}
    table = group.table('regions', 'correlations').set_index('outcome')
    assert list(table.index[:2]) == ['remitterChange:R_precentral', 'R_precentral']
    # All parcels in which something could have been found, and what was declared.
    assert set(table.index[2:]) == {'front', 'L_precentral', 'L_cuneus', 'R_cuneus'}
    # Chosen by the change of HDRS in the same maps: no p.
    assert table.loc['remitterChange:R_precentral', 'selection'] == 'direct'
    assert table['p'].isna().tolist()[:2] == [True, False]
    assert table.loc['R_precentral', 'selection'] == 'independent'
    assert group.summary('regions')['Notes'] == []
    values = group.table('regions', 'values').set_index('outcome')
    weighted = replace(CHOICE, area_weighted=True)
    group(replace(REGIONS, outcome=Outcome(regions=weighted)))
    again = group.table('regions', 'values').set_index('outcome')
    np.testing.assert_allclose(again['x'], 10 * values['x'])


@pytest.mark.parametrize('found', [True, False])
def test_a_selecting_analysis_without_regions(group, found):
    """Nothing is significant, or the analysis failed: the other regions are analysed."""
    group.regions(*PARCELS, FRONT)
    if found:
        group.select(significant=0)
    assert group(REGIONS) == {}
    assert group.table('regions', 'correlations')['outcome'].tolist() == ['front']
    (note,) = group.summary('regions')['Notes']
    assert note == (
        'Nothing is significant in remitterChange.'
        if found
        else 'There are no regions of remitterChange, as that analysis failed or is not yet done.'
    )


def test_that_nothing_is_significant_is_a_result(group):
    """No other regions are asked for: the statistic is done, without tables, and says why."""
    group.regions(*PARCELS)
    group.select(significant=0)
    only = RegionChoice('nogoVsGo', selected_by=('remitterChange',))
    assert group(replace(REGIONS, outcome=Outcome(regions=only))) == {}
    summary = group.summary('regions')
    assert summary['Notes'] == ['Nothing is significant in remitterChange.']
    assert summary['Outcomes'] == []
    assert not statistic_path(group.out, 'regions', 'correlations').exists()


def test_found_and_not_cut_is_not_nothing(group):
    """What is significant makes no region, or not all that it could: the page says which."""
    group.regions(*PARCELS, FRONT)
    group.select(notes=['Below the minimum size of 90 and left out: R_cuneus.'])
    assert group(REGIONS) == {}
    (note,) = group.summary('regions')['Notes']
    words = 'Regions of remitterChange: below the minimum size of 90 and left out: R_cuneus.'
    assert note == words
    group.select(FOUND, notes=['Below the minimum size of 90 and left out: L_cuneus.'])
    assert group(REGIONS) == {}
    (note,) = group.summary('regions')['Notes']
    assert note.endswith('below the minimum size of 90 and left out: L_cuneus.')
    group.select()
    assert group(REGIONS) == {}
    (note,) = group.summary('regions')['Notes']
    assert note == 'What is significant in remitterChange makes no region.'


def test_regions_that_could_not_be_made(group, caplog):
    """Labels of an atlas that is not there: what there is is analysed, or the reason is given."""
    group.regions(*PARCELS)
    group.select(FOUND)
    assert group(REGIONS) == {}
    (note,) = group.summary('regions')['Notes']
    assert note.startswith('The regions front could not be made, as their atlas is not there')
    group.analyses = []
    failures = group(REGIONS)
    assert failures['regions'].startswith('There is no region to analyse: ')
    assert 'there are no regions of remitterChange' in failures['regions']
    assert 'the regions front could not be made' in failures['regions']
    assert not statistic_path(group.out, 'regions').exists()


def test_parcels_of_a_call_that_failed_are_not_used(group):
    group.regions(*PARCELS, FRONT, whole=False)
    assert 'The regions of nogoVsGo failed' in group(REGIONS)['regions']


@pytest.mark.parametrize('labels', [('L_cuneus', 'L_cuneos'), ('L_cuneos',)])
def test_a_label_that_the_atlas_does_not_have(group, labels):
    group.regions(*PARCELS)
    choice = RegionChoice('nogoVsGo', atlas='DesikanKilliany', labels=labels)
    failures = group(replace(REGIONS, outcome=Outcome(regions=choice)))
    assert failures['regions'] == (
        'There is no region L_cuneos: see the column roi of '
        'group/group_contrast-nogoVsGo_parcels.tsv.'
    )


def test_an_atlas_that_is_not_there(group):
    group.regions(*PARCELS)
    choice = RegionChoice('nogoVsGo', atlas='own', labels=('L_one',))
    assert group(replace(REGIONS, outcome=Outcome(regions=choice))) == {
        'regions': 'There is no region to analyse: there are no labels of own (see --atlas).'
    }


def behaviour():
    table = visits()[['participant_id', 'session_id']].assign(accuracy=0.9)
    table['accuracy'] += np.linspace(0, 0.1, len(table))
    return Behaviour(table, [], [])


def test_behaviour_of_excluded_sessions_is_left_out(group):
    group.behaviour = behaviour()
    group.exclusions = [
        Exclusion(CONTROLS[0], 'TP1', '', 'asleep'),
        Exclusion(CONTROLS[1], '', '', 'wrong protocol'),
        Exclusion(PATIENTS[0], 'TP1', '2', 'one run only'),
    ]
    assert group(ACCURACY) == {}
    terms = group.table('accuracy', 'terms')
    assert set(terms['n_subjects']) == {len(CONTROLS) + len(PATIENTS) - 2}


def test_people_whom_the_call_does_not_look_at(group):
    group.behaviour = behaviour()
    group.people = group.people.drop(PATIENTS[:3])
    assert group(ACCURACY, REMISSION) == {}
    assert set(group.table('accuracy', 'terms')['n_subjects']) == {29}
    assert group.table('remission', 'counts')['n'].iloc[0] == len(PATIENTS) - 3


def test_a_derived_variable_that_cannot_be_worked_out(group):
    """No session has the score: the statistic says what it lacks."""
    group.people = group.people.drop(columns=SCORES)
    counts = CountStatistic('remission', conditions={'remission': 'remitter'})
    assert 'remitter' in group(counts)['remission']


def test_contrasts_of_regions():
    model = replace(MODEL, statistics=(REMISSION, REGIONS, ACCURACY))
    assert region_contrasts(model, ['remission', 'regions', 'accuracy']) == ['nogoVsGo']
    assert region_contrasts(model, ['remission']) == []


def test_order_of_time_is_written(group):
    """Statistics without an order of time do not count, however many sessions they name."""
    table = TableStatistic('table', variables=('hdrs',), by='sex', sessions=('TP3', 'TP2', 'TP1'))
    group(HDRS, table)
    assert group.summary('hdrs')['SessionOrder'] == list(SESSIONS)
    two = replace(HDRS, sessions=('TP1', 'TP3'))
    group(two, table)
    # People were scanned at TP2 as well, and nothing says where that belongs.
    assert group.summary('hdrs')['SessionOrder'] == []


def test_a_region_of_a_family_that_is_not_there_is_told(group, caplog):
    group.regions(*PARCELS, FRONT)
    family = {'paper': ('front', 'L_nowhere')}
    found = replace(REGIONS, families=family)
    group.select(FOUND)
    with caplog.at_level('WARNING', 'ketbids'):
        assert group(found) == {}
    told = 'Family paper: there is no outcome L_nowhere.'
    assert f'regions: {told}' in caplog.messages
    assert told in group.summary('regions')['Warnings']
    atlas = PARCELS[0][2]
    whole = replace(found, outcome=Outcome(regions=RegionChoice('nogoVsGo', atlas=atlas)))
    assert group(replace(whole, families={'paper': ('L_nowhere',)}))['regions'].startswith(told)
