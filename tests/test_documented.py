"""What the documentation promises: all options, files and columns are in it, and it is true."""

import argparse
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import BaseModel

from ketbids import bsm, errors, modelblocks, modelpeopleblocks, modelstatisticblocks
from ketbids.cli import demo as demo_cli
from ketbids.cli import events as events_cli
from ketbids.cli import main as main_cli
from ketbids.cli import mixed as mixed_cli
from ketbids.cli import parser as main_parser
from ketbids.io import hcp
from ketbids.io.bids import RunKey
from ketbids.io.filters import BidsFilter
from ketbids.io.folders import Folders, labels_of
from ketbids.model import load_model
from ketbids.settings import GroupSettings, ResourceSettings
from tests.io.trees import hcp_run, hcp_surfaces

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / 'README.md'
USAGE = REPOSITORY / 'docs' / 'usage.md'
INPUTS = REPOSITORY / 'docs' / 'inputs.md'
OUTPUTS = REPOSITORY / 'docs' / 'outputs.md'
MODEL = REPOSITORY / 'docs' / 'model.md'
PAGES = [REPOSITORY / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGES.md')]
PAGES += sorted((REPOSITORY / 'docs').glob('*.md'))

#: The file whose section of docs/outputs.md describes each table of columns.json.
SECTIONS = {
    'trials': '_desc-trials_events.tsv',
    'counts': '_desc-counts_events.tsv',
    'design': '_desc-design_timeseries.tsv',
    'motion': '_desc-motion_timeseries.tsv',
    'confounds': '_desc-confounds_timeseries.tsv',
    'performance': '_desc-performance_beh.tsv',
    'group_behaviour': ' `group_behaviour.tsv',
    'group_design': '_design.tsv',
    'group_excluded': '_excluded.tsv',
    'group_participants': '_participants.tsv',
    'group_checks': '_checks.tsv',
    'group_clusters': '_clusters.tsv',
    'group_nullmax': '_nullmax.tsv',
    'group_roi': '_roi.tsv',
    'group_loo': '_loo.tsv',
    'group_laterality': '_laterality.tsv',
    'statistics_terms': 'statistics/<name>_terms.tsv',
    'statistics_estimates': 'statistics/<name>_estimates.tsv',
    'statistics_covariance': 'statistics/<name>_covariance.tsv',
    'statistics_emmeans': 'statistics/<name>_emmeans.tsv',
    'statistics_pairs': 'statistics/<name>_pairs.tsv',
    'statistics_families': 'statistics/<name>_families.tsv',
    'statistics_influence': 'statistics/<name>_influence.tsv',
    'statistics_values': 'statistics/<name>_values.tsv',
    'statistics_comparison': 'statistics/<name>_comparison.tsv',
    'statistics_comparisons': 'statistics/<name>_comparisons.tsv',
    'statistics_correlations': 'statistics/<name>_correlations.tsv',
    'statistics_missing': 'statistics/<name>_missing.tsv',
    'statistics_table': 'statistics/<name>_table.tsv',
    'statistics_tests': 'statistics/<name>_tests.tsv',
    'statistics_counts': 'statistics/<name>_counts.tsv',
    'statistics_flow': 'statistics/<name>_flow.tsv',
    'statistics_visits': 'statistics/<name>_visits.tsv',
    'statistics_visit_pairs': 'statistics/<name>_visit_pairs.tsv',
    'statistics_dropout': 'statistics/<name>_dropout.tsv',
    'statistics_dropout_tests': 'statistics/<name>_dropout_tests.tsv',
    'group_missing': ' `group_missing.tsv',
}

#: Options of other programs that examples use: docker, apptainer, sbatch, make's tools.
FOREIGN = (
    *(
        '--cifti-output',
        '--target',
        '--rm',
        '--user',
        '--network',
        '--read-only',
        '--tmpfs',
        '--cleanenv',
    ),
    *('--array', '--cpus-per-task', '--mem', '--time', '--dependency', '--build-arg'),
)


def data(name: str) -> dict:
    return json.loads(files('ketbids.data').joinpath(name).read_text(encoding='utf-8'))


def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.option_strings]


def usage(command: str) -> str:
    """Part of docs/usage.md that is about a command."""
    first, second = USAGE.read_text(encoding='utf-8').split('## ketbids-demo')
    return {'ketbids': first, 'ketbids-demo': second}[command]


