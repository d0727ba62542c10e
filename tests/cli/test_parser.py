"""Options: from the command line, a configuration file, and a preset, in this order."""

import os
import tomllib
from pathlib import Path

import pytest

from ketbids.cli.configuration import make_settings, parse_arguments
from ketbids.cli.parser import build_parser
from ketbids.errors import UsageError
from ketbids.settings import as_toml

LEVELS = ['participant', 'group']


def parse(*arguments, level='group'):
    return parse_arguments(['bids', 'out', level, *arguments])


def resolve(*arguments, level='group'):
    options = parse(*arguments, level=level)
    return make_settings(options, model=Path('/m.json'), hrf_model='spm', high_pass=0.005)


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / 'config.toml'
        path.write_text(text)
        return '--config-file', str(path)

    return write


@pytest.mark.parametrize('option', ['--participant-label', '--participant_label'])
@pytest.mark.parametrize('labels', [('01', '02'), ('sub-01', 'sub-02')])
def test_participants_with_or_without_prefix(option, labels):
    assert resolve(option, *labels).selection.participants == ('01', '02')


def test_other_labels():
    selection = resolve(
        '--session-label', 'ses-TP1', 'TP2', '--task-id', 'task-carit', '--run-id', 'run-01'
    ).selection
    assert selection.sessions == ('TP1', 'TP2')
    assert selection.tasks == ('carit',)
    assert selection.runs == ('01',)


@pytest.mark.parametrize('level', LEVELS)
def test_defaults(level):
    settings = resolve(level=level)
    assert settings.level == level
    assert settings.paths.bids_dir == Path.cwd() / 'bids'
    assert settings.paths.output_dir == Path.cwd() / 'out'
    assert settings.paths.work_dir == Path.cwd() / 'out' / 'work'
    assert settings.paths.exclusions is None
    assert settings.selection.participants == ()
    first = settings.first_level
    assert (first.drop_volumes, first.smoothing_fwhm) == (0, 5.0)
    assert (first.hrf_model, first.high_pass) == ('spm', 0.005)
    assert (settings.group.permutations, settings.group.seed) == (5000, 0)
    assert (settings.group.tails, settings.group.analyses) == ('two', ())
    cores = len(os.sched_getaffinity(0))
    assert settings.resources.nprocs == cores
    assert settings.resources.omp_nthreads == (cores if level == 'group' else 1)
    assert not settings.resources.stop_on_first_crash


def test_how_shuffles_are_made():
    group = resolve().group
    assert (group.engine, group.tfce, group.joint) == ('native', 'exact', 'minp')
    assert (group.connectivity, group.within_structure) == (6, False)
    given = ('--joint', 'sidak', '--connectivity', '26', '--within-structure')
    group = resolve(*given, '--tfce', '100').group
    assert (group.tfce, group.joint) == ('100', 'sidak')
    assert (group.connectivity, group.within_structure) == (26, True)


def test_palm_has_one_kind_of_tfce():
    """What it has is the default with it; what was asked for is kept, and refused later."""
    assert resolve('--engine', 'palm').group.tfce == '100'
    assert resolve('--engine', 'palm', '--tfce', 'exact').group.tfce == 'exact'


def test_the_paper_used_palm(config):
    assert resolve('--preset', 'sahib2020').group.tfce == '100'
    assert resolve('--preset', 'sahib2020').group.joint == 'minp'
    assert resolve('--preset', 'sahib2020', '--tfce', 'exact').group.tfce == 'exact'
    given = config('engine = "palm"\nconnectivity = 18\nwithin-structure = true\n')
    group = resolve(*given).group
    assert (group.engine, group.connectivity, group.within_structure) == ('palm', 18, True)


def test_zero_is_not_the_default():
    first = resolve('--smoothing-fwhm', '0', '--high-pass', '0').first_level
    assert (first.smoothing_fwhm, first.high_pass) == (0, 0)
    assert resolve('--seed', '0').group.seed == 0


