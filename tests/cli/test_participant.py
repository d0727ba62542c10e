"""The participant level's choices, before any workflow is built."""

import json
import re
import shutil

import pytest

from ketbids.cli.main import main
from ketbids.cli.selection import chosen_participants, read_exclusion_list
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, find_events
from ketbids.io.inventory import Visit, link_name
from tests.io.trees import fmriprep_run, hcp_run, hcp_surfaces
from tests.workflows.studies import settings


@pytest.fixture
def three(dataset):
    for label in ('02', '03'):
        shutil.copytree(dataset / 'bids' / 'sub-01', dataset / 'bids' / f'sub-{label}')
        folder = dataset / 'bids' / f'sub-{label}' / 'func'
        (events,) = folder.glob('*_events.tsv')
        events.rename(folder / f'sub-{label}_task-carit_events.tsv')
        with (dataset / 'bids' / 'participants.tsv').open('a') as table:
            table.write(f'sub-{label}\tHC\t30\tF\n')
    return dataset


def select(root, *labels):
    from dataclasses import replace

    made = settings(root)
    return replace(made, selection=replace(made.selection, participants=labels))


def test_everybody_or_who_was_chosen(three):
    assert chosen_participants(settings(three)) == ['01', '02', '03']
    assert chosen_participants(select(three, '03', '01')) == ['03', '01']
    with pytest.raises(InputError, match='no participant 7, 9; it has 01, 02, 03'):
        chosen_participants(select(three, '9', '01', '7'))


def test_exclusion_list(three):
    from dataclasses import replace

    made = settings(three)
    assert read_exclusion_list(made, ['01']) == []
    path = three / 'x.tsv'
    path.write_text('participant_id\tsession_id\trun\treason\nsub-02\tn/a\tn/a\tmotion\n')
    made = replace(made, paths=replace(made.paths, exclusions=path))
    assert read_exclusion_list(made, ['01', '02']) == [Exclusion('02', '', '', 'motion')]
    with pytest.raises(InputError, match='no participant sub-02'):
        read_exclusion_list(made, ['01', '03'])


def run(root, *arguments):
    given = ['participant', '--derivatives', str(root / 'hcp'), '--nprocs', '1', *arguments]
    return main([str(root / 'bids'), str(root / 'out'), *given])


def prepare(root, *labels):
    """Preprocessed runs that cannot be fitted: surfaces and movement are empty files."""
    for label in labels:
        hcp_surfaces(root / 'hcp', f'sub-{label}')
        hcp_run(root / 'hcp', 'task-carit', session=f'sub-{label}')


def test_every_visit_gets_its_reason(three, capsys):
    """Files that cannot be read, a visit without data, an exclusion: each is said."""
    prepare(three, '01')
    path = three / 'x.tsv'
    path.write_text('participant_id\tsession_id\trun\treason\nsub-03\tn/a\tn/a\tmotion\n')
    assert run(three, '--exclusions', str(path)) == 1
    text = capsys.readouterr().out
    assert 'sub-01_task-carit failed: ' in text
    assert 'sub-02_task-carit failed: no preprocessed time series' in text
    assert 'sub-03_task-carit is excluded: motion' in text
    assert '0 of 2 visits done, 2 failed' in text
    out = three / 'out'
    assert not list(out.glob('sub-*/func/*statmap*'))
    assert not list(out.glob('logs/records/*'))
    assert 'sub-01_task-carit failed' in (out / 'sub-01.html').read_text()
    assert list(out.glob('logs/crash-*.txt'))
    description = json.loads((out / 'dataset_description.json').read_text())
    assert description['DatasetType'] == 'derivative'
    assert description['DatasetLinks']['raw'] == (three / 'bids').as_uri()
    assert description['DatasetLinks'][link_name(three / 'hcp')] == (three / 'hcp').as_uri()
    assert (out / 'logs' / 'settings_participant.toml').is_file()
    assert 'ketbids' in (out / 'README.md').read_text()