def row_of(option: str, command: str = 'ketbids') -> str:
    """Row of the table that describes an option."""
    rows = [
        line
        for line in usage(command).splitlines()
        if line.startswith('|') and re.search(rf'`{option}[ `]', line.split('|')[1])
    ]
    assert len(rows) == 1, f'docs/usage.md has {len(rows)} rows for {command} {option}'
    return rows[0]


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Heading and body of every section, whatever its level."""
    parts = re.split(r'^(#+ .*)$', text, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def slug(heading: str) -> str:
    """Anchor that GitHub gives to a heading."""
    text = heading.lstrip('#').strip().lower().replace('`', '')
    return re.sub(r'[^\w\- ]', '', text).replace(' ', '-')


MAIN_OPTIONS = [s for action in options(main_parser.build_parser()) for s in action.option_strings]
DEMO_OPTIONS = [s for action in options(demo_cli.build_parser()) for s in action.option_strings]
EVENTS_OPTIONS = sorted(
    {
        name
        for parser in (events_cli.build_parser(), *events_cli.parsers().values())
        for action in options(parser)
        for name in action.option_strings
    }
)
MIXED_OPTIONS = [s for action in options(mixed_cli.build_parser()) for s in action.option_strings]


@pytest.mark.parametrize('option', MAIN_OPTIONS)
def test_every_option_is_described(option: str) -> None:
    assert row_of(option)


@pytest.mark.parametrize('option', [o for o in DEMO_OPTIONS if o not in ('-h', '--help')])
def test_every_option_of_the_demo_is_described(option: str) -> None:
    assert row_of(option, 'ketbids-demo')


@pytest.mark.parametrize('option', [o for o in EVENTS_OPTIONS if o not in ('-h', '--help')])
def test_every_option_of_the_converter_is_described(option: str) -> None:
    page = (REPOSITORY / 'docs' / 'events.md').read_text(encoding='utf-8')
    assert len(re.findall(rf'^\| `{option}[ `]', page, flags=re.MULTILINE)) == 1


@pytest.mark.parametrize('option', [o for o in MIXED_OPTIONS if o not in ('-h', '--help')])
def test_every_option_of_the_mixed_models_is_described(option: str) -> None:
    page = (REPOSITORY / 'docs' / 'mixed.md').read_text(encoding='utf-8')
    assert len(re.findall(rf'^\| `{option}[ `]', page, flags=re.MULTILINE)) == 1


def test_no_option_is_described_that_does_not_exist() -> None:
    known = {*MAIN_OPTIONS, *DEMO_OPTIONS, *EVENTS_OPTIONS, *MIXED_OPTIONS, *FOREIGN}
    for path in PAGES:
        named = set(re.findall(r'(?<![\w-])--[a-z][\w-]+', path.read_text(encoding='utf-8')))
        assert named <= known, path.name


@pytest.mark.parametrize(
    'action',
    [a for a in options(main_parser.build_parser()) if a.choices],
    ids=lambda action: action.dest,
)
def test_choices_are_listed(action: argparse.Action) -> None:
    row = row_of(action.option_strings[0])
    for choice in action.choices or ():
        assert f'`{choice}`' in row


def test_options_are_grouped_as_in_the_help() -> None:
    titles = [group.title for group in main_parser.build_parser()._action_groups[2:]]
    headings = [heading for heading, _ in sections(USAGE.read_text(encoding='utf-8'))]
    found = [h.removeprefix('### ').lower() for h in headings if h.startswith('### ')]
    assert [title for title in found if title in titles] == titles


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('--permutations', GroupSettings().permutations),
        ('--seed', GroupSettings().seed),
        ('--tails', GroupSettings().tails),
        ('--mem-mb', ResourceSettings().mem_mb),
    ],
)
def test_defaults_are_those_of_the_settings(option: str, value: object) -> None:
    assert f'`{value}`' in row_of(option).rstrip('| ').rsplit('|', 1)[1]


def test_presets_are_described_with_what_they_set() -> None:
    text = USAGE.read_text(encoding='utf-8')
    for preset in main_parser.PRESETS:
        content = files('ketbids.data').joinpath(f'presets/{preset}.toml').read_text()
        settings = [line for line in content.splitlines() if re.match(r'[a-z-]+ = ', line)]
        section = next(body for heading, body in sections(text) if preset in heading)
        assert settings
        for line in settings:
            assert line in section


@pytest.mark.parametrize('table', data('columns.json'))
def test_every_column_is_described(table: str) -> None:
    text = OUTPUTS.read_text(encoding='utf-8')
    found = [body for heading, body in sections(text) if f'{SECTIONS[table]}`' in heading]
    assert len(found) == 1, f'docs/outputs.md has {len(found)} sections for {SECTIONS[table]}'
    for column in data('columns.json')[table]:
        name = column if ' ' in column else f'`{column}`'
        assert f'| {name} |' in found[0]


def table_rows(text: str, *header: str) -> list[list[str]]:
    """Cells of the tables with this header."""
    line = f'| {" | ".join(header)} |\n'
    assert line in text, header
    found = []
    for part in text.split(line)[1:]:
        for row in part.splitlines()[1:]:
            if not row.startswith('|'):
                break
            found.append([cell.strip() for cell in row.strip('|').split(' | ')])
    return found


def tree_patterns() -> dict[str, re.Pattern[str]]:
    """Path patterns of the tree in docs/outputs.md, as regular expressions."""
    text = OUTPUTS.read_text(encoding='utf-8')
    listing = text.partition('## All files')[2].split('```')[1]
    short = {row[0].strip('`'): row[1] for row in table_rows(text, 'short', 'stands for')}
    patterns, folder = {}, ''
    for line in filter(None, listing.splitlines()):
        name = line.strip()
        if name.endswith('/'):
            folder = name
            continue
        folder = folder if line.startswith(' ') else ''
        path = folder + name
        for token in ('<test>', '<visit>', '<run>', '<session>'):
            path = path.replace(token, re.findall('`([^`]+)`', short[token])[0])
        expression = re.escape(path).replace('<', r'\<').replace('>', r'\>')
        expression = re.sub(r'\\<\w+\\>', '[A-Za-z0-9]+', expression)
        expression = expression.replace(r'\[', '(?:').replace(r'\]', ')?')
        expression = expression.replace(r'\{', '(?:').replace(r'\}', ')').replace(',', '|')
        patterns[path] = re.compile(expression)
    return patterns


def golden_files() -> list[str]:
    folder = REPOSITORY / 'tests' / 'data'
    return [n for path in sorted(folder.glob('*_outputs.txt')) for n in path.read_text().split()]


def test_every_output_is_in_the_tree() -> None:
    patterns = tree_patterns().values()
    files_ = golden_files()
    assert len(files_) > 100
    assert [name for name in files_ if not any(p.fullmatch(name) for p in patterns)] == []


def test_the_tree_lists_nothing_that_is_not_written() -> None:
    files_ = golden_files()
    # Where something is significant; on request; where something crashed.
    rare = ('_desc-roi_space-fsLR_den-<d>_dseg.', '_loo.', 'logs/crash-<report>.txt')
    unmatched = [
        path
        for path, pattern in tree_patterns().items()
        if not any(pattern.fullmatch(name) for name in files_)
    ]
    assert [path for path in unmatched if not any(words in path for words in rare)] == []


#: Section of docs/model.md that has the keys of each part of a model file, and what precedes them.
KEYS: dict[type[BaseModel], tuple[str, str]] = {
    bsm.BIDSStatsModel: ('The file', ''),
    bsm.InputFilter: ('Input', ''),
    bsm.RunNode: ('Run node', ''),
    bsm.RunModelBlock: ('Model of the run node', ''),
    bsm.Hrf: ('Model of the run node', 'HRF.'),
    bsm.EstimationOptions: ('Model of the run node', 'Options.'),
    modelblocks.RunBlock: ('Model of the run node', ''),
    modelblocks.ConditionBlock: ('Model of the run node', ''),
    modelblocks.ResponseBlock: ('Model of the run node', ''),
    modelblocks.EventsBlock: ('Model of the run node', ''),
    modelblocks.StimuliBlock: ('Model of the run node', ''),
    modelblocks.ValidityBlock: ('Model of the run node', ''),
    modelblocks.PreprocessingBlock: ('Model of the run node', ''),
    bsm.RunContrast: ('Contrast', ''),
    bsm.Contrast: ('Contrast', ''),
    bsm.SessionNode: ('Session node', ''),
    bsm.SessionModelBlock: ('Session node', 'Model.'),
    modelpeopleblocks.SessionBlock: ('Session node', ''),
    modelpeopleblocks.CheckBlock: ('Session node', ''),
    modelpeopleblocks.RegionBlock: ('Session node', ''),
    bsm.DatasetNode: ('Dataset node', ''),
    bsm.DatasetModelBlock: ('Dataset node', 'Model.'),
    modelblocks.DatasetBlock: ('Dataset node', ''),
    modelblocks.PermutationBlock: ('Dataset node', 'Permutation.'),
    modelblocks.RoisBlock: ('Dataset node', 'Rois.'),
    modelstatisticblocks.StatisticBlock: ('Statistics', ''),
    modelstatisticblocks.BehaviourBlock: ('Statistics', 'Outcome.'),
    modelstatisticblocks.RegionsBlock: ('Statistics', 'Outcome.'),
    modelstatisticblocks.RegionChoiceBlock: ('Statistics', 'Outcome.Regions.'),
    modelstatisticblocks.ModelledBlock: ('Mixed and linear models', ''),
    modelstatisticblocks.MixedBlock: ('Mixed and linear models', ''),
    modelstatisticblocks.LinearBlock: ('Mixed and linear models', ''),
    modelstatisticblocks.ReferenceBlock: ('Comparison with a reference group', ''),
    modelstatisticblocks.ReferenceGroupBlock: ('Comparison with a reference group', 'Reference.'),
    modelstatisticblocks.CorrelationBlock: ('Correlation', ''),
    modelstatisticblocks.TableBlock: ('Table of groups', ''),
    modelstatisticblocks.CountsBlock: ('Counts', ''),
    modelstatisticblocks.FlowBlock: ('Flow', ''),
    bsm.Edge: ('Edge', ''),
    bsm.EdgeFilter: ('Edge', 'Filter.'),
}


@pytest.mark.parametrize('kind', KEYS, ids=lambda kind: kind.__name__)
def test_every_key_of_a_model_file_is_described(kind: type[BaseModel]) -> None:
    heading, prefix = KEYS[kind]
    (body,) = (b for h, b in sections(MODEL.read_text(encoding='utf-8')) if h == f'### {heading}')
    inherited = {n for base in kind.__mro__[1:] if base in KEYS for n in base.model_fields}
    for name, field in kind.model_fields.items():
        refused = field.annotation is type(None)
        if name == 'Description' or refused or name in inherited:
            continue
        described = re.findall(rf'^\| `{re.escape(prefix + name)}[`.].*$', body, re.MULTILINE)
        assert described or f'`{prefix}{name}.' in body, f'{heading}: {prefix}{name}'
        rows = [row for row in described if row.startswith(f'| `{prefix}{name}`')]
        # The objects of these may be absent as a whole.
        if rows and not prefix.startswith(('Permutation.', 'Rois.', 'Filter.', 'Outcome.')):
            needed = any('| needed |' in row for row in rows)
            assert needed == field.is_required(), f'{heading}: {prefix}{name}'


@pytest.mark.parametrize(
    ('events', 'folder', 'pattern'),
    table_rows(
        INPUTS.read_text(encoding='utf-8'), 'events file', 'folder of the run', '`--hcp-pattern`'
    ),
)
def test_patterns_of_hcp_folders_find_what_they_say(
    events: str, folder: str, pattern: str, tmp_path: Path
) -> None:
    session, _, _, run = folder.strip('`').split('/')
    hcp_surfaces(tmp_path, session)
    made = hcp_run(tmp_path, run, session=session)
    labels = labels_of(events.strip('`'))
    found = hcp.find_run(
        tmp_path,
        RunKey(
            labels['sub'],
            labels.get('ses', ''),
            labels['task'],
            labels.get('run', ''),
            direction=labels.get('dir', ''),
        ),
        pattern=hcp.parse_pattern(pattern.strip('`')) if '`' in pattern else None,
        filters=BidsFilter(),
        folders=Folders(),
    )
    assert found is not None
    assert found.series.parent == made


@pytest.mark.parametrize(
    'ending',
    [
        row[0].strip('`')
        for row in table_rows(INPUTS.read_text(encoding='utf-8'), 'end of the name', 'what it is')
    ],
)
def test_names_of_hcp_series_are_found(ending: str, tmp_path: Path) -> None:
    registration = re.search(r'_MSM\w*?(?=_|\.)', ending)
    hcp_surfaces(tmp_path, registration=registration[0] if registration else '')
    made = hcp_run(tmp_path, endings=(ending,))
    found = hcp.find_run(
        tmp_path,
        RunKey('01', 'TP1', 'carit'),
        pattern=None,
        filters=BidsFilter(),
        folders=Folders(),
    )
    assert found is not None
    assert found.series == made / f'{made.name}{ending}'
    assert found.denoised == ('_clean' in ending)


@pytest.mark.parametrize(
    'fragment',
    [
        row[0].strip('`')
        for row in table_rows(
            USAGE.read_text(encoding='utf-8'), 'part of the message', 'what to do'
        )
    ],
)
def test_messages_that_are_explained_are_given(fragment: str) -> None:
    sources = sorted((REPOSITORY / 'ketbids').rglob('*.py'))
    code = '\n'.join(path.read_text(encoding='utf-8') for path in sources)
    code = re.sub(r"""['"]\s*\n\s*f?['"]""", '', code)  # texts over several lines
    assert fragment in code


