"""The environment of the HCP scripts, and the versions of the programs they call."""

import os
import re
from pathlib import Path

import pytest

from ketbids.interfaces.hcp import tools as hcptools

STAMP = 'freesurfer-Linux-centos6_x86_64-stable-pub-v6.0.1-f53a55a'


def program(path: Path, text: str = 'exit 0') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return path


def file(path: Path, text: str = '') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def tools(tmp_path):
    """Programs in folders of their own, found by the PATH."""
    program(tmp_path / 'fsl/share/fsl/bin/fslmaths')
    program(tmp_path / 'fsl/share/fsl/bin/msm')
    program(tmp_path / 'fsl/bin/fslmaths')
    file(tmp_path / 'fsl/etc/fslversion', '6.0.7.17\n')
    program(tmp_path / 'freesurfer/bin/recon-all')
    file(tmp_path / 'freesurfer/build-stamp.txt', STAMP + '\n')
    (tmp_path / 'freesurfer/mni/share/perl5').mkdir(parents=True)
    program(tmp_path / 'wb/wb_command')
    program(tmp_path / 'msm/msm')
    return tmp_path


def searched(tools: Path, *names: str) -> dict[str, str]:
    return {'PATH': os.pathsep.join([*(str(tools / name) for name in names), '/usr/bin', '/bin'])}


def all_searched(tools: Path) -> dict[str, str]:
    return searched(tools, 'fsl/share/fsl/bin', 'freesurfer/bin', 'wb', 'msm')


def test_everything_is_found_by_the_path(tools):
    made = hcptools.hcp_environment(tools / 'hcp', environment=all_searched(tools))
    hcp = tools / 'hcp'
    expected = {
        'HCPPIPEDIR': hcp,
        'HCPPIPEDIR_Global': hcp / 'global/scripts',
        'HCPPIPEDIR_Templates': hcp / 'global/templates',
        'HCPPIPEDIR_Config': hcp / 'global/config',
        'HCPPIPEDIR_PreFS': hcp / 'PreFreeSurfer/scripts',
        'HCPPIPEDIR_fMRIVol': hcp / 'fMRIVolume/scripts',
        'MSMCONFIGDIR': hcp / 'MSMConfig',
        'HCPCIFTIRWDIR': hcp / 'global/matlab/cifti-matlab',
        'FSLDIR': tools / 'fsl',
        'FSL_DIR': tools / 'fsl',
        'FREESURFER_HOME': tools / 'freesurfer',
        'SUBJECTS_DIR': tools / 'freesurfer/subjects',
        'PERL5LIB': tools / 'freesurfer/mni/share/perl5',
        'CARET7DIR': tools / 'wb',
        'MSMBINDIR': tools / 'msm',
    }
    assert {name: made[name] for name in expected} == {k: str(v) for k, v in expected.items()}
    assert made['FSLOUTPUTTYPE'] == 'NIFTI_GZ'
    assert (made['LC_ALL'], made['LANGUAGE']) == ('C', 'C')
    assert made['OMP_NUM_THREADS'] == made['OPENBLAS_NUM_THREADS'] == '1'
    assert 'FS_LICENSE' not in made
    assert 'MATLAB_COMPILER_RUNTIME' not in made


def test_order_of_the_path(tools):
    """Workbench, FSL, FreeSurfer, then the rest, as SetUpHCPPipeline.sh leaves it."""
    made = hcptools.hcp_environment(tools / 'hcp', environment=all_searched(tools))
    folders = made['PATH'].split(os.pathsep)
    assert folders[:3] == [str(tools / n) for n in ('wb', 'fsl/share/fsl/bin', 'freesurfer/bin')]
    assert folders[-3:] == [str(tools / 'msm'), '/usr/bin', '/bin']
    assert len(folders) == len(set(folders))


def test_bin_of_an_older_fsl(tools):
    (tools / 'fsl/share/fsl/bin/fslmaths').unlink()
    (tools / 'fsl/share/fsl/bin/msm').unlink()
    (tools / 'fsl/share/fsl/bin').rmdir()
    given = {'PATH': '/usr/bin', 'FSLDIR': str(tools / 'fsl')}
    made = hcptools.hcp_environment(tools / 'hcp', environment=given)
    assert made['PATH'].split(os.pathsep)[0] == str(tools / 'fsl/bin')