def test_threads_of_the_group_follow_processes():
    assert resolve('--nprocs', '7').resources.omp_nthreads == 7
    assert resolve('--nprocs', '7', '--omp-nthreads', '3').resources.omp_nthreads == 3


def test_palm_has_one_thread():
    palm = ('--engine', 'palm', '--nprocs', '7')
    assert resolve(*palm).resources.nprocs == 7
    assert resolve(*palm).resources.omp_nthreads == 1
    assert resolve(*palm, '--omp-nthreads', '3').resources.omp_nthreads == 3


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (('--permutations', '0'), 'at least 1'),
        (('--permutations', '1.5'), 'not a number'),
        (('--seed', '-1'), 'at least 0'),
        (('--drop-volumes', '-2'), 'at least 0'),
        (('--smoothing-fwhm', 'nan'), 'at least 0'),
        (('--smoothing-fwhm', 'inf'), 'at least 0'),
        (('--high-pass', '-0.1'), 'at least 0'),
        (('--nprocs', '0'), 'at least 1'),
        (('--participant-label', 'sub_01'), 'BIDS label'),
        (('--participant-label', '../x'), 'BIDS label'),
        (('--participant-label',), 'expected at least one argument'),
        (('--hrf-model', 'fir'), 'invalid choice'),
        (('--tails', 'one'), 'invalid choice'),
        (('--preset', 'other'), 'invalid choice'),
        (('--engine', 'spm'), 'invalid choice'),
        (('--tfce', '50'), 'invalid choice'),
        (('--joint', 'holm'), 'invalid choice'),
        (('--connectivity', '8'), 'invalid choice'),
        (('--partic', '01'), 'unrecognized arguments'),
        (('--unknown',), 'unrecognized arguments'),
        (('--atlas', 'a.dlabel.nii'), "'a.dlabel.nii' is not NAME=FILE"),
        (('--atlas', 'my atlas=a.dlabel.nii'), 'is not NAME=FILE with a name of letters'),
        (('--atlas', 'own='), 'the path is empty'),
        (('--atlas', 'Yeo7=a.dlabel.nii'), 'Yeo7 is an atlas that ketbids makes itself'),
    ],
)
def test_wrong_usage(arguments, words):
    with pytest.raises(UsageError, match=words) as caught:
        parse(*arguments)
    assert '--help' in str(caught.value)


@pytest.mark.parametrize('arguments', [[], ['bids'], ['bids', 'out'], ['bids', 'out', 'session']])
def test_wrong_positionals(arguments):
    with pytest.raises(UsageError):
        parse_arguments(arguments)


def test_atlases(config):
    arguments = (
        '--atlas',
        'own=a.dlabel.nii',
        'other=/b=c.dlabel.nii',
        '--atlas',
        'x=d.dlabel.nii',
    )
    expected = (
        ('own', Path('a.dlabel.nii').absolute()),
        ('other', Path('/b=c.dlabel.nii')),
        ('x', Path('d.dlabel.nii').absolute()),
    )
    assert resolve(*arguments).group.atlases == expected
    assert resolve().group.atlases == ()
    configured = config('atlas = ["own=a.dlabel.nii", "other=/b=c.dlabel.nii"]')
    assert resolve(*configured).group.atlases == expected[:2]
    with pytest.raises(UsageError, match='--atlas: own is given 2 times'):
        resolve('--atlas', 'own=a', 'own=b')


def test_configuration_file(config):
    settings = resolve(*config(
        'participant-label = ["01", "sub-02"]\nsession-label = "TP1"\nsmoothing-fwhm = 4\n'
        'permutations = 10\nstop-on-first-crash = true\nverbose = 2\nwork-dir = "w"\n'
    ))  # fmt: skip
    assert settings.selection.participants == ('01', '02')
    assert settings.selection.sessions == ('TP1',)
    assert settings.first_level.smoothing_fwhm == 4.0
    assert settings.group.permutations == 10
    assert settings.resources.stop_on_first_crash
    assert settings.paths.work_dir == Path.cwd() / 'w'
    assert parse(*config('verbose = 2')).verbose == 2