def alternatives(entity: str) -> list[str]:
    """Values that the patterns of file names allow for an entity."""
    patterns = data('derivatives.json')['default_path_patterns']
    found = [m for pattern in patterns for m in re.findall(rf'{entity}<([^>]+)>', pattern)]
    return sorted({value for group in found for value in group.split('|')})


@pytest.mark.parametrize('suffix', alternatives('suffix'))
def test_every_suffix_is_described(suffix: str) -> None:
    assert re.search(rf'`[^`\n]*_{suffix}\.[^`\n]*`', OUTPUTS.read_text(encoding='utf-8'))


@pytest.mark.parametrize('extension', alternatives('extension'))
def test_every_extension_is_described(extension: str) -> None:
    assert f'{extension}`' in OUTPUTS.read_text(encoding='utf-8')


def test_every_statistic_is_described() -> None:
    from ketbids.interfaces.inference import DIRECTED, PLAIN

    text = OUTPUTS.read_text(encoding='utf-8')
    for statistic in (*PLAIN, *DIRECTED):
        assert f'| `{statistic}` |' in text


@pytest.mark.parametrize(
    'name', ['flow', 'table1', 'remission', 'hdrsOverTime', 'hdrsChange', 'roiVsControls']
)
def test_every_field_of_the_summary_of_a_statistic_is_described(name: str) -> None:
    from ketbids.stats.clinical.run import run_statistic
    from tests.stats.clinical.study import study

    (statistic,) = [s for s in load_model(None).statistics if s.name == name]
    text = OUTPUTS.read_text(encoding='utf-8').partition('### Declared statistics')[2]
    text = text.partition('####')[0]
    for field in run_statistic(statistic, study()).summary:
        assert f'`{field}`' in text


