"""What the documentation promises: all options, files and columns are in it, and it is true."""

import argparse
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from ketbids import errors
from ketbids.cli import demo as demo_cli
from ketbids.cli import main as main_cli
from ketbids.cli import parser as main_parser
from ketbids.model import load_model
from ketbids.settings import GroupSettings, ResourceSettings

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / 'README.md'
USAGE = REPOSITORY / 'docs' / 'usage.md'
OUTPUTS = REPOSITORY / 'docs' / 'outputs.md'
PAGES = [REPOSITORY / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGES.md')]
PAGES += sorted((REPOSITORY / 'docs').glob('*.md'))

#: The file whose section of docs/outputs.md describes each table of columns.json.
SECTIONS = {
    'trials': '_desc-trials_events.tsv',
    'design': '_desc-design_timeseries.tsv',
    'group_design': '_design.tsv',
    'group_excluded': '_excluded.tsv',
    'group_participants': '_participants.tsv',
    'group_checks': '_checks.tsv',
    'group_clusters': '_clusters.tsv',
    'group_nullmax': '_nullmax.tsv',
    'group_roi': '_roi.tsv',
    'group_associations': '_associations.tsv',
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
    *('--array', '--cpus-per-task', '--mem', '--dependency'),
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


@pytest.mark.parametrize('option', MAIN_OPTIONS)
def test_every_option_is_described(option: str) -> None:
    assert row_of(option)


@pytest.mark.parametrize('option', [o for o in DEMO_OPTIONS if o not in ('-h', '--help')])
def test_every_option_of_the_demo_is_described(option: str) -> None:
    assert row_of(option, 'ketbids-demo')


def test_no_option_is_described_that_does_not_exist() -> None:
    known = {*MAIN_OPTIONS, *DEMO_OPTIONS, *FOREIGN}
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


def test_packaged_analyses_are_named() -> None:
    text = README.read_text(encoding='utf-8')
    for analysis in load_model(None).analyses:
        assert f'`{analysis.name}`' in text


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
