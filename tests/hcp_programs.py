"""A stand-in for the HCP pipelines and the programs that they call.

The scripts take the options of release 5.0.0, refuse what that refuses, look for the files that
they build on, and leave the files that they would leave, with small contents. Time series and
surfaces are those of the synthetic study, so that the first level has something to find.

How they behave is said by environment variables, or by `HcpPrograms.behave`, for where the
environment does not reach them:

``KETBIDS_TEST_LOG``
    File to which each call adds a line of JSON (default: ``calls.jsonl`` in the folder).
``KETBIDS_TEST_KILL=STAGE[:N[:MODE]]``
    The N-th call of a stage (or of a script, by its file name) in the log, or else the first, is
    killed half way: half of the files are written, one of them in part. MODE ``script``: the
    script; ``ketbids``: also the leader of the process group that started it; ``orphan``: only
    that leader, while the script goes on and finishes.
``KETBIDS_TEST_FAIL=STAGE[:KIND]``
    A stage fails with what programs say for want of a ``licence``, ``disk`` or ``memory``, or
    ``generic``.
``KETBIDS_TEST_SLEEP=SECONDS``
    How long each call takes before it writes.
"""

import json
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from ketbids.io.cifti import read_series, write_maps, write_series
from tests.hcp_options import SCRIPTS
from tests.hcp_stages import expand
from tests.interfaces.files import BrainFiles, write_movement

STUB = Path(__file__).with_name('hcp_stub.py')
#: Scripts that do not read their options by newopts.shlib.
POSITIONAL = ('ICAFIX/hcp_fix',)
#: Files of the checkout that are looked for or handed to scripts.
CHECKOUT = """
global/scripts/{log,processingmodecheck,fsl_version,parallel,finish_hcpsetup}.shlib
global/config/{b02b0.cnf,T1_2_MNI152_2mm.cnf,FreeSurferAllLut.txt}
global/config/FreeSurferSubcorticalLabelTableLut.txt
global/templates/MNI152_T1_{0.7,0.8,1}mm{,_brain,_brain_mask}.nii.gz
global/templates/MNI152_T1_2mm{,_brain_mask_dil}.nii.gz
global/templates/MNI152_T2_{0.7,0.8,1}mm{,_brain}.nii.gz global/templates/MNI152_T2_2mm.nii.gz
global/templates/91282_Greyordinates/91282_Greyordinates.dscalar.nii
global/templates/91282_Greyordinates/{Atlas_ROIs.2.nii.gz,{L,R}.atlasroi.32k_fs_LR.shape.gii}
global/templates/standard_mesh_atlases/{Atlas_ROIs.2,Avgwmparc}.nii.gz
global/templates/standard_mesh_atlases/Conte69.MyelinMap_BC.164k_fs_LR.dscalar.nii
global/templates/standard_mesh_atlases/{L,R}.sphere.{164,32}k_fs_LR.surf.gii
global/templates/standard_mesh_atlases/{L,R}.{atlasroi,refsulc}.164k_fs_LR.shape.gii
global/templates/MSMAll/DeDriftingGroup.{L,R}.sphere.DeDriftMSMAll.164k_fs_LR.surf.gii
global/templates/MSMAll/Q1-Q6_RelatedParcellation210.atlas_Topography.32k_fs_LR.dscalar.nii
global/templates/MSMAll/Q1-Q6_RelatedParcellation210.atlas_Topographic_ROIs.32k_fs_LR.dscalar.nii
global/templates/StructuralQC/TEMPLATE_structuralQC.scene
global/templates/fMRIQC/TEMPLATE_fMRIQC.scene
global/matlab/cifti-matlab/ciftiopen.m
MSMConfig/{MSMSulcStrainFinalconf,MSMAllStrainFinalconf1to1_1to3_1,MSMAllStrainFinalconf1to1_1to3_2}
ICAFIX/PostFixScenes/ICA_Classification_{Dual,Single}ScreenTemplate.scene
"""
MYELIN = (
    'global/templates/MSMAll/Q1-Q6_RelatedParcellation210.'
    'MyelinMap_BC_MSMAll_2_d41_WRN_DeDrift.32k_fs_LR.dscalar.nii'
)
EXECUTABLE = """
show_version FreeSurfer/custom/{recon-all.v6.hires,conf2hires,longmc}
ICAFIX/scripts/Compiled_{fix_3_clean,prepareICAs}/run_{fix_3_clean,prepareICAs}.sh
"""
FSL = """
{fslmaths,fslstats,fslval,fslnvols,fslmerge,fslroi,fslsplit,fslhd,fslinfo,fslreorient2std}
{fslorient,fslcpgeom,fslswapdim,imtest,imcp,immv,imrm,imln,imglob,remove_ext,flirt,fnirt}
{applywarp,convertwarp,invwarp,convert_xfm,topup,applytopup,fugue,bet,mcflirt,epi_reg,avscale}
{fsl_anat,fsl_prepare_fieldmap,susan,melodic,makerot,fslpython,fix,convert_fix_model,Text2Vest,film_gls}
{feat_model,aff2rigid,slicer,fast,gradient_unwarp.py}
"""
FREESURFER = """
{recon-all,tkregister,tkregister2,mri_concatenate_lta,mri_surf2surf,mri_convert,mri_info}
{mri_vol2surf,mri_surfcluster,mris_convert,mri_em_register,mris_make_surfaces,bbregister}
{lta_convert,mri_binarize}
"""


