"""Bad tables, designs and model files at the group level: what is said, and the exit code."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from ketbids.cli.dataset import record_path
from ketbids.cli.main import main
from ketbids.io.files import read_json, write_json
from ketbids.io.tables import read_table
from ketbids.model import default_model_path
from tests.cli.conftest import process  # noqa: F401
from tests.interfaces.files import BrainFiles

DEFAULT = json.loads(default_model_path().read_text())
MADE = {
    'ConditionWeights': {'correctNogo': 1, 'correctGo': -1},
    'HRFModel': 'spm',
    'SmoothingAddedFWHM': 5.0,
    'HighPassCutoffHz': 0.005,
    'DroppedVolumes': 0,
    'Confounds': 'none',
    'NoiseModel': 'AR(6)',
}
PEOPLE = [f'{n:02d}' for n in range(1, 9)]
TABLE = 'participant_id\tgroup\tage\tsex\tmood\n' + ''.join(
    f'sub-{who}\t{"HC" if n % 2 else "TRD"}\t{20 + n * n % 11}\t{"FM"[n // 4]}\t{3 * n % 8}\n'
    for n, who in enumerate(PEOPLE)
)


def model(
    formula: str = '1 + age', contrast: dict[str, float] | None = None, **block: Any
) -> dict[str, Any]:
    """The packaged first level with one analysis of a study without sessions."""
    content = copy.deepcopy(DEFAULT)
    shared = content['Nodes'][1]['Model']['Software']['ketbids']
    shared.clear()
    shared.update(block.pop('shared', {}))
    weights = contrast or {'1': 1}
    names = [name for name in ('group', 'age', 'sex', 'weight') if name in formula]
    node = {
        'Level': 'Dataset',
        'Name': 'test',
        'GroupBy': ['contrast'],
        'Model': {
            'Type': 'glm',
            'X': [*([1] if formula.startswith('1') else []), *names],
            'Formula': formula,
            'Software': {'ketbids': block},
        },
        'Contrasts': [
            {
                'Name': 'c',
                'ConditionList': list(weights),
                'Weights': list(weights.values()),
                'Test': 't',
            }
        ],
    }
    content['Nodes'] = [*content['Nodes'][:2], node]
    only = {'contrast': ['nogoVsGo']}
    content['Edges'] = [
        {'Source': 'run', 'Destination': 'session'},
        {'Source': 'session', 'Destination': 'test', 'Filter': only},
    ]
    return content


class Study(NamedTuple):
    """A dataset without sessions whose participant level is finished."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / 'out'

    def map(self, who: str) -> Path:
        name = f'sub-{who}_task-carit_space-fsLR_den-1k_contrast-nogoVsGo_stat-effect'
        return self.out / f'sub-{who}' / 'func' / f'{name}_statmap.dscalar.nii'

    def table(self, content: str | bytes, name: str = 'participants.tsv') -> None:
        path = self.root / 'bids' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def group(self, content: Any, *arguments: str) -> int:
        file = self.root / 'model.json'
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        command = [str(self.root / 'bids'), str(self.out), 'group', '--model', str(file)]
        command += ['--permutations', '20', '--nprocs', '1']
        return main([*command, *arguments])

    def results(self) -> list[str]:
        return [path.name for path in (self.out / 'group').glob('node-*/*')]


@pytest.fixture(scope='module')
def template(tmp_path_factory) -> Study:
    study = Study(tmp_path_factory.mktemp('template'))
    brain = BrainFiles(study.root)
    rng = np.random.default_rng(0)
    for who in PEOPLE:
        (study.root / 'bids' / f'sub-{who}').mkdir(parents=True)
        path = study.map(who)
        made = Path(brain.map('map', rng.normal(0.3, 1, len(brain.models))))
        path.parent.mkdir(parents=True)
        made.rename(path)
        write_json(path.with_name(path.name.replace('.dscalar.nii', '.json')), MADE)
        anat = study.out / f'sub-{who}' / 'anat'
        anat.mkdir()
        for kind in ('midthickness', 'inflated'):
            for side, file in zip('LR', brain.pair(kind), strict=True):
                name = f'sub-{who}_hemi-{side}_space-fsLR_den-{brain.models.mesh}_{kind}.surf.gii'
                Path(file).rename(anat / name)
        write_json(record_path(study.out, f'sub-{who}_task-carit'), {'Fingerprint': 'x'})
    study.table(TABLE)
    study.table('{"Name": "x", "BIDSVersion": "1.10.0"}', 'dataset_description.json')
    return study