def test_the_command_line_wins_over_file_over_preset(config):
    given = config('permutations = 10\ntails = "positive"')
    preset = ('--preset', 'sahib2020')
    assert resolve().group.tails == 'two'
    assert resolve(*preset).group.tails == 'each'
    assert resolve(*preset, *given).group.tails == 'positive'
    assert resolve(*preset, *given, '--tails', 'two').group.tails == 'two'
    found = resolve(*preset, *given).group
    assert (found.permutations, found.tails) == (10, 'positive')
    assert resolve(*given, '--permutations', '20').group.permutations == 20


def test_preset_is_the_paper():
    settings = resolve('--preset', 'sahib2020')
    assert settings.first_level.smoothing_fwhm == 5.0
    assert (settings.group.permutations, settings.group.tails) == (5000, 'each')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('permutation = 10', "unknown option 'permutation'"),
        ('participant_label = ["01"]', "unknown option 'participant_label'"),
        ('help = true', "unknown option 'help'"),
        ('version = true', "unknown option 'version'"),
        ('config-file = "a"', "unknown option 'config-file'"),
        ('preset = "sahib2020"', "unknown option 'preset'"),
        ('[group]\nseed = 1', "unknown option 'group'"),
        ('permutations = "many"', 'not a number'),
        ('permutations = -1', 'at least 1'),
        ('permutations = [1, 2]', 'takes one value'),
        ('seed = 1.5', 'not a number'),
        ('tails = "one"', 'invalid choice'),
        ('stop-on-first-crash = 1', 'must be true or false'),
        ('verbose = true', 'must be a whole number'),
        ('verbose = -1', 'must be a whole number'),
        ('participant-label = []', 'at least one argument'),
        ('permutations = ', 'not valid TOML'),
    ],
)
def test_wrong_configuration_names_the_file(config, text, words):
    option, path = config(text)
    with pytest.raises(UsageError, match=words) as caught:
        parse(option, path)
    assert path in str(caught.value)


def test_values_that_look_like_options(config):
    """A value is never taken for an option."""
    with pytest.raises(UsageError):
        parse(*config('work-dir = "--seed"'))


def test_missing_configuration(tmp_path):
    with pytest.raises(UsageError, match='Cannot read'):
        parse('--config-file', str(tmp_path / 'none.toml'))


def test_the_help_has_every_option_in_a_group():
    parser = build_parser()
    for group in parser._action_groups:
        for action in group._group_actions:
            assert action.help, action
    text = parser.format_help()
    for code in ('0 all done', '1 a participant', '2 wrong', '3 invalid', '4 a needed', '130/143'):
        assert code in ' '.join(text.split())


def test_settings_are_readable_toml():
    settings = resolve(
        '--participant-label',
        '01',
        '--derivatives',
        'a "quoted" \\ name',
        'tab\tand ü\x7f',
        '--exclusions',
        'x.tsv',
    )
    found = tomllib.loads(as_toml(settings, {'version': '1.0'}))
    assert found['version'] == '1.0'
    assert found['level'] == 'group'
    cwd = Path.cwd()
    assert found['paths']['derivatives'] == [
        str(cwd / 'a "quoted" \\ name'),
        str(cwd / 'tab\tand ü\x7f'),
    ]
    assert found['paths']['exclusions'] == str(cwd / 'x.tsv')
    assert found['selection'] == {'participants': ['01'], 'sessions': [], 'tasks': [], 'runs': []}
    assert found['first_level']['smoothing_fwhm'] == 5.0
    assert found['resources']['stop_on_first_crash'] is False
    assert 'exclusions' not in tomllib.loads(as_toml(resolve(), {}))['paths']