@dataclass(frozen=True)
class HcpPrograms:
    """Where everything is.

    Attributes
    ----------
    folder : Path
    hcp_dir : Path
        The checkout.
    environment : dict
        Variables to be set beside those of the machine; ``PATH`` is what goes before its own.
    licence : Path
        Licence of FreeSurfer.
    fix_dir : Path
        The older FIX, for FSL_FIXDIR; not in `environment`.
    """

    folder: Path
    hcp_dir: Path
    environment: dict
    licence: Path
    fix_dir: Path

    @property
    def log(self):
        """What has been called."""
        return Path(self.environment['KETBIDS_TEST_LOG'])

    def calls(self, stage=None):
        """Give the calls so far, as dictionaries; of one stage, if one is named."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        found = [json.loads(line) for line in lines]
        return [call for call in found if stage in (None, call['stage'])]

    def behave(self, **settings):
        """Say how to behave from now on: ``kill``, ``fail``, ``sleep``; None: as usual."""
        folder = self.folder / 'behaviour'
        folder.mkdir(exist_ok=True)
        for name, value in settings.items():
            path = folder / f'KETBIDS_TEST_{name.upper()}'
            path.unlink(missing_ok=True)
            if value is not None:
                path.write_text(str(value))


def _program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _write_checkout(root, folder):
    for name in (*expand(CHECKOUT), MYELIN, MYELIN.replace('32k', '164k')):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f'{name}\n')
    for name in expand(EXECUTABLE):
        _program(root / name, '#!/bin/sh\necho v5.0.0\n')
    versions = root / 'global/scripts/versioning'
    versions.mkdir(parents=True)
    for name in ('base.txt', 'release.txt'):
        (versions / name).write_text('v5.0.0\n')
    # Declared as in the real scripts, where ketbids looks it up; read by the stand-in.
    words = ('opts_AddMandatory', 'opts_AddOptional', 'log_Check_Env_Var')
    for name in ('newopts', 'debug'):
        library = root / f'global/scripts/{name}.shlib'
        library.write_text(''.join(f'{word}() {{ :; }}\n' for word in words))
    for script in SCRIPTS:
        _program(root / script, _script_text(script, folder))


def _script_text(script, folder):
    _, variables, mandatory, others, older = SCRIPTS[script]
    library = 'debug' if script in POSITIONAL else 'newopts'
    lines = ['#!/bin/bash', f'source "$HCPPIPEDIR/global/scripts/{library}.shlib" "$@"']
    for kind, flags in (('Mandatory', mandatory), ('Optional', others)):
        for flag in flags.split():
            old = [pair.partition('=')[0] for pair in older.split() if pair.endswith(f'={flag}')]
            text = ["'value'", "'value'", "'what it is'", *(["''"] if kind == 'Optional' else [])]
            words = [f"'{flag}'", *text, *(f"'{name}'" for name in old)]
            lines.append(f'opts_Add{kind} {" ".join(words)}')
    lines += [f'log_Check_Env_Var {name}' for name in variables.split()]
    stub = f"'{sys.executable}' -I -S '{STUB}' '{folder}' '{script}'"
    return '\n'.join([*lines, f'exec {stub} "$@"', ''])


def _write_tools(root):
    """Write the trees of the other programs; give their variables."""
    said = '#!/bin/sh\nexit 0\n'
    for name in expand(FSL):
        # Those of the second folder are wrappers; it alone is on the PATH since 6.0.6.
        for folder in ('fsl/bin', 'fsl/share/fsl/bin'):
            _program(root / folder / name, said)
    (root / 'fsl/etc').mkdir()
    (root / 'fsl/etc/fslversion').write_text('6.0.7.1\n')
    home = root / 'freesurfer'
    for name in expand(FREESURFER):
        _program(home / 'bin' / name, said)
    (home / 'build-stamp.txt').write_text(
        'freesurfer-Linux-centos6_x86_64-stable-pub-v6.0.1-f53a55a\n'
    )
    (home / 'SetUpFreeSurfer.sh').write_text('# nothing to set up\n')
    (home / 'subjects/fsaverage/surf').mkdir(parents=True)
    for side in ('lh', 'rh'):
        (home / f'subjects/{side}.EC_average').mkdir()
        (home / f'subjects/fsaverage/surf/{side}.sphere').write_text('sphere\n')
    licence = root / 'license.txt'
    licence.write_text('someone@example.org\n12345\n *Aaaaaaaaaaaa\n FSbbbbbbbbbbb\n')
    real = shutil.which('wb_command')
    does = f'exec \'{real}\' "$@"' if real else 'exit 1'
    shown = 'Connectome Workbench\\nType: Command Line Application\\nVersion: 1.5.0\\n'
    _program(
        root / 'workbench/wb_command',
        f'#!/bin/sh\n[ "$1" = -version ] && printf "{shown}" && exit 0\n'
        f'[ "$*" = -show-scene ] && exit 0\n{does}\n',
    )
    _program(root / 'msm/msm', said)
    (root / 'runtime/v913/bin/glnxa64').mkdir(parents=True)
    old = root / 'fix'
    _program(old / 'fix', said)
    (old / 'fixversion').write_text('1.06.15\n')
    (old / 'settings.sh').write_text('FSL_FIX_MATLAB_MODE=0\n')
    (old / 'training_files').mkdir()
    for name in ('HCP_hp2000', 'HCP_Style_Single_Multirun_Dedrift'):
        (old / f'training_files/{name}.RData').write_text('weights\n')
    # Without the real wb_command, ketbids itself must not find one.
    # Few machines have tcsh and bc; the scripts of the HCP pipelines need them.
    for name in ('tcsh', 'bc'):
        _program(root / 'system' / name, said)
    paths = [root / 'fsl/bin', home / 'bin', root / 'system']
    paths += [root / 'workbench'] if real else []
    return {
        'FSLDIR': str(root / 'fsl'),
        'FSL_DIR': str(root / 'fsl'),
        'FREESURFER_HOME': str(home),
        'FS_LICENSE': str(licence),
        'CARET7DIR': str(root / 'workbench'),
        'MSMBINDIR': str(root / 'msm'),
        'MATLAB_COMPILER_RUNTIME': str(root / 'runtime/v913'),
        'PATH': ':'.join(map(str, paths)),
    }


def _write_index(folder, sessions, mesh):
    index = {'mesh': mesh, 'sessions': sessions}
    (folder / 'index.json').write_text(json.dumps(index, default=str))


def _artefact(series, path):
    """Write a series as before cleaning: with drift, flicker, and a few volumes off."""
    n = len(series.data)
    course = 150 * np.linspace(-1, 1, n) + 80 * (-1.0) ** np.arange(n)
    course[n // 3 :: max(n // 5, 1)] += 500
    data = (series.data + course[:, None]).astype(np.float32)
    return write_series(path, data, series.models, series.repetition_time)


def _write_metric(path, n_vertices):
    """Write ones on a mesh."""
    ones = nib.gifti.GiftiDataArray(np.ones(n_vertices, np.float32), intent=0)
    nib.save(nib.GiftiImage(darrays=[ones]), path)
    return path


def _prepare_small(folder, volumes):
    """A brain of few grayordinates, with noise."""
    brain = BrainFiles(folder)
    clean = Path(brain.series('clean', brain.noise(volumes)))
    surfaces = brain.pair()
    n_vertices = next(iter(brain.models.n_vertices.values()))
    source = {
        'clean': clean.name,
        'dense': _artefact(read_series(clean), folder / 'dense.dtseries.nii').name,
        'movement': Path(write_movement(folder / 'movement.txt', volumes)).name,
        'metric': _write_metric(folder / 'metric.gii', n_vertices).name,
        'scalar': Path(brain.map('scalar', 1.0)).name,
        'label': Path(brain.labels('label', np.ones(len(brain.models)), {1: 'region'})).name,
    }
    for side, path in zip('LR', surfaces, strict=True):
        source |= dict.fromkeys((f'{side}.midthickness', f'{side}.inflated'), Path(path).name)
    _write_index(folder, {'other': source}, f'{round(n_vertices / 1000)}k')


def _prepare_demo(folder, tree, visits):
    """Visits of the synthetic study."""
    sessions = {}
    for label, session in visits:
        name = f'sub-{label}_ses-{session}'
        series = read_series(tree.series(label, session))
        n_vertices = next(iter(series.models.n_vertices.values()))
        source = {
            'clean': tree.series(label, session),
            'dense': _artefact(series, folder / f'{name}.dtseries.nii'),
            'movement': tree.movement(label, session),
            'metric': _write_metric(folder / 'metric.gii', n_vertices),
            'scalar': folder / 'scalar.dscalar.nii',
            'label': tree.labels(label, session),
        }
        for side in 'LR':
            for kind in ('midthickness', 'inflated'):
                source[f'{side}.{kind}'] = tree.surface(label, session, side, kind)
        sessions[name] = source
        sessions.setdefault('other', source)
        if not source['scalar'].exists():
            write_maps(source['scalar'], {'map': series.data[0]}, series.models)
    _write_index(folder, sessions, tree.mesh)


def write_hcp_programs(folder, *, demo=None, visits=(('01', 'TP1'),), volumes=300):
    """Write the stand-ins.

    Parameters
    ----------
    folder : Path
        Is made.
    demo : ketbids.demo.tree.Tree, optional
        The synthetic study: the session ``sub-<label>_ses-<session>`` gets the surfaces and the
        cleaned series of that visit, whose events are ``demo.events(label, session)``; another
        session gets those of the first visit. Without it, series are noise on a small brain.
    visits : sequence of (str, str)
        Labels and sessions of the study that are wanted.
    volumes : int
        Length of the noise. Series are cut to the length of the raw run, or repeated.

    Returns
    -------
    HcpPrograms
    """
    folder = Path(folder)
    (folder / 'prepared').mkdir(parents=True)
    if demo is None:
        _prepare_small(folder / 'prepared', volumes)
    else:
        _prepare_demo(folder / 'prepared', demo, visits)
    hcp_dir = folder / 'HCPpipelines'
    _write_checkout(hcp_dir, folder)
    environment = _write_tools(folder)
    environment['HCPPIPEDIR'] = str(hcp_dir)
    environment['KETBIDS_TEST_LOG'] = str(folder / 'calls.jsonl')
    return HcpPrograms(folder, hcp_dir, environment, folder / 'license.txt', folder / 'fix')