@pytest.fixture
def study(template, tmp_path) -> Study:
    for folder in ('bids', 'out'):
        shutil.copytree(template.root / folder, tmp_path / folder)
    return Study(tmp_path)


def line(row: int, text: str) -> str:
    """The table with one line replaced."""
    rows = TABLE.splitlines()
    rows[row - 1] = text
    return '\n'.join(rows) + '\n'


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (TABLE.replace('HC', 'é').encode('latin-1'), 'is not UTF-8, perhaps Latin-1: save it as'),
        (TABLE.encode().replace(b'24', b'2\0'), 'a NUL byte, so this is no text'),
        (TABLE.encode('utf-16'), 'participants.tsv is in UTF-16'),
        ('', 'participants.tsv is empty'),
        (TABLE + 'sub-01\tHC\t30\tF\t1\n', 'lines 2 and 10: more than one row of sub-01'),
        (line(3, 'sub-02\tHC\t30\tF'), 'line 3: 4 values, but the header has 5 columns'),
        (line(3, 'sub-02\tHC\t30\tF\t17 points'), "line 3: mood is '17 points', where a number"),
        (line(3, 'sub-02\tHC\t30\tF\tinf'), 'line 3: mood is inf, which is not a finite number'),
        (line(3, 'sub-02\tHD\t30\tF\t1'), "group of sub-02 is 'HD', which is not one of HC, TRD"),
        (line(3, 'n/a\tHC\t30\tF\t1'), 'line 3: participant_id is missing'),
        (TABLE.replace('participant_id', 'id'), 'lacks the column participant_id'),
        (None, 'participants.tsv does not exist, and no other table has age, group, mood, which'),
    ],
)
def test_tables_of_people(study, capsys, content, words):
    if content is None:
        (study.root / 'bids' / 'participants.tsv').unlink()
    else:
        study.table(content)
    asked = model(
        Subset="group in ['HC', 'TRD'] and mood >= 0",
        shared={'Levels': {'group': ['HC', 'TRD']}},
    )
    assert study.group(asked) == 3
    error = capsys.readouterr().err
    assert str(study.root / 'bids' / 'participants.tsv') in error or 'group of sub-02' in error
    assert words in error
    assert study.results() == []
    assert not (study.out / 'group.html').exists()


def test_header_alone(study, capsys):
    study.table(TABLE.splitlines()[0] + '\n')
    assert study.group(model()) == 3
    text = capsys.readouterr().out
    assert (
        'Not in participants.tsv and therefore left out, though there are maps: sub-01, ' in text
    )
    assert '0 participants are left, at least 1 are needed' in text
    assert '(excluded: 8 (8 x not in participants.tsv))' in text


@pytest.mark.parametrize(
    ('asked', 'words'),
    [
        (
            model(Subset="sex == 'X'"),
            '0 participants are left, at least 1 are needed (nobody of the subset was excluded)',
        ),
        (model(MinimumN=9), '8 participants are left, at least 9 are needed'),
        (
            model('1 + age + sex', Subset="sex == 'F' and age > 20"),
            '3 participants are too few for a design of 2 columns, at least 4 are needed',
        ),
        (model('1 + weight'), "Formula '1 + weight': there is no column weight; columns at hand"),
        (model(Subset='weigth > 1'), 'there is no column weigth'),
        (
            model('0 + group + sex', {'group[XX]': 1}, Subset='mood >= 0'),
            'The contrast needs group[XX], which is not a column of the design; columns: group[H',
        ),
        (
            model('1 + age + weight', {'age': 1}, shared={'Derive': {'weight': '2 * age + 1'}}),
            'The columns Intercept, age, weight of the design are collinear, so that the contrast '
            'cannot be estimated: take out what the others say already',
        ),
        (
            model('1 + sex', {'sex[T.M]': 1}, Subset="sex == 'F'"),
            'sex, which is tested, is F for all 4 participants',
        ),
        (model(Difference=['A', 'B']), '0 participants are left'),
    ],
)
def test_designs(study, capsys, asked, words):
    assert study.group(asked) == 3
    out = capsys.readouterr().out
    assert 'node-test_contrast-nogoVsGo failed: ' in out
    assert words in out
    assert 'node-test_contrast-nogoVsGo failed' in (study.out / 'group.html').read_text()
    assert study.results() == []


def changed(place: tuple, value: Any) -> dict[str, Any]:
    content = model()
    inner: Any = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return content