def test_a_readme_is_left_as_it_is(three):
    prepare(three, '01')
    (three / 'out').mkdir()
    (three / 'out' / 'README').write_text('Mine.')
    assert run(three) == 1
    assert [path.read_text() for path in (three / 'out').glob('README*')] == ['Mine.']


def test_derivatives_inside_the_dataset_are_found(dataset, capsys):
    prepare(dataset, '01')
    (dataset / 'bids' / 'derivatives').mkdir()
    (dataset / 'hcp').rename(dataset / 'bids' / 'derivatives' / 'hcp')
    given = [str(dataset / 'bids'), str(dataset / 'out'), 'participant', '--nprocs', '1']
    assert main(given) == 1
    assert '1 visit: 1 to do, 0 done before, 0 that cannot be done' in capsys.readouterr().out


def fails(capsys, code, *words):
    """Check an exit code and what was said."""

    def check(actual):
        said = capsys.readouterr()
        text = said.out + said.err
        assert actual == code, text
        for word in words:
            assert word in text

    return check


def call(root, *arguments):
    return main(
        [str(root / 'bids'), str(root / 'out'), 'participant', '--nprocs', '1', *arguments]
    )


def test_not_a_bids_folder(dataset, capsys):
    (dataset / 'bids' / 'dataset_description.json').unlink()
    words = f'{dataset / "bids"} is not a BIDS dataset: it has no dataset_description.json'
    prepare(dataset, '01')
    fails(capsys, 3, words)(run(dataset))


def test_no_such_participant(dataset, capsys):
    prepare(dataset, '01')
    code = run(dataset, '--participant-label', '01', '99')
    fails(capsys, 3, 'has no participant 99; it has 01')(code)


def test_nothing_was_chosen(dataset, capsys):
    prepare(dataset, '01')
    words = (
        'no events file (*_events.tsv) of the task carit for what was chosen by --session-label'
    )
    fails(capsys, 3, words)(run(dataset, '--session-label', 'TP9'))


@pytest.mark.parametrize(
    ('arguments', 'code', 'words'),
    [
        ([], 3, 'No preprocessed data: say where they are with --derivatives'),
        (['--derivatives', '{root}/absent'], 3, 'absent (--derivatives) is not a folder'),
        (['--preproc', 'existing'], 2, '--preproc existing needs --derivatives DIR'),
        (['--hcp-pattern', '{{who}}'], 2, "--hcp-pattern '{who}': {who} is not known"),
        (['--bids-filter-file', '{root}/absent.json'], 3, 'Cannot read'),
    ],
)
def test_what_was_asked_for_cannot_be(dataset, capsys, arguments, code, words):
    given = [argument.format(root=dataset) for argument in arguments]
    fails(capsys, code, words)(call(dataset, *given))


def test_nothing_preprocessed(dataset, capsys):
    (dataset / 'hcp').mkdir()
    fails(
        capsys,
        3,
        'sub-01_task-carit failed: no preprocessed time series. Looked for',
        f'{dataset}/hcp/sub-01/MNINonLinear/Results/*task-carit*/*_Atlas*.dtseries.nii',
        f'{dataset}/hcp/sub-01/func/sub-01_task-carit_space-fsLR_den-*_bold.dtseries.nii',
    )(run(dataset))


def test_two_candidates(dataset, capsys):
    for density in ('91k', '170k'):
        fmriprep_run(dataset / 'hcp', 'sub-01_task-carit', f'space-fsLR_den-{density}')
    words = ('Two candidates for sub-01_task-carit', 'den-170k', 'den-91k', '--bids-filter-file')
    fails(capsys, 3, *words)(run(dataset))
    path = dataset / 'filter.json'
    path.write_text('{"bold": {"density": "91k"}}')
    given = ('--dry-run', '--bids-filter-file', str(path))
    fails(capsys, 1, '_space-fsLR_den-91k_bold.dtseries.nii')(run(dataset, *given))


