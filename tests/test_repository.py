"""What the repository itself promises: its layout, its requirements, what CI runs."""

import ast
import os
import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / 'ketbids'
LINKS = ('workflows', 'interfaces')


def setup() -> ConfigParser:
    parser = ConfigParser()
    parser.read(REPOSITORY / 'setup.cfg', encoding='utf-8')
    return parser


def listed(section: str, option: str) -> list[str]:
    return setup().get(section, option).split('\n')[1:]


def requirements() -> list[Requirement]:
    found = listed('options', 'install_requires')
    for extra in setup().options('options.extras_require'):
        found += listed('options.extras_require', extra)
    return [Requirement(line) for line in found]


def constraints() -> dict[str, str]:
    lines = (REPOSITORY / 'constraints.txt').read_text(encoding='utf-8').splitlines()
    pinned = [line.split('==') for line in lines if line and not line.startswith('#')]
    return {canonicalize_name(name): version for name, version in pinned}


def modules(*folders: str) -> list[Path]:
    return [path for name in folders for path in sorted((REPOSITORY / name).rglob('*.py'))]


def imported(path: Path) -> Iterator[str]:
    """First name of everything that a module imports, also inside functions or by `find_spec`."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition('.')[0]
        elif isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'find_spec':
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


def needed_distributions() -> set[str]:
    """Distributions that the package imports."""
    known = packages_distributions()
    names = {name for path in modules('ketbids') for name in imported(path)}
    foreign = names - set(sys.stdlib_module_names) - {'ketbids'}
    return {canonicalize_name(known.get(name, [name])[0]) for name in foreign}


@pytest.mark.parametrize('name', LINKS)
def test_parts_are_shown_at_the_top_by_links(name: str) -> None:
    link = REPOSITORY / name
    assert link.is_symlink()
    assert link.readlink() == Path('ketbids') / name
    assert link.resolve() == PACKAGE / name


@pytest.mark.parametrize(
    'path',
    modules('ketbids', 'tests', 'benchmarks'),
    ids=lambda path: path.relative_to(REPOSITORY).as_posix(),
)
def test_nothing_imports_through_the_links(path: Path) -> None:
    assert not set(imported(path)) & set(LINKS)


def test_packages_have_an_empty_init() -> None:
    for root in (PACKAGE, REPOSITORY / 'tests'):
        for folder in {path.parent for path in root.rglob('*.py')}:
            init = folder / '__init__.py'
            assert init.is_file(), f'{folder} is not found by setuptools'
            assert init.read_text() == '', f'{init} is not empty'


def test_data_files_are_packaged() -> None:
    globs = {
        PACKAGE.joinpath(*name.split('.')[1:]): listed('options.package_data', name)
        for name in setup().options('options.package_data')
    }
    for path in PACKAGE.rglob('*'):
        if path.is_dir() or path.suffix in ('.py', '.pyc', '.nbi', '.nbc'):
            continue
        homes = [folder for folder in globs if path.is_relative_to(folder)]
        assert any(
            fnmatch(path.relative_to(folder).as_posix(), pattern)
            for folder in homes
            for pattern in globs[folder]
        ), f'{path} would not be installed'


def test_what_is_required_is_used() -> None:
    required = [Requirement(line) for line in listed('options', 'install_requires')]
    unused = {canonicalize_name(item.name) for item in required} - needed_distributions()
    assert not unused


def test_what_is_used_is_required() -> None:
    required = [Requirement(line) for line in listed('options', 'install_requires')]
    absent = needed_distributions() - {canonicalize_name(item.name) for item in required}
    assert not absent


@pytest.mark.parametrize('requirement', requirements(), ids=str)
def test_constraints_satisfy_what_is_required(requirement: Requirement) -> None:
    version = constraints().get(canonicalize_name(requirement.name))
    assert version is not None, f'{requirement.name} is not in constraints.txt'
    assert requirement.specifier.contains(version, prereleases=True)


def test_requirements_have_tested_lower_bounds() -> None:
    for line in listed('options', 'install_requires'):
        assert [s.operator for s in Requirement(line).specifier] == ['>='], line


def makefile_targets() -> dict[str, str]:
    text = (REPOSITORY / 'Makefile').read_text(encoding='utf-8')
    found = re.findall(r'^([a-z-]+):(.*\n(?:\t.*\n)*)', text, flags=re.MULTILINE)
    return dict(found)


def test_ci_installs_its_tools_and_runs_the_tests() -> None:
    script = REPOSITORY / '.ci' / 'run'
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding='utf-8').splitlines()
    assert lines[0].startswith('#!')
    assert 'set -euo pipefail' in lines
    assert [line for line in lines if line.startswith('make ')] == ['make ci-tools', 'make test']


@pytest.mark.parametrize('target', ['demo', 'test', 'lint', 'venv', 'bench', 'clean', 'ci-tools'])
def test_makefile_has_the_target(target: str) -> None:
    text = (REPOSITORY / 'Makefile').read_text(encoding='utf-8')
    assert target in makefile_targets()
    phony = re.search(r'^\.PHONY:(.*)$', text, flags=re.MULTILINE)
    assert phony is not None
    assert target in phony[1].split()


def test_only_ci_tools_change_the_system() -> None:
    for target, recipe in makefile_targets().items():
        if target != 'ci-tools':
            assert not re.search(r'apt|sudo', recipe), target


def test_tests_include_the_lint() -> None:
    targets = makefile_targets()
    assert 'lint' in targets['test'].splitlines()[0].split()
    for tool in ('ruff check', 'ruff format --check', 'lint-imports', 'mypy'):
        assert tool in targets['lint']


def test_hooks_run_before_a_commit_what_lint_runs() -> None:
    text = (REPOSITORY / '.pre-commit-config.yaml').read_text(encoding='utf-8')
    for tool in ('ruff check', 'ruff format', 'lint-imports', 'mypy'):
        assert f'entry: .venv/bin/{tool}' in text


def test_generated_folders_are_ignored() -> None:
    lines = (REPOSITORY / '.gitignore').read_text(encoding='utf-8').split()
    for name in ('.venv/', '/demo/', '__pycache__/', '*.egg-info/'):
        assert name in lines