NODE = ('Nodes', 2, 'Model')


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('{"Name": "a",\n "Nodes": [1,,2]}', 'not JSON: line 2, column 14'),
        (changed((*NODE, 'Fromula'), '1'), 'node test, Model.Fromula: unknown key (did you mean'),
        (
            changed(('Edges', 1), {'Source': 'test', 'Destination': 'run'}),
            'edge test to run: edges go from run (Run) to session (Session)',
        ),
        (
            model(shared={'Derive': {'a': 'b + 1', 'b': 'a + 1'}}),
            'Derive.a: b is not derived before it',
        ),
        (changed((*NODE, 'Formula'), "1 + __import__('os').system('true')"), 'is not allowed'),
        (changed((*NODE, 'Formula'), "1 + open('/etc/passwd').read()"), 'is not allowed'),
        (model(Subset="open('/etc/passwd').read() == ''"), "open('/etc/passwd').read() is not"),
        (
            model(shared={'Derive': {'a': 'age ** 9999999'}}),
            'the exponent 9999999 is not a number',
        ),
        (model(shared={'Derive': {'a': 'age ** 9 ** 9 ** 9'}}), 'the exponent 9 ** 9 ** 9 is not'),
        (
            model('0 + group', {'group[X]': 1}, shared={'Levels': {'group': ['HC', 'TRD']}}),
            'contrast c, ConditionList: group[X]: Levels of group are HC, TRD',
        ),
        (
            model(shared={'Checks': [{'Name': 'a', 'Value': 'age'}]}),
            'Checks.a: Minimum, Maximum or both are needed',
        ),
    ],
)
def test_model_files(study, capsys, content, words):
    assert study.group(content) == 3
    error = capsys.readouterr().err
    assert f'Model file {study.root / "model.json"}: ' in error
    assert words in error
    assert not (study.out / 'logs' / 'model.json').exists()


def test_maps_that_were_made_with_other_settings(study, capsys):
    path = study.map('03')
    sidecar = path.with_name(path.name.replace('.dscalar.nii', '.json'))
    write_json(sidecar, {**MADE, 'SmoothingAddedFWHM': 2.0})
    assert study.group(model()) == 3
    error = capsys.readouterr().err
    assert f'{study.map("01").relative_to(study.out)} and {path.relative_to(study.out)}' in error
    assert 'were made differently: SmoothingAddedFWHM is 5.0 and 2.0. Run the part' in error
    assert study.results() == []


def test_maps_of_another_contrast(study, capsys):
    content = model()
    content['Nodes'][0]['Contrasts'][0]['Weights'] = [1, -2]
    assert study.group(content) == 3
    error = capsys.readouterr().err
    assert "nogoVsGo is {'correctNogo': 1, 'correctGo': -1}, but the model file says" in error


def test_visits_that_are_not_finished(study, capsys):
    for who in PEOPLE:
        record_path(study.out, f'sub-{who}_task-carit').unlink()
    assert study.group(model()) == 3
    captured = capsys.readouterr()
    assert 'sub-01_task-carit: the participant level did not finish; its maps are' in captured.out
    assert 'No contrast map is left' in captured.err


def test_maps_of_other_brain_models(study, capsys, tmp_path):
    """As many grayordinates, but others: the analysis fails and names the two files."""
    brain = BrainFiles(tmp_path / 'bigger', level=2)
    brain.folder.mkdir()
    Path(brain.map('map', 1.0)).replace(study.map('04'))
    assert study.group(model('1')) == 1
    out = capsys.readouterr().out
    assert str(study.map('04')) in out
    assert 'the same brain models' in out
    assert '0 of 1 analysis done, 1 failed' in out
    # Who would have been in it is there; no map is, and nothing counts as finished.
    assert {name.rsplit('_', 1)[1].split('.')[0] for name in study.results()} == {
        *('design', 'excluded', 'participants')
    }
    assert not list((study.out / 'logs' / 'records').glob('node-*'))