def test_exports_win(tools):
    given = all_searched(tools) | {
        'CARET7DIR': '/other/wb',
        'MSMBINDIR': '/other/msm',
        'MSMCONFIGDIR': '/other/conf',
        'HCPCIFTIRWDIR': '/other/cifti',
        'FSLDIR': '/other/fsl',
        'FREESURFER_HOME': '/other/fs',
        'FSL_FIXDIR': '/other/fix',
        'MATLAB_COMPILER_RUNTIME': '/other/mcr',
        'FSLOUTPUTTYPE': 'NIFTI',
        'LC_ALL': 'de_DE',
        'HCPPIPEDIR_Global': '/other/global',
    }
    made = hcptools.hcp_environment(tools / 'hcp', environment=given)
    fixed = {'FSLOUTPUTTYPE', 'LC_ALL', 'HCPPIPEDIR_Global', 'PATH'}
    assert {k: made[k] for k in given if k not in fixed} == {
        k: v for k, v in given.items() if k not in fixed
    }
    assert made['FSL_DIR'] == '/other/fsl'
    # finish_hcpsetup.shlib sets these whatever they were.
    assert made['FSLOUTPUTTYPE'] == 'NIFTI_GZ'
    assert made['LC_ALL'] == 'C'
    assert made['HCPPIPEDIR_Global'] == str(tools / 'hcp/global/scripts')


def test_exports_of_another_checkout_do_not_win(tools):
    given = all_searched(tools) | {
        'HCPPIPEDIR': '/old/hcp',
        'MSMCONFIGDIR': '/old/hcp/MSMConfig',
        'HCPCIFTIRWDIR': '/my/cifti',
    }
    made = hcptools.hcp_environment(tools / 'hcp', environment=given)
    assert made['MSMCONFIGDIR'] == str(tools / 'hcp/MSMConfig')
    assert made['HCPCIFTIRWDIR'] == '/my/cifti'


def test_msm_of_fsl_is_not_taken_unasked(tools):
    made = hcptools.hcp_environment(
        tools / 'hcp', environment=searched(tools, 'fsl/share/fsl/bin')
    )
    assert 'MSMBINDIR' not in made
    assert made['FSLDIR'] == str(tools / 'fsl')