def test_packaged_analyses_are_named() -> None:
    text = README.read_text(encoding='utf-8')
    for analysis in load_model(None).analyses:
        assert f'`{analysis.name}`' in text


def test_packaged_statistics_are_named() -> None:
    text = MODEL.read_text(encoding='utf-8')
    for statistic in load_model(None).statistics:
        assert f'`{statistic.name}`' in text


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if target.startswith(('https://', 'http://')):
            continue
        name, _, anchor = target.partition('#')
        linked = path.parent / name if name else path
        assert linked.exists(), target
        if anchor:
            headings = [h for h, _ in sections(linked.read_text(encoding='utf-8'))]
            assert anchor in map(slug, headings), target


def test_the_picture_is_small_enough_for_a_repository() -> None:
    assert (REPOSITORY / 'docs' / 'picture.png').stat().st_size <= 400_000


def error_codes() -> set[int]:
    kinds = [getattr(errors, name) for name in errors.__all__ if name.endswith('Error')]
    return {kind.exit_code for kind in kinds}


@pytest.mark.parametrize('path', [README, USAGE], ids=lambda path: path.name)
def test_exit_codes_are_those_of_the_errors(path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    section = next(body for heading, body in sections(text) if 'exit codes' in heading.lower())
    found = {int(code) for code in re.findall(r'^\| `(\d+)` \|', section, flags=re.MULTILINE)}
    assert found == error_codes() | {0, 130, 143}


def test_the_help_gives_the_same_exit_codes() -> None:
    for text in (main_parser.build_parser().epilog, main_cli.main.__doc__):
        assert text is not None
        numbers = {int(number) for number in re.findall(r'\b\d+\b', text)}
        assert numbers == error_codes() | {0, 130, 143}
