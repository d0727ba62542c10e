"""The command: exit codes, messages, and how fast it says who it is."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from ketbids.cli.dataset import record_path
from ketbids.cli.main import main
from ketbids.io.files import write_json

MAP = 'space-fsLR_den-0k_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii'


def fails(capsys, code, words, *arguments):
    assert main([str(a) for a in arguments]) == code
    message = capsys.readouterr().err
    assert re.search(words, message), message
    assert message.startswith('ketbids: ')
    assert 'Traceback' not in message


def test_wrong_usage(capsys, dataset):
    fails(capsys, 2, 'OUTPUT_DIR', dataset / 'bids')
    fails(capsys, 2, 'unrecognized', dataset / 'bids', dataset / 'o', 'group', '--permut', '3')
    assert not (dataset / 'o').exists()


@pytest.mark.parametrize('level', ['participant', 'group'])
class TestBothLevels:
    def test_not_a_folder(self, capsys, tmp_path, level):
        fails(capsys, 3, 'is not a folder', tmp_path / 'none', tmp_path / 'out', level)

    def test_not_bids(self, capsys, tmp_path, level):
        (tmp_path / 'bids').mkdir()
        fails(capsys, 3, 'dataset_description', tmp_path / 'bids', tmp_path / 'out', level)

    def test_output_is_input(self, capsys, dataset, level):
        bids = dataset / 'bids'
        before = sorted(bids.rglob('*'))
        fails(capsys, 2, 'must not be BIDS_DIR', bids, bids / 'sub-01' / '..', level)
        assert sorted(bids.rglob('*')) == before

    def test_output_among_the_preprocessed_data(self, capsys, dataset, level):
        """The derivatives are input: nothing of them may be replaced or removed."""
        root = dataset / 'fmriprep'
        (root / 'sub-01' / 'func').mkdir(parents=True)
        for out in (root, root / 'out', root / 'sub-01' / '..'):
            arguments = (dataset / 'bids', out, level, '--derivatives', root)
            fails(capsys, 2, r'OUTPUT_DIR must not be .*fmriprep \(--derivatives\)', *arguments)
        arguments = (dataset / 'bids', dataset / 'out', level, '--derivatives', root)
        fails(capsys, 2, '--work-dir must not be', *arguments, '--work-dir', root / 'work')
        assert sorted(p.name for p in root.rglob('*')) == ['func', 'sub-01']

    @pytest.mark.parametrize(
        'description',
        [
            None,
            '{"GeneratedBy": [{"Name": "fMRIPrep"}]}',
            '{"Name": "x"}',
            '{"GeneratedBy": 3}',
            '{',
        ],
    )
    def test_output_with_data_of_others(self, capsys, dataset, level, description):
        out = dataset / 'theirs'
        (out / 'sub-01').mkdir(parents=True)
        (out / 'sub-01' / 'sub-01_task-carit_desc-mine_stat.nii').write_text('precious')
        if description is not None:
            (out / 'dataset_description.json').write_text(description)
        fails(capsys, 2, 'not results of ketbids', dataset / 'bids', out, level)
        assert len(list(out.rglob('*'))) == 2 + (description is not None)

    def test_work_directory_among_the_raw_data(self, capsys, dataset, level):
        arguments = (dataset / 'bids', dataset / 'out', level)
        message = '--work-dir must not be BIDS_DIR or a folder in it'
        fails(capsys, 2, message, *arguments, '--work-dir', dataset / 'bids' / 'work')

    def test_wildcards_in_the_work_directory(self, capsys, dataset, level):
        arguments = (dataset / 'bids', dataset / 'out[1]', level)
        fails(capsys, 2, r'Nipype cannot work in a folder with one of .*--work-dir', *arguments)

    @pytest.mark.parametrize('option', ['--work-dir', '--model', '--exclusions'])
    def test_paths_that_are_empty(self, capsys, dataset, level, option):
        fails(capsys, 2, 'the path is empty', dataset / 'bids', '', level)
        arguments = (dataset / 'bids', dataset / 'out', level)
        fails(capsys, 2, f'{option}: the path is empty', *arguments, option, '')

    def test_output_cannot_be_made(self, capsys, dataset, level):
        (dataset / 'file').touch()
        fails(capsys, 3, 'cannot be made', dataset / 'bids', dataset / 'file' / 'out', level)

    def test_model_is_checked_first(self, capsys, dataset, level):
        (dataset / 'model.json').write_text('{"Name": "x"')
        arguments = (dataset / 'bids', dataset / 'out', level, '--model', dataset / 'model.json')
        fails(capsys, 3, r'Model file .*model\.json', *arguments)
        assert not (dataset / 'out').exists()

    def test_missing_exclusion_list(self, capsys, dataset, level):
        arguments = (dataset / 'bids', dataset / 'out', level)
        fails(capsys, 3, r'x\.tsv does not exist', *arguments, '--exclusions', dataset / 'x.tsv')

    def test_exclusion_of_nobody(self, capsys, dataset, level):
        path = dataset / 'exclusions.tsv'
        path.write_text('participant_id\tsession_id\trun\treason\nsub-1\tn/a\tn/a\tmotion\n')
        fails(
            capsys,
            3,
            r'exclusions\.tsv: there is no participant sub-1\b',
            dataset / 'bids',
            dataset / 'out',
            level,
            '--exclusions',
            path,
        )


def participant(dataset, *arguments):
    return (dataset / 'bids', dataset / 'out', 'participant', *arguments)


def test_no_such_participant(capsys, dataset):
    fails(capsys, 3, 'no participant 02; it has 01', *participant(
        dataset, '--participant-label', '01', '02'
    ))  # fmt: skip


@pytest.mark.parametrize('option', [('--session-label', 'TP1'), ('--task-id', 'rest')])
def test_no_events_for_the_selection(capsys, dataset, option):
    fails(capsys, 3, 'no events file', *participant(dataset, *option))


def test_no_derivatives(capsys, dataset):
    fails(capsys, 3, '--derivatives', *participant(dataset))


def test_nothing_in_the_derivatives(capsys, dataset):
    (dataset / 'hcp').mkdir()
    found = participant(dataset, '--derivatives', dataset / 'hcp')
    assert main([str(argument) for argument in found]) == 3
    message = r'sub-01_task-carit failed: no preprocessed.*hcp/sub-01/MNINonLinear'
    assert re.search(message, capsys.readouterr().out)
    # The page says it too.
    assert re.search(message, (dataset / 'out' / 'sub-01.html').read_text())


def test_everybody_is_excluded(capsys, dataset):
    (dataset / 'hcp').mkdir()
    path = dataset / 'exclusions.tsv'
    path.write_text('participant_id\tsession_id\trun\treason\nsub-01\tn/a\tn/a\tmotion\n')
    found = participant(dataset, '--derivatives', dataset / 'hcp', '--exclusions', path)
    fails(capsys, 3, 'exclusion list', *found)


def test_a_dataset_without_participants(capsys, tmp_path):
    (tmp_path / 'dataset_description.json').write_text('{}')
    out = tmp_path / 'derivatives' / 'out'
    fails(capsys, 3, 'no participant folder', tmp_path, out, 'participant')


@pytest.mark.parametrize('inside', ['.', 'sub-01', 'out'])
def test_output_among_the_raw_data(capsys, dataset, inside):
    raw = dataset / 'bids'
    fails(capsys, 2, 'OUTPUT_DIR must not be', raw, raw / inside, 'participant')


def group(dataset, *arguments):
    return (dataset / 'bids', dataset / 'out', 'group', *arguments)


@pytest.fixture
def one_map(dataset):
    folder = dataset / 'out' / 'sub-01' / 'func'
    folder.mkdir(parents=True)
    (folder / f'sub-01_task-carit_{MAP}').touch()
    write_json(record_path(dataset / 'out', 'sub-01_task-carit'), {})
    return dataset


def test_maps_of_an_unfinished_visit(capsys, one_map):
    record_path(one_map / 'out', 'sub-01_task-carit').unlink()
    fails(capsys, 3, 'participant level did not finish', *group(one_map))


def test_no_maps(capsys, dataset):
    fails(capsys, 3, 'no contrast maps.*participant level first', *group(dataset))


def test_unknown_analysis(capsys, one_map):
    fails(capsys, 3, 'no analysis meanHc; it has meanHC', *group(one_map, '--analysis', 'meanHc'))


def test_maps_of_nobody(capsys, one_map):
    path = one_map / 'exclusions.tsv'
    path.write_text('participant_id\tsession_id\trun\treason\nsub-01\tn/a\tn/a\tmotion\n')
    fails(capsys, 3, 'No contrast map is left', *group(one_map, '--exclusions', path))
    fails(capsys, 3, 'No contrast map is left', *group(one_map, '--session-label', 'TP9'))


def test_maps_of_two_densities(capsys, one_map):
    folder = one_map / 'out' / 'sub-01' / 'func'
    other = folder / f'sub-01_task-carit_{MAP.replace("den-0k", "den-91k")}'
    other.touch()
    fails(capsys, 3, 'different grayordinates', *group(one_map))


CODE = """
import json, sys
from ketbids.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted({name.split('.')[0] for name in sys.modules})]), file=sys.stderr)
"""
HEAVY = {'numpy', 'pandas', 'scipy', 'nipype', 'nibabel', 'bids', 'matplotlib', 'numba', 'nilearn'}


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (['--version'], r'^ketbids \d+\.\d+'),
        (['--help'], 'BIDS_DIR OUTPUT_DIR'),
        (['bids', 'out', 'group', '--participant-label', '01', '--help'], '--permutations'),
    ],
)
def test_says_who_it_is_at_once(arguments, text):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, '-c', CODE, *arguments], capture_output=True, text=True, check=True
    )
    assert time.monotonic() - started < 3
    assert re.search(text, done.stdout)
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert not HEAVY & set(modules)


def test_wrong_usage_is_as_fast():
    done = subprocess.run(
        [sys.executable, '-c', CODE, 'bids'], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 2
    assert not HEAVY & set(modules)


def test_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, '-m', 'ketbids', str(tmp_path / 'x'), str(tmp_path / 'o'), 'group'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert 'is not a folder' in done.stderr


@pytest.mark.parametrize(
    'arguments',
    [
        ['--print-completion', 'bash'],
        ['{bids}', '{out}', 'participant', '--dry-run', '--derivatives', '{hcp}'],
    ],
)
def test_whoever_reads_may_have_enough(dataset, arguments):
    """``ketbids ... | head`` ends without a traceback."""
    (dataset / 'hcp').mkdir()
    folders = {name: dataset / name for name in ('bids', 'out', 'hcp')}
    words = [argument.format(**folders) for argument in arguments]
    code = 'import sys; from ketbids.cli.main import main; sys.exit(main())'
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, '-c', code, *words],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.returncode == 141
    assert 'Traceback' not in done.stderr