@pytest.mark.parametrize(
    'name',
    [
        *('PYTHONPATH', 'PYTHONHOME', 'POSIXLY_CORRECT', 'BASH_ENV', 'CDPATH', 'GREP_OPTIONS'),
        *('XNAT_PASS', 'CREDS', 'SLURM_JWT', 'AWS_ACCESS_KEY_ID', 'PGPASSFILE', 'HTTPS_PROXY'),
        *('FSL_TOKEN', 'HCPPIPE_HIDE_RC', 'LS_COLORS', 'SSH_AUTH_SOCK'),
        *('BASH_FUNC_which%%', 'GITHUB_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'db_password', 'API_KEY'),
    ],
)
def test_what_disturbs_or_is_secret_does_not_reach_the_scripts(tools, name):
    given = all_searched(tools) | {name: 'x', 'LD_LIBRARY_PATH': '/lib', 'TMPDIR': '/scratch'}
    made = hcptools.hcp_environment(tools / 'hcp', environment=given)
    assert name not in made
    assert (made['LD_LIBRARY_PATH'], made['TMPDIR']) == ('/lib', '/scratch')


def test_what_scripts_read_and_do_not_set(tools):
    made = hcptools.hcp_environment(tools / 'hcp', environment=all_searched(tools))
    assert (made['SPECIES'], made['FSL_FIX_MCR']) == ('Human', '')
    given = all_searched(tools) | {'SPECIES': 'Macaque', 'FSL_FIX_MCR': '/mcr/v93'}
    made = hcptools.hcp_environment(tools / 'hcp', environment=given)
    assert (made['SPECIES'], made['FSL_FIX_MCR']) == ('Macaque', '/mcr/v93')


def test_licence_and_threads(tools, monkeypatch):
    monkeypatch.chdir(tools)
    made = hcptools.hcp_environment(
        Path('hcp'), license_file=Path('fs.lic'), omp_nthreads=4, environment={'PATH': '/bin'}
    )
    assert made['FS_LICENSE'] == str(tools / 'fs.lic')
    assert made['HCPPIPEDIR'] == str(tools / 'hcp')
    assert made['OMP_NUM_THREADS'] == made['ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS'] == '4'


def test_nothing_is_found(tmp_path):
    made = hcptools.hcp_environment(tmp_path, environment={'PATH': str(tmp_path)})
    assert not {'FSLDIR', 'FREESURFER_HOME', 'CARET7DIR', 'MSMBINDIR'} & made.keys()
    assert made['PATH'] == str(tmp_path)


def test_environment_of_this_process_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv('MATLAB_COMPILER_RUNTIME', '/mcr')
    monkeypatch.setenv('PYTHONPATH', '/x')
    made = hcptools.hcp_environment(tmp_path)
    assert made['MATLAB_COMPILER_RUNTIME'] == '/mcr'
    assert 'PYTHONPATH' not in made
    assert os.environ['PYTHONPATH'] == '/x'


def test_matlab_mode(tmp_path):
    def mode(**more: str) -> int | None:
        return hcptools.matlab_mode({'PATH': str(tmp_path)} | more)

    assert mode() is None
    program(tmp_path / 'octave-cli')
    assert mode() is None  # PostFix calls octave
    program(tmp_path / 'octave')
    assert mode() == 2
    program(tmp_path / 'matlab')
    assert mode() == 1
    assert mode(MATLAB_COMPILER_RUNTIME=str(tmp_path / 'none')) == 1
    assert mode(MATLAB_COMPILER_RUNTIME=str(tmp_path)) == 0


@pytest.mark.parametrize(
    ('text', 'version'),
    [
        ('6.0.7.17', (6, 0, 7, 17)),
        ('v5.0.0-rc.1', (5, 0, 0)),
        ('Post-v4.8.0', (4, 8, 0)),
        ('1.06.15', (1, 6, 15)),
        ('none', ()),
    ],
)
def test_bare_version(text, version):
    assert hcptools.bare_version(text) == version


@pytest.mark.parametrize(
    ('stamp', 'version'),
    [
        (STAMP, '6.0.1'),
        ('freesurfer-Linux-centos6_x86_64-stable-pub-v6.0.0-2beb96c', '6.0.0'),
        ('freesurfer-linux-centos7_x86_64-7.1.1-20200723-8b40551', '7.1.1'),
        ('freesurfer-linux-ubuntu22_x86_64-7.4.1-20230614-7eb8460', '7.4.1'),
        ('freesurfer-Linux-centos4_x86_64-stable-pub-v5.3.0-HCP', '5.3.0'),
    ],
)
def test_freesurfer_version(tmp_path, stamp, version):
    file(tmp_path / 'build-stamp.txt', f'{stamp}\n')
    assert hcptools.freesurfer_version({'FREESURFER_HOME': str(tmp_path)}) == version
    assert hcptools.freesurfer_version({}) is None


@pytest.mark.parametrize('text', ['6.0.1:13046', '6.0.1\n'])
def test_fsl_version(tmp_path, text):
    file(tmp_path / 'etc/fslversion', text)
    assert hcptools.fsl_version({'FSLDIR': str(tmp_path)}) == '6.0.1'
    assert hcptools.fsl_version({'FSLDIR': str(tmp_path / 'none')}) is None


def test_workbench_version(tmp_path, monkeypatch):
    said = "echo 'Connectome Workbench'; echo 'Type: Command Line Application'; echo"
    program(tmp_path / 'wb_command', f"{said} 'Version: 1.5.0'; {said} 'Qt Compiled Version: 5.9'")
    there = {'CARET7DIR': str(tmp_path), 'PATH': '/usr/bin:/bin'}
    assert hcptools.workbench_version(there) == '1.5.0'
    program(tmp_path / 'wb_command', 'echo "Version: 1.5.0"; exit 1')
    assert hcptools.workbench_version(there) is None
    monkeypatch.setattr(hcptools, '_PATIENCE', 0.2)
    program(tmp_path / 'wb_command', 'exec sleep 30')
    assert hcptools.workbench_version(there) is None
    assert hcptools.workbench_version({'CARET7DIR': str(tmp_path / 'none')}) is None


def test_workbench_that_shows_scenes(tmp_path):
    there = {'CARET7DIR': str(tmp_path), 'PATH': '/usr/bin:/bin'}
    program(tmp_path / 'wb_command', '[ "$*" = -show-scene ] && echo "OFFSCREEN RENDERING"')
    assert hcptools.shows_scenes(there)
    program(tmp_path / 'wb_command', 'exit 255')
    assert not hcptools.shows_scenes(there)
    assert not hcptools.shows_scenes({'CARET7DIR': str(tmp_path / 'none')})


def test_syntax_error(tmp_path, monkeypatch):
    ran = tmp_path / 'ran'
    good = file(tmp_path / 'good.sh', f'touch {ran}\ncase $1 in +(a|b)) echo;; esac\n')
    bad = file(tmp_path / 'bad.sh', f'touch {ran}\nif [[ "$1" == *@*]]\nthen :\nfi\n')
    searched_in = {'PATH': '/usr/bin:/bin'}
    assert hcptools.syntax_error(good, searched_in) is None
    said = 'line 2: syntax error in conditional expression'
    assert hcptools.syntax_error(bad, searched_in) == said
    assert hcptools.syntax_error(bad, {'PATH': str(tmp_path)}) is None
    assert not ran.exists()
    monkeypatch.setattr(hcptools, '_PATIENCE', 0.2)
    program(tmp_path / 'bash', 'exec /bin/sleep 30')
    assert hcptools.syntax_error(bad, {'PATH': str(tmp_path)}) is None


def test_programs_see_only_the_environment_that_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv('LEAK', 'x')
    seen = program(tmp_path / 'seen', 'echo "[$1] [$LEAK]"')
    assert hcptools.version_of(str(seen), '$(id)', {'PATH': '/bin'}) == '[$(id)] []'


@pytest.mark.parametrize(
    ('name', 'text', 'version'),
    [
        ('global/scripts/versioning/base.txt', 'v5.0.0\n', '5.0.0'),
        ('version.txt', 'v4.3.0\n', '4.3.0'),
        ('version.txt', '\n', None),
        ('README', 'v9', None),
    ],
)
def test_hcp_version(tmp_path, name, text, version):
    file(tmp_path / name, text)
    assert hcptools.hcp_version(tmp_path) == version


def test_generation_of_the_parser(tmp_path):
    scripts = ('PreFreeSurfer/PreFreeSurferPipeline.sh',)
    scripts += ('fMRIVolume/GenericfMRIVolumeProcessingPipeline.sh',)
    for script in scripts:
        assert not hcptools.newer_parser(tmp_path)
        file(tmp_path / script, 'source "$HCPPIPEDIR/global/scripts/newopts.shlib" "$@"\n')
    assert hcptools.newer_parser(tmp_path)
    file(tmp_path / scripts[0], 'opts_GetOpt1 "--path" "$@"\n')
    assert not hcptools.newer_parser(tmp_path)


def test_missing_modules(tmp_path):
    import sys

    found = hcptools.missing_modules(sys.executable, ['json', 'no_such_module'], os.environ)
    assert found == ['no_such_module']
    broken = program(tmp_path / 'python3', 'exit 3')
    assert hcptools.missing_modules(str(broken), ['json'], {}) == ['json']
    assert hcptools.missing_modules(str(tmp_path / 'none'), ['json'], {}) == ['json']


@pytest.mark.skipif('HCPPIPEDIR' not in os.environ, reason='HCPPIPEDIR names no checkout')
def test_a_real_checkout():
    checkout = Path(os.environ['HCPPIPEDIR'])
    assert hcptools.newer_parser(checkout)
    assert hcptools.bare_version(hcptools.hcp_version(checkout) or '') >= (4, 8)
    assert re.fullmatch(r'R20\d\d[ab]', hcptools.runtime_release(checkout) or '')
    made = hcptools.hcp_environment(checkout, environment={'PATH': '/bin'})
    for name, value in made.items():
        if name in ('HCPPIPEDIR_tfMRI', 'HCPPIPEDIR_tfMRIAnalysis') or value == '/bin':
            continue
        if name.startswith('HCPPIPEDIR') or name in ('MSMCONFIGDIR', 'HCPCIFTIRWDIR'):
            assert Path(value).is_dir(), name