def test_missing_surfaces_fail_one_visit(three, capsys):
    prepare(three, '01', '02')
    for path in (three / 'hcp' / 'sub-02').rglob('*.L.midthickness.*'):
        path.unlink()
    text = 'sub-02_task-carit: cannot be done: '
    given = ('--dry-run', '--participant-label', '01', '02')
    fails(capsys, 1, text, 'sub-02.L.midthickness.32k_fs_LR.surf.gii is missing')(
        run(three, *given)
    )


def test_two_folders_in_the_dataset(dataset, capsys):
    for name in ('a', 'b'):
        fmriprep_run(dataset / 'bids' / 'derivatives' / name, 'sub-01_task-carit')
    folder = dataset / 'bids' / 'derivatives'
    words = [f'--derivatives {folder / name}' for name in ('a', 'b')]
    fails(capsys, 3, 'Two candidates', *words)(call(dataset, '--dry-run'))
    given = ('--dry-run', '--preproc', 'existing', '--derivatives', str(folder / 'b'))
    fails(capsys, 1, f'{folder}/b/sub-01/func')(call(dataset, *given))


def exclude(root, *lines):
    path = root / 'exclusions.tsv'
    path.write_text('participant_id\tsession_id\trun\treason\n' + ''.join(lines))
    return ('--exclusions', str(path))


def test_an_exclusion_list_that_names_nobody(dataset, capsys):
    prepare(dataset, '01')
    given = exclude(dataset, 'sub-77\tn/a\tn/a\tmotion\n')
    words = f'{given[1]}: there is no participant sub-77. Correct or remove the line.'
    fails(capsys, 3, words)(run(dataset, *given))


def test_an_exclusion_list_that_names_no_run(dataset, capsys):
    prepare(dataset, '01')
    given = exclude(dataset, 'sub-01\tTP9\tn/a\ta\n', 'sub-01\tn/a\t7\tb\n')
    words = 'no events file of the task belongs to {}; the line takes nothing out'
    names = ('sub-01_ses-TP9', 'sub-01_run-7')
    fails(capsys, 1, *(words.format(name) for name in names))(run(dataset, '--dry-run', *given))


def test_everybody_is_excluded(dataset, capsys):
    prepare(dataset, '01')
    given = exclude(dataset, 'sub-01\tn/a\tn/a\tmotion\n')
    fails(capsys, 3, 'Every run that was chosen is on the exclusion list')(run(dataset, *given))


def test_a_dry_run_lists_and_writes_nothing(three, capsys):
    prepare(three, '01')
    fmriprep_run(three / 'hcp', 'sub-02_task-carit')
    before = sorted(three.rglob('*'))
    given = exclude(three, 'sub-03\tn/a\tn/a\tmotion\n')
    before += [three / 'exclusions.tsv']
    code = run(three, '--dry-run', *given)
    text = capsys.readouterr().out
    assert code == 1  # the designs cannot be made of empty files
    assert sorted(three.rglob('*')) == sorted(before)
    series = three / 'hcp/sub-01/MNINonLinear/Results/task-carit/task-carit_Atlas.dtseries.nii'
    assert f'sub-01_task-carit: to do\n  run: {series}\n' in text
    assert 'sub-02_task-carit has no surfaces of its own on the mesh' in text
    assert '(average surfaces)' in text
    assert 'sub-03_task-carit is excluded: motion' in text
    assert 'Visits: 2 cannot be modelled. Nothing was written.' in text


