"""Behaviour at the group level: who did the task, the table of all sessions, statistics."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ketbids.cli.behaviour import collect_behaviour, report_behaviour
from ketbids.cli.dataset import record_path
from ketbids.cli.main import main
from ketbids.cli.planning import plan_analyses
from ketbids.cli.statistics import StatisticSource, run_statistics
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion
from ketbids.io.files import write_json
from ketbids.io.tables import read_table, write_table
from ketbids.model import default_model_path, load_model
from ketbids.stats.behaviour import performance_table
from ketbids.stats.clinical.specs import LinearStatistic, Outcome
from ketbids.stats.eventrules import ValidityRules
from tests.cli.test_eventshifts import save
from tests.workflows.studies import settings

WHO = [f'{number:02}' for number in range(1, 13)]
MODEL = load_model()


def model(**rules):
    """The default model with other validity rules."""
    events = MODEL.run.events
    stimuli = replace(events.stimuli, validity=ValidityRules(**rules))
    return replace(MODEL, run=replace(MODEL.run, events=replace(events, stimuli=stimuli)))


def session(rng, *, stops=True, faster=0.0):
    """Trials of somebody who (does not) stop at NoGo."""
    kind = np.where(np.arange(100) % 4 == 3, 'nogo', 'go')
    pressed = (kind == 'go') | (rng.random(100) < (0.2 if stops else 1))
    return pd.DataFrame(
        {
            'onset': np.arange(100) * 1.5,
            'status': 'trial',
            'stimulus': kind,
            'responded': pressed,
            'correct': pressed == (kind == 'go'),
            'response_time': np.where(pressed, rng.normal(0.45 - faster, 0.04, 100), np.nan),
        }
    )


@pytest.fixture
def study(tmp_path):
    """Six controls at TP1, six patients at TP1 and TP2; sub-02 stopped never at TP1."""
    (tmp_path / 'bids').mkdir()
    (tmp_path / 'bids' / 'dataset_description.json').write_text('{}')
    rng = np.random.default_rng(5)
    for number, who in enumerate(WHO):
        (tmp_path / 'bids' / f'sub-{who}').mkdir()
        for when in ('TP1', 'TP2')[: 1 + number % 2]:
            trials = session(
                rng, stops=(who, when) != ('02', 'TP1'), faster=0.05 * (when == 'TP2')
            )
            put(tmp_path, who, when, trials)
    return tmp_path


def put(root, who, when, trials, *, acquisition='', finished=True):
    visit = f'sub-{who}_ses-{when}_task-carit{acquisition}'
    path = (
        root / 'out' / f'sub-{who}' / f'ses-{when}' / 'beh' / f'{visit}_desc-performance_beh.tsv'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, performance_table([trials], [''], MODEL.run.events.stimuli))
    if finished:
        write_json(record_path(root / 'out', visit), {})
    return path


PEOPLE = pd.DataFrame(
    {'group': ['HC', 'TRD'] * 6, 'age': np.arange(30.0, 42), 'sex': ['F', 'F', 'M'] * 4},
    index=WHO,
)
MAPS = pd.DataFrame(
    [
        {'participant_id': who, 'session_id': when, 'contrast': 'nogoVsGo', 'path': f'{who}{when}'}
        for number, who in enumerate(WHO)
        for when in ('TP1', 'TP2')[: 1 + number % 2]
    ]
)


def report(root, exclusions=(), *, maps=MAPS, **rules):
    made, chosen = settings(root, 'group'), model(**rules)
    found = collect_behaviour(made, chosen, list(exclusions))
    everything = [*exclusions, *found.not_done]
    section = report_behaviour(made, chosen, found, everything, PEOPLE, maps)
    folder = root / 'out' / 'group'
    return section, read_table(folder / 'group_behaviour.tsv')


def test_one_row_per_session(study):
    _, table = report(study)
    assert len(table) == 18
    assert table['participant_id'].iloc[:3].tolist() == ['sub-01', 'sub-02', 'sub-02']
    assert table['session_id'].iloc[:3].tolist() == ['ses-TP1', 'ses-TP1', 'ses-TP2']
    assert (table['n_trials'] == 100).all()
    assert table.loc[1, 'nogo_accuracy'] == 0
    dictionary = json.loads((study / 'out' / 'group' / 'group_behaviour.json').read_text())
    assert list(dictionary) == list(table.columns)


def test_who_did_not_do_the_task_is_flagged_and_stays(study):
    section, table = report(study)
    assert table['valid'].tolist().count(False) == 1
    assert table.loc[1, 'invalid_reason'] == '0 correct NoGo trials of 25, fewer than 10'
    assert table['excluded'].isna().all()
    assert section.flagged.rows == (
        ('02', 'TP1', '0 correct NoGo trials of 25, fewer than 10', 'n/a'),
    )


def test_the_model_file_can_exclude_who_did_not_do_the_task(study):
    section, table = report(study, exclude=True)
    reason = 'the task was not done: 0 correct NoGo trials of 25, fewer than 10'
    assert table.loc[1, 'excluded'] == reason
    assert table['excluded'].notna().sum() == 1
    assert section.flagged.rows[0][-1] == reason


def test_the_reason_is_in_the_analyses_of_maps(study):
    made, chosen = settings(study, 'group'), model(exclude=True)
    found = collect_behaviour(made, chosen, [])
    maps = MAPS[~((MAPS['participant_id'] == '02') & (MAPS['session_id'] == 'TP1'))]
    out = study / 'out'
    for path in maps['path']:
        (out / path).touch()
    planned, _ = plan_analyses(made, chosen, maps, PEOPLE, found.not_done)
    design = next(item for item in planned if item.analysis.name == 'hcVsTrd')
    assert design.design.exclusions.to_dict('records') == [
        {
            'participant_id': 'sub-02',
            'session_id': 'ses-TP1',
            'reason': 'excluded: the task was not done: 0 correct NoGo trials of 25, '
            'fewer than 10',
        }
    ]
    left = design.participants.set_index('participant_id').loc['sub-02']
    assert left['status'] == 'left out'
    assert 'the task was not done' in left['reason']


def test_statistics_are_made_of_the_sessions_that_did_the_task(study):
    statistic = LinearStatistic(
        'change',
        outcome=Outcome(behaviour=('nogo_accuracy', 'rt_correct_go_mean')),
        formula='age',
        value=('TP1', 'TP2'),
    )
    made, chosen = settings(study, 'group'), replace(model(exclude=True), statistics=(statistic,))
    line = Exclusion('04', '', '', 'fell asleep')
    found = collect_behaviour(made, chosen, [line])
    patients = PEOPLE[PEOPLE['group'] == 'TRD']
    visits = MAPS[['participant_id', 'session_id']].assign(has_map='yes')
    source = StatisticSource(patients, visits, [line, *found.not_done], found)

    assert run_statistics(made, chosen, ['change'], source, verbosity=0).failures == {}

    folder = study / 'out' / 'group' / 'statistics'
    times = found.table.pivot_table('rt_correct_go_mean', 'participant_id', 'session_id')
    pairs = times.loc[['06', '08', '10', '12']]
    change = stats.linregress(PEOPLE.loc[pairs.index, 'age'], pairs['TP1'] - pairs['TP2'])
    terms = read_table(folder / 'change_terms.tsv').set_index('outcome')
    assert terms.loc['rt_correct_go_mean', 'p'] == pytest.approx(change.pvalue)
    lost = read_table(folder / 'change_missing.tsv')
    assert set(zip(lost['participant_id'], lost['reason'], strict=True)) == {
        ('sub-02', 'excluded: the task was not done: 0 correct NoGo trials of 25, fewer than 10'),
        ('sub-04', 'excluded: fell asleep'),
    }


def test_rules_are_those_of_the_group_call(study):
    _, table = report(study, correct_nogo=25, go_accuracy=None)
    assert table['valid'].tolist().count(False) == 18 - (table['n_commissions'] == 0).sum()
    _, table = report(study, correct_nogo=None, go_accuracy=None)
    assert table['valid'].isna().all()


def test_listed_exclusions_are_in_the_table(study):
    line = Exclusion('01', 'TP1', '', 'fell asleep')
    _, table = report(study, [line], exclude=True)
    assert table.loc[0, 'excluded'] == 'fell asleep'


def test_whose_behaviour_is_missing_is_said(study):
    path = next((study / 'out').glob('sub-01/ses-TP1/beh/*.tsv'))
    path.unlink()
    put(study, '13', 'TP1', session(np.random.default_rng(0)), finished=False)
    (study / 'bids' / 'sub-13').mkdir()
    section, table = report(study)
    assert section.messages == (
        'The participant level did not finish, and behaviour is not used, of '
        'sub-13_ses-TP1_task-carit.',
        'There are maps, but no table of behaviour, of sub-01 ses-TP1: run the participant '
        'level again.',
    )
    assert len(table) == 17


def test_two_tables_of_a_session(study):
    put(study, '01', 'TP1', session(np.random.default_rng(0)), acquisition='_acq-mb3')
    with pytest.raises(InputError, match=r'acq-mb3.* are tables of one session'):
        collect_behaviour(settings(study, 'group'), MODEL, [])


def test_a_table_of_another_version(study):
    path = next((study / 'out').glob('sub-01/ses-TP1/beh/*.tsv'))
    write_table(path, read_table(path).drop(columns='dprime'))
    with pytest.raises(InputError, match='lacks the column dprime'):
        collect_behaviour(settings(study, 'group'), MODEL, [])
    write_table(path, read_table(path).assign(dprime=1.0).iloc[:1])
    with pytest.raises(InputError, match='0 rows for the whole session instead of one'):
        collect_behaviour(settings(study, 'group'), MODEL, [])


def test_a_model_without_stimuli_has_no_behaviour(study):
    events = replace(MODEL.run.events, stimuli=None)
    silent = replace(MODEL, run=replace(MODEL.run, events=events))
    assert collect_behaviour(settings(study, 'group'), silent, []) is None


def test_no_table_at_all(tmp_path):
    (tmp_path / 'bids' / 'sub-01').mkdir(parents=True)
    (tmp_path / 'bids' / 'dataset_description.json').write_text('{}')
    made = settings(tmp_path, 'group')
    found = collect_behaviour(made, MODEL, [])
    assert report_behaviour(made, MODEL, found, [], PEOPLE, MAPS) is None
    assert not (tmp_path / 'out').exists()


def test_nothing_is_written_twice(study):
    report(study)
    path = study / 'out' / 'group' / 'group_behaviour.tsv'
    before = path.stat().st_mtime_ns
    report(study)
    assert path.stat().st_mtime_ns == before


def test_page_has_means_by_group_and_session(study):
    section, table = report(study)
    assert section.summary.columns == ('', 'HC TP1 (n = 6)', 'TRD TP1 (n = 6)', 'TRD TP2 (n = 6)')
    accuracy = next(row for row in section.summary.rows if row[0] == 'NoGo accuracy')
    late = table.loc[table['session_id'] == 'ses-TP2', 'nogo_accuracy']
    assert accuracy[3] == f'{late.mean():.3f} ({late.std():.3f})'


@pytest.fixture
def command(dataset):
    """The group command on one control who stopped never, with a map that is not read."""

    def run(*, exclude):
        content = json.loads(default_model_path().read_text())
        block = content['Nodes'][0]['Model']['Software']['ketbids']
        block['Stimuli']['Validity']['Exclude'] = exclude
        path = dataset / 'model.json'
        path.write_text(json.dumps(content))
        put(dataset, '01', 'TP1', session(np.random.default_rng(0), stops=False))
        name = 'sub-01_ses-TP1_task-carit_space-fsLR_den-0k_contrast-nogoVsGo_stat-effect_statmap'
        folder = dataset / 'out' / 'sub-01' / 'ses-TP1' / 'func'
        folder.mkdir(parents=True)
        (folder / f'{name}.dscalar.nii').touch()
        write_json(
            folder / f'{name}.json',
            {'ConditionWeights': {'correctNogo': 1, 'correctGo': -1}, 'HRFModel': 'spm'}
            | {'SmoothingAddedFWHM': 5.0, 'HighPassCutoffHz': 0.005, 'DroppedVolumes': 0}
            | {'Confounds': [], 'NoiseModel': 'AR(6)'},
        )
        places = [str(dataset / 'bids'), str(dataset / 'out'), 'group']
        return main([*places, '--model', str(path), '--analysis', 'meanHC', '--nprocs', '1'])

    return run


def test_the_page_of_the_group_has_behaviour(command, dataset, capsys):
    assert command(exclude=False) == 3  # one map is too few for an analysis
    assert 'sub-01 ses-TP1 may not have done the task: 0 correct NoGo' in capsys.readouterr().out
    page = (dataset / 'out' / 'group.html').read_text()
    assert '<section id="behaviour">' in page
    assert '0 correct NoGo trials of 25, fewer than 10' in page


def test_the_page_of_the_group_names_shifted_runs(command, dataset):
    for number in range(6):
        save(dataset / 'out', f'2{number}', shift=-8.0 * (number == 5))
    command(exclude=False)
    page = (dataset / 'out' / 'group.html').read_text()
    assert 'sub-25_ses-TP1_task-carit, run 1: The first trial starts 8.0 s earlier' in page
    assert 'sub-24_ses-TP1_task-carit' not in page


def test_who_is_excluded_by_behaviour_has_no_map_in_the_group(command, dataset, capsys):
    assert command(exclude=True) == 3
    said = capsys.readouterr()
    assert 'Excluded, as the task was not done: sub-01 ses-TP1.' in said.out
    assert 'No contrast map is left: each is excluded' in said.err


def test_tables_of_another_model_are_removed(study, caplog):
    report(study)
    folder = study / 'out' / 'group'
    (folder / 'group_behaviour_mine.tsv').write_text('mine')
    events = replace(MODEL.run.events, stimuli=None)
    silent = replace(MODEL, run=replace(MODEL.run, events=events))
    with caplog.at_level('INFO', 'ketbids'):
        assert report_behaviour(settings(study, 'group'), silent, None, [], PEOPLE, MAPS) is None
    assert [path.name for path in folder.iterdir()] == ['group_behaviour_mine.tsv']
    assert 'Removed, as the model file has no Stimuli: group/group_behaviour.tsv' in caplog.text


def test_tests_of_an_earlier_version_are_removed(study, caplog):
    folder = study / 'out' / 'group'
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ('tsv', 'json'):
        (folder / f'group_behaviour_tests.{ending}').write_text('old')
    with caplog.at_level('INFO', 'ketbids'):
        report(study)
    assert sorted(path.name for path in folder.iterdir()) == [
        'group_behaviour.json',
        'group_behaviour.tsv',
    ]
    assert (
        'Removed, as declared statistics test behaviour now: group/group_behaviour_tests.tsv, '
        'group/group_behaviour_tests.json.'
    ) in caplog.text


def test_who_is_excluded_is_said_once(study, caplog):
    with caplog.at_level('WARNING', 'ketbids'):
        report(study, exclude=True)
    assert [text for text in caplog.messages if 'sub-02' in text] == [
        'Excluded, as the task was not done: sub-02 ses-TP1.'
    ]


def test_misspelt_types_are_flagged_in_the_group(study, caplog):
    rng = np.random.default_rng(0)
    trials = session(rng)
    odd = np.arange(100) % 10 == 0
    trials['stimulus'] = np.where(odd, 'n/a', trials['stimulus'])
    trials['status'] = np.where(odd, 'unmatched', 'trial')
    trials['responded'] = trials['responded'].where(~odd, None)
    put(study, '01', 'TP1', trials)
    with caplog.at_level('WARNING', 'ketbids'):
        section, table = report(study, exclude=True)
    assert table.loc[0, 'n_unmatched'] == 10
    assert pd.isna(table.loc[0, 'valid'])
    assert pd.isna(table.loc[0, 'excluded'])
    assert section.flagged.rows[0][2].startswith('10 of 100 rows of events are neither')
    words = 'sub-01 ses-TP1 has behaviour that does not tell whether the task was done: 10 of 100'
    assert words in caplog.text