def test_a_whole_study_without_sessions(study, capsys):
    """From tables to the table of each person: listwise test, pairwise correlation, checks."""
    study.table(
        line(3, '02\tHC\tn/a\tF\t1').replace('sub-03\tTRD\t24\tF\t6', 'sub-03\tTRD\t24\tF\tn/a')
    )
    (study.root / 'bids' / 'sub-09').mkdir()
    study.table((study.root / 'bids' / 'participants.tsv').read_text() + 'sub-09\tHC\t40\tF\t2\n')
    checks = [
        {'Name': 'age', 'Value': 'age', 'Minimum': 21, 'Maximum': 64},
        {'Name': 'hours', 'Value': 'acq_time - infusion_time', 'Minimum': 24},
    ]
    asked = model(shared={'Checks': checks})
    assert study.group(asked) == 0
    out = capsys.readouterr().out
    assert 'participant_id without sub- in 1 rows; line 3 (02) is read as sub-02' in out
    assert 'Check age: 1 outside 21 to 64, but not left out: sub-01 (20).' in out
    assert 'The check hours could not be made: ' in out
    stem = study.out / 'group' / 'node-test' / 'node-test_contrast-nogoVsGo'
    people = read_table(Path(f'{stem}_participants.tsv')).set_index('participant_id')
    assert list(people.columns) == ['status', 'reason', 'map', 'minus_map', 'age']
    assert people.index.tolist() == [f'sub-{n:02d}' for n in range(1, 10)]
    assert people.loc['sub-02', ['status', 'reason']].tolist() == ['left out', 'age is missing']
    assert people.loc['sub-09', ['status', 'reason']].tolist() == ['left out', 'no map']
    assert (people['status'] == 'used').sum() == 7
    assert read_json(Path(f'{stem}_participants.json'))['status']['Description'].startswith('used')
    checked = read_table(study.out / 'group' / 'group_checks.tsv')
    assert checked['outcome'].value_counts().to_dict() == {
        'inside': 7,
        'unknown': 10,
        'outside': 1,
    }
    assert (study.out / 'group' / 'group_checks.json').is_file()
    page = (study.out / 'group.html').read_text()
    assert 'Range checks' in page
    assert 'sub-01 (20)' in page
    # Nothing is done again; a changed covariate makes the result stale, which is said and redone.
    assert study.group(asked) == 0
    assert '1 analysis: 0 to do, 1 done before' in capsys.readouterr().out
    text = (study.root / 'bids' / 'participants.tsv').read_text()
    study.table(text.replace('sub-04\tHC\t29', 'sub-04\tHC\t33'))
    assert study.group(asked) == 0
    assert '1 analysis: 1 to do, 0 done before' in capsys.readouterr().out


def test_no_table_is_needed_where_the_model_asks_for_none(study, capsys):
    (study.root / 'bids' / 'participants.tsv').unlink()
    assert study.group(model('1')) == 0
    assert '1 of 1 analysis done, 0 failed' in capsys.readouterr().out
    stem = study.out / 'group' / 'node-test' / 'node-test_contrast-nogoVsGo'
    people = read_table(Path(f'{stem}_participants.tsv'))
    assert people['status'].tolist() == ['used'] * 8
    assert isinstance(people, pd.DataFrame)


def test_dry_run_lists_and_writes_nothing(study, capsys):
    study.table(line(3, 'sub-02\tHC\tn/a\tF\t1'))
    before = sorted(path for path in study.out.rglob('*'))
    assert study.group(model(), '--dry-run') == 0
    text = capsys.readouterr().out
    assert 'node-test_contrast-nogoVsGo: to do\n  One-sample t-test on 7 participants' in text
    assert '  left out: sub-02: age is missing\n' in text
    assert 'Analyses: 1 to do, 0 already done, 0 cannot be done. Nothing was written.' in text
    assert study.group(model('1 + weight'), '--dry-run') == 3
    assert 'cannot be done: Formula' in capsys.readouterr().out
    assert sorted(path for path in study.out.rglob('*')) == before


def test_not_chosen_people_are_named(study, capsys):
    labels = [who for who in PEOPLE if who != '05']
    asked = ('--dry-run', '--participant-label', *labels)
    assert study.group(model(), *asked) == 0
    assert 'left out: sub-05: not chosen in this call' in capsys.readouterr().out


@pytest.mark.parametrize(
    'changed',
    [
        lambda table: b'\xef\xbb\xbf' + table,
        lambda table: table.replace(b'\n', b'\r\n'),
        lambda table: b'\xef\xbb\xbf' + table.replace(b'\n', b'\r\n'),
        lambda table: table.rstrip(b'\n'),
    ],
    ids=['BOM', 'Windows', 'both', 'noLastEnd'],
)
def test_tables_as_spreadsheets_write_them(study, capsys, changed):
    asked = model('0 + group + age', {'group[TRD]': 1, 'group[HC]': -1})
    assert study.group(asked, '--dry-run') == 0
    plain = capsys.readouterr().out.splitlines()[2:]
    assert '8 participants (4 with group HC, 4 with group TRD)' in ''.join(plain)
    study.table(changed(TABLE.encode()))
    assert study.group(asked, '--dry-run') == 0
    assert capsys.readouterr().out.splitlines()[2:] == plain