def test_a_dry_run_knows_what_is_done(dataset, capsys):
    from ketbids.cli import participant
    from ketbids.io.files import write_json

    prepare(dataset, '01')
    record = dataset / 'out' / 'logs' / 'records' / 'sub-01_task-carit.json'
    write_json(record, {'Fingerprint': 'old', 'Outputs': {'x': 1}})
    fails(capsys, 1, 'to do again: input or settings have changed')(run(dataset, '--dry-run'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(participant, 'is_whole', lambda *_: True)
        fails(capsys, 1, 'Visits: 1 already done.')(run(dataset, '--dry-run'))


def test_directions_are_runs_of_one_visit(dataset, capsys):
    folder = dataset / 'bids' / 'sub-01' / 'func'
    (folder / 'sub-01_task-carit_events.tsv').unlink()
    for direction in ('LR', 'RL'):
        for acq in ('a', 'b'):
            name = f'sub-01_task-carit_acq-{acq}_dir-{direction}'
            (folder / f'{name}_events.tsv').write_text('onset\tduration\n1\t1\n')
            fmriprep_run(dataset / 'hcp', name)
    said = ('acq-a: to do\n  dir-LR: ', '  dir-RL: ', 'acq-b: to do')
    fails(capsys, 1, *said, 'Visits: 2 cannot be modelled')(run(dataset, '--dry-run'))
    path = dataset / 'filter.json'
    path.write_text('{"bold": {"acquisition": "a", "direction": "LR"}}')
    fails(capsys, 1, 'acq-a: to do\n  dir-LR: ', 'Visits: 1 cannot be modelled')(
        run(dataset, '--dry-run', '--bids-filter-file', str(path))
    )


def test_an_invalid_dataset(dataset, capsys, monkeypatch):
    from ketbids.io import validation

    prepare(dataset, '01')
    findings = validation.Findings([validation.Issue('BAD', '/participants.tsv')], 0)
    monkeypatch.setattr(validation, 'find_validator', lambda: 'validator')
    monkeypatch.setattr(validation, 'run_validator', lambda *_: findings)
    words = ('is not valid BIDS: BAD (/participants.tsv)', '--skip-bids-validation to go on')
    fails(capsys, 3, *words)(run(dataset))
    assert not (dataset / 'out' / 'dataset_description.json').exists()
    fails(capsys, 1, '1 to do')(run(dataset, '--dry-run', '--skip-bids-validation'))


def test_a_database_serves_the_second_call(dataset, capsys):
    prepare(dataset, '01')
    given = ('--dry-run', '--bids-database-dir', str(dataset / 'index'))
    assert run(dataset, *given) == 1
    assert 'Indexing' not in capsys.readouterr().out
    assert not (dataset / 'index').exists()  # a dry run makes none
    find_events(dataset / 'bids', ['01'], database_dir=dataset / 'index')
    capsys.readouterr()
    assert run(dataset, *given) == 1
    text = capsys.readouterr().out
    assert '1 to do' in text
    assert 'Indexing' not in text


def test_a_link_to_nothing_stops_only_its_visit(three, capsys):
    """As in a clone of DataLad whose content was not fetched."""
    prepare(three, '01', '02')
    events = next((three / 'bids' / 'sub-02').rglob('*_events.tsv'))
    events.unlink()
    events.symlink_to('.git/annex/objects/nothing')
    assert run(three, '--dry-run', '--skip-bids-validation') == 1
    text = ''.join(capsys.readouterr())
    assert 'sub-01_task-carit: to do' in text
    assert 'Traceback' not in text


def test_a_visit_that_cannot_be_built_stops_no_other(three, capsys, monkeypatch):
    from ketbids.workflows import base

    prepare(three, '01', '02')
    build = base.init_visit_wf

    def broken(settings, model, visit, **options):
        if visit.participant == '02':
            raise TypeError('a folder in place of a file')
        return build(settings, model, visit, **options)

    monkeypatch.setattr(base, 'init_visit_wf', broken)
    assert run(three, '--skip-bids-validation') == 1
    text = capsys.readouterr().out
    assert 'sub-02_task-carit failed: a folder in place of a file' in text
    # The other one was tried: its files are empty.
    assert re.search(r'sub-01_task-carit failed: .*sub-01.*surf\.gii', text)


def test_only_our_own_files_are_replaced(tmp_path):
    from ketbids.cli.participant import _outputs

    folder = tmp_path / 'sub-01' / 'func'
    folder.mkdir(parents=True)
    ours = [
        'space-fsLR_den-10k_contrast-a_stat-effect_statmap.dscalar.nii',
        'desc-trials_events.tsv',
    ]
    theirs = ['desc-mine_stat.nii', 'space-fsLR_den-91k_bold.dtseries.nii']
    theirs += ['desc-confounds_timeseries.tsv', 'events.tsv']
    for name in (*ours, *theirs):
        (folder / f'sub-01_task-carit_{name}').touch()
    visit = Visit('01', '', 'carit', ())
    found = {path.name.removeprefix('sub-01_task-carit_') for path in _outputs(tmp_path, visit)}
    assert found == set(ours)


def test_links_of_the_preprocessing_are_not_ours(tmp_path):
    from ketbids.cli.participant import _outputs

    folder = tmp_path / 'sub-01' / 'anat'
    folder.mkdir(parents=True)
    stem = 'sub-01_hemi-L_space-fsLR_den-32k'
    (folder / f'{stem}_midthickness.surf.gii').symlink_to('nowhere')
    (folder / f'{stem}_midthickness.json').touch()
    ours = [folder / f'{stem}_inflated.{ending}' for ending in ('json', 'surf.gii')]
    for path in ours:
        path.touch()
    assert sorted(_outputs(tmp_path, Visit('01', '', 'carit', ()))) == ours


def test_conditions_without_trials_are_said_once(tmp_path, caplog):
    from ketbids.cli.participant import _report_trials
    from ketbids.model import load_model

    visits = []
    for label in ('01', '02'):
        folder = tmp_path / f'sub-{label}' / 'func'
        folder.mkdir(parents=True)
        (folder / f'sub-{label}_task-carit_desc-trials_events.tsv').write_text(
            'onset\tcondition\tstatus\tresponded\n'
            '1\tcorrectGo\ttrial\tTrue\n2\tn/a\tunmatched\tn/a\n3\tn/a\tignored\tn/a\n'
            + '4\tn/a\tunmatched\tFalse\n'
            * (label == '02')
        )
        visits.append(Visit(label, '', 'carit', ()))
    with caplog.at_level('INFO', 'ketbids'):
        _report_trials(tmp_path, load_model(), visits)
    text = ' '.join(caplog.messages)
    assert 'Condition incorrectGo has no trials in any of 2 runs' in text
    assert 'Condition correctGo' not in text
    assert '2 of 7 rows of events are of no kind that the model file names' in text
    assert 'sub-01_task-carit (1 of 3), sub-02_task-carit (1 of 4). Their pages' in text
    assert '1 of 7 rows of events are trials that no condition takes' in text
    assert 'Rename' in text
    assert 'Ignore' in text


def test_a_folder_that_may_not_be_read_stops_nobody_else(three, capsys, monkeypatch):
    from ketbids.cli import finding

    prepare(three, '01')
    allowed = finding.os.access
    monkeypatch.setattr(
        finding.os, 'access', lambda path, mode: 'sub-02' not in str(path) and allowed(path, mode)
    )
    assert run(three, '--dry-run', '--skip-bids-validation') == 1
    text = capsys.readouterr().out
    assert 'sub-01_task-carit: to do' in text
    assert re.search(r'sub-02: cannot be done: .*bids/sub-02 cannot be read: permission', text)
    chosen = ('--participant-label', '02', '--dry-run')
    assert run(three, *chosen) == 3
    assert 'sub-02 cannot be read: permission denied' in capsys.readouterr().err


def test_a_smoothing_that_suits_nobody_leaves_no_pages(three, capsys):
    """Of some, it is their page that says it."""
    prepare(three, '01', '02')
    given = ('--smoothing-mode', 'total', '--smoothing-fwhm', '1')
    chosen = ('--participant-label', '01', '02')
    assert run(three, *given, *chosen) == 3
    assert 'A total smoothing of 1 mm FWHM cannot be reached' in capsys.readouterr().err
    assert not list((three / 'out').glob('*.html'))
    assert run(three, *given) == 3
    assert 'cannot be reached' in (three / 'out' / 'sub-01.html').read_text()
    assert 'no preprocessed time series' in (three / 'out' / 'sub-03.html').read_text()
