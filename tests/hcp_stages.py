"""What each script of the HCP pipelines needs of the study folder, and leaves there."""

import re
from pathlib import Path

from tests.hcp_options import SCRIPTS, RefusedError

COMPONENTS, NOISE = 5, (2, 4, 5)
KINDS = 'midthickness,inflated,very_inflated,white,pial'


def expand(pattern):
    """Spell out the braces of ``a{b,c}``; several patterns may stand apart by blanks."""
    if ' ' in pattern or '\n' in pattern:
        return [name for part in pattern.split() for name in expand(part)]
    found = re.search(r'\{([^{}]*)\}', pattern)
    if not found:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    names = [name for part in found[1].split(',') for name in expand(before + part + after)]
    return list(dict.fromkeys(names))


def _listed(options, name, separator='@'):
    """Give what a list holds; neither NONE nor an empty one holds anything."""
    return [part for part in options.get(name, '').split(separator) if part not in ('', 'NONE')]


class Stage:
    """One call: what it needs, what it leaves.

    Attributes
    ----------
    o : dict
        Options by their names.
    needs : list of Path
    outputs : list of (Path, str)
        In the order of writing, each with its kind.
    """

    def __init__(self, script, options):
        self.o, self.script = options, script
        self.needs, self.outputs, self.removed, self.hands = [], [], [], {}
        study = options.get('study-folder') or options.get('studyfolder') or options.get('path')
        self.session = options.get('session') or options.get('subject')
        if study and self.session:
            self.top = Path(study) / self.session
        getattr(self, '_' + SCRIPTS[script][0].lower())()

    @property
    def atlas(self):
        return self.top / 'MNINonLinear'

    def results(self, run):
        return self.atlas / 'Results' / run

    def _need(self, *paths):
        self.needs += [
            Path(path) for text in paths for path in expand(str(text)) if path not in ('', 'NONE')
        ]

    def _make(self, kind, folder, pattern):
        self.outputs += [(Path(folder) / name, kind) for name in expand(pattern)]

    def _one_of(self, name, values, default=None):
        value = self.o.get(name, default)
        if value not in values:
            raise RefusedError(1, f'ERROR: --{name}={value} is none of {" ".join(values)}')
        return value

    def _need_field_map(self, method):
        wanted = {
            'TOPUP': 'SEPhaseNeg SEPhasePos topupconfig',
            'SiemensFieldMap': 'fmapmag fmapphase echodiff',
            'FIELDMAP': 'fmapmag fmapphase echodiff',
        }.get(method, '')
        missing = [name for name in wanted.split() if self.o.get(name, 'NONE') in ('', 'NONE')]
        if missing:
            raise RefusedError(1, f'ERROR: --{missing[0]} must be specified with {method}')
        for name in wanted.split():
            if name != 'echodiff':
                self._need(*self.o[name].split('@'))

    def _prefreesurfer(self):
        o, top = self.o, self.top
        t2w = o['t2'] != 'NONE'
        mode = self._one_of('processing-mode', ('HCPStyleData', 'LegacyStyleData'), 'HCPStyleData')
        if not t2w and mode == 'HCPStyleData':
            raise RefusedError(1, 'ERROR: --t2=NONE needs --processing-mode=LegacyStyleData')
        self._one_of('avgrdcmethod', ('NONE', 'TOPUP', 'SiemensFieldMap', 'FIELDMAP'))
        self._need_field_map(o['avgrdcmethod'])
        self._need(*o['t1'].split('@'), *o['t2'].split('@'), o['gdcoeffs'], o['fnirtconfig'])
        names = 't1template t1templatebrain t1template2mm templatemask template2mmmask'
        others = ' t2template t2templatebrain t2template2mm' if t2w else ''
        self._need(*(o[name] for name in (names + others).split()))
        both = '{T1w,T2w}' if t2w else 'T1w'
        dc = '_acpc_dc{,_brain,_restore,_restore_brain}.nii.gz'
        self._make('volume', top / 'T1w', f'T1w{{,_acpc{{,_brain,_brain_mask}}}}.nii.gz T1w{dc}')
        if t2w:
            self._make('volume', top / 'T2w', 'T2w{,_acpc,_acpc_brain}.nii.gz')
            self._make('matrix', top / 'T2w/xfms', 'acpc.mat')
            self._make('volume', top / 'T1w', f'T2w{dc} xfms/T2w_reg_dc.nii.gz')
        self._make('volume', top / 'T1w', 'BiasField_acpc_dc.nii.gz')
        self._make('matrix', top / 'T1w/xfms', 'acpc.mat')
        self._make('volume', top / 'T1w/xfms', 'T1w_dc.nii.gz')
        self._make('volume', self.atlas / 'xfms', '{acpc_dc2standard,standard2acpc_dc}.nii.gz')
        self._make('volume', self.atlas / 'xfms', 'NonlinearRegJacobians.nii.gz')
        self._make('volume', self.atlas, f'{both}{{,_restore,_restore_brain}}.nii.gz')

    def _freesurfer(self):
        o = self.o
        folder = Path(o.get('session-dir', ''))
        subject = folder / o['session']
        t2w = o.get('t2w-image') or 'NONE'
        if t2w == 'NONE' and o.get('processing-mode') != 'LegacyStyleData':
            raise RefusedError(1, 'ERROR: no T2w image needs --processing-mode=LegacyStyleData')
        if (folder / 'xfms/OrigT1w2T1w.nii.gz').exists():
            raise RefusedError(1, 'ERROR: PostFreeSurfer has already been run: OrigT1w2T1w exists')
        if subject.exists():
            raise RefusedError(
                1, f'ERROR: re-run of an existing subject with new input: {subject}'
            )
        if not (o.get('session-dir') and o.get('t1w-image') and o.get('t1w-brain')):
            raise RefusedError(1, 'ERROR: --session-dir, --t1w-image and --t1w-brain are required')
        self._need(o['t1w-image'], o['t1w-brain'], t2w)
        sides = '{lh,rh}'
        self._make('subject', folder, 'fsaverage {lh,rh}.EC_average')
        self._make('text', subject, 'scripts/recon-all.log')
        mri = 'rawavg,orig,nu,T1,brainmask,norm,brain,brain.finalsurfs,wm,aseg,aparc+aseg,'
        mri += 'aparc.a2009s+aseg,wmparc,ribbon,lh.ribbon,rh.ribbon'
        self._make('volume', subject / 'mri', f'{{{mri}}}.mgz')
        self._make('volume', subject / 'mri', 'T1w_hires.nii.gz')
        if t2w != 'NONE':
            self._make('volume', subject / 'mri', '{T2w,T1wMulT2w}_hires.nii.gz')
        self._make('matrix', subject / 'mri/transforms', 'talairach.xfm T2wtoT1w.mat eye.dat')
        surf = 'white,white.deformed,pial,sphere,sphere.reg,inflated,curv,sulc,thickness'
        self._make('text', subject / 'surf', f'{sides}.{{{surf}}}')
        labels = 'aparc.annot,aparc.a2009s.annot,cortex.label'
        self._make('text', subject / 'label', f'{sides}.{{{labels}}}')
        self._make('text', subject / 'stats', f'aseg.stats {sides}.aparc.stats')
        self._make('text', subject, 'scripts/recon-all.done')

    def _postfreesurfer(self):
        o, top, s = self.o, self.top, self.session
        low, high = o.get('lowresmesh', '').split('@'), o.get('hiresmesh', '164')
        t2w = (top / 'T1w/T2w_acpc_dc_restore.nii.gz').exists()
        if not t2w and o.get('processing-mode') != 'LegacyStyleData':
            raise RefusedError(1, 'ERROR: no T2w image needs --processing-mode=LegacyStyleData')
        self._need(o['subcortgraylabels'], o['freesurferlabels'], o['refmyelinmaps'])
        self._need(o['surfatlasdir'], o['grayordinatesdir'])
        self._need(top / 'T1w/{T1w_acpc_dc,T1w_acpc_dc_restore,T1w_acpc_dc_restore_brain}.nii.gz')
        self._need(self.atlas / 'xfms/{acpc_dc2standard,standard2acpc_dc}.nii.gz')
        freesurfer = top / 'T1w' / s
        self._need(freesurfer / 'mri/{wmparc.mgz,aparc+aseg.mgz,ribbon.mgz,transforms/eye.dat}')
        self._need(freesurfer / 'surf/{lh,rh}.{white,pial,sphere.reg,thickness}')
        self._need(freesurfer / 'scripts/recon-all.done')
        grid = float(o.get('grayordinatesres', 2))
        names = 'wmparc,aparc+aseg,aparc.a2009s+aseg,brainmask_fs,ribbon'
        self._make('mask', top / 'T1w', f'{{{names}}}.nii.gz')
        self._make('mask', self.atlas, f'{{{names}}}.nii.gz')
        rois = f'{{Atlas_ROIs,ROIs,wmparc,Atlas_wmparc}}.{grid:g}.nii.gz'
        self._make('mask', self.atlas / 'ROIs', rois)
        both = '{T1w,T2w}' if t2w else 'T1w'
        # One interpolation instead of two: what PreFreeSurfer wrote is replaced.
        self._make('again', top / 'T1w', f'{both}_acpc_dc{{,_restore,_restore_brain}}.nii.gz')
        self._make('again', self.atlas, f'{both}{{,_restore,_restore_brain}}.nii.gz')
        self._make('volume', self.atlas, 'BiasField.nii.gz')
        self._make('volume', top / 'T1w/xfms', 'OrigT1w2T1w.nii.gz')
        if t2w:
            self._make('volume', top / 'T1w/xfms', 'OrigT2w2T1w.nii.gz')
        native, spheres = self.atlas / 'Native', 'sphere,sphere.reg.reg_LR,sphere.MSMSulc'
        self._surfaces(native, 'native', f'{KINDS},{spheres}')
        self._surfaces(top / 'T1w/Native', 'native', KINDS)
        metrics = 'roi,sulc,thickness,atlasroi'
        self._make('metric', native, f'{s}.{{L,R}}.{{{metrics}}}.native.shape.gii')
        maps = 'sulc,curvature,thickness'
        if t2w:
            maps += ',{,Smoothed}MyelinMap{,_BC}'
        self._make('scalar', native, f'{s}.{{{maps}}}.native.dscalar.nii')
        self._meshes(low, high, '', '{FS,MSMSulc}', myelin=t2w)
        qc = f'StructuralQC/{s}.structuralQC.wb_scene'
        if o.get('structural-qc', 'yes') != 'no':
            self._make('text', self.atlas, qc)

    def _surfaces(self, folder, mesh, kinds, registration=''):
        for name in expand(f'{{{kinds}}}'):
            file = f'{self.session}.{{L,R}}.{name}{registration}.{mesh}.surf.gii'
            self._make(f'surface {name}', folder, file)

    def _meshes(self, low, high, registration, strain, *, myelin):
        s, kinds = self.session, KINDS
        for mesh in (*low, high):
            name = f'{mesh}k_fs_LR'
            folder = self.atlas / f'fsaverage_LR{mesh}k' if mesh != high else self.atlas
            self._surfaces(folder, name, kinds, registration)
            if not registration:
                self._surfaces(folder, name, 'sphere,flat')
                self._make('metric', folder, f'{s}.{{L,R}}.atlasroi.{name}.shape.gii')
            maps = 'sulc,curvature,thickness,corrThickness'
            if myelin:
                # Up to 5.0.0 the others are not resampled.
                maps += f',{{,Smoothed}}MyelinMap{"_BC" if registration else "{,_BC}"}'
            named = f'{{{maps}}}{registration}'
            distortions = f'{{ArealDistortion,EdgeDistortion,StrainJ,StrainR}}_{strain}'
            self._make('scalar', folder, f'{s}.{named}.{name}.dscalar.nii')
            self._make('scalar', folder, f'{s}.{distortions}.{name}.dscalar.nii')
            labels = f'{s}.{{aparc,aparc.a2009s}}{registration}.{name}.dlabel.nii'
            self._make('label', folder, labels)
            self._make('text', folder, f'{s}{registration.replace("_", ".")}.{name}.wb.spec')
            if mesh != high:
                native = self.top / 'T1w' / f'fsaverage_LR{mesh}k'
                self._surfaces(native, name, kinds, registration)
                areas = f'{s}.midthickness{registration}_va{{,_norm}}.{name}.dscalar.nii'
                self._make('scalar', native, areas)

    def _fmrivolume(self):
        o, top, run = self.o, self.top, self.o['fmriname']
        method = self._one_of('dcmethod', ('TOPUP', 'SiemensFieldMap', 'FIELDMAP', 'NONE'))
        bias = self._one_of('biascorrection', ('NONE', 'LEGACY', 'SEBASED'))
        mode = o.get('processing-mode', 'HCPStyleData')
        if method == 'NONE' and mode == 'HCPStyleData':
            raise RefusedError(1, 'ERROR: --dcmethod=NONE needs --processing-mode=LegacyStyleData')
        if bias == 'SEBASED' and method != 'TOPUP':
            raise RefusedError(1, 'ERROR: --biascorrection=SEBASED is only available with TOPUP')
        self._one_of('mctype', ('MCFLIRT', 'FLIRT'), 'MCFLIRT')
        self._need_field_map(method)
        if method != 'NONE':
            for name in ('echospacing', 'unwarpdir'):
                if not o.get(name):
                    raise RefusedError(1, f'ERROR: --{name} must be specified with {method}')
        self._need(o['fmritcs'], o.get('fmriscout', 'NONE'), o['gdcoeffs'])
        acpc = 'T1w_acpc_dc,T1w_acpc_dc_restore,T1w_acpc_dc_restore_brain'
        self._need(top / f'T1w/{{{acpc},brainmask_fs,wmparc,ribbon}}.nii.gz')
        freesurfer = top / 'T1w' / self.session
        self._need(freesurfer / '{surf/{lh,rh}.white.deformed,mri/transforms/eye.dat}')
        self._need(self.atlas / 'xfms/acpc_dc2standard.nii.gz')
        self._need(self.atlas / '{T1w_restore,wmparc,brainmask_fs,BiasField}.nii.gz')
        results = self.results(run)
        grid = float(o['fmrires'])
        self._make('text', top / run, 'MotionMatrices/MAT_0000')
        self._make('matrix', top / run, 'fMRI2str.mat')
        self._make('series', top / run, f'{run}_orig.nii.gz {run}_nonlin_norm.nii.gz')
        self._make('volume', top / 'T1w/xfms', f'{run}2str.nii.gz')
        self._make('volume', self.atlas / 'xfms', f'{{{run}2standard,standard2{run}}}.nii.gz')
        self._make('mask', results, f'brainmask_fs.{grid:g}.nii.gz')
        self._make('mask', results, f'{run}_{{fovmask,finalmask}}.nii.gz')
        self._make('text', results, f'{run}_finalmask.stats.txt')
        self._make('volume', results, f'{run}_{{SBRef,SBRef_nomask,Jacobian}}.nii.gz')
        if method == 'TOPUP':
            self._make('volume', results, f'{run}_{{PhaseOne,PhaseTwo}}_gdc_dc.nii.gz')
        if bias == 'SEBASED':
            names = 'sebased_{bias,reference},dropouts,pseudo_transmit_{raw,field}'
            self._make('volume', results, f'{run}_{{{names}}}.nii.gz')
        self._make('movement', results, 'Movement_Regressors{,_dt}.txt')
        self._make('rms', results, 'Movement_{Relative,Absolute}RMS.txt')
        self._make('mean', results, 'Movement_{Relative,Absolute}RMS_mean.txt')
        self._make('series', results, f'{run}.nii.gz')

    def _fmrisurface(self):
        o, s, run = self.o, self.session, self.o['fmriname']
        results, mesh, low = self.results(run), f'{o["lowresmesh"]}k_fs_LR', o['lowresmesh']
        registration = o.get('regname', 'MSMSulc')
        grid, kernel = float(o['grayordinatesres']), float(o['smoothingFWHM'])
        self._need(results / f'{run}{{,_SBRef,_finalmask,_Jacobian}}.nii.gz')
        kinds = f'{{white,pial,midthickness,sphere.{registration}}}'
        native = f'Native/{s}.{{L,R}}.{kinds}.native.surf.gii'
        self._need(self.atlas / native, self.atlas / f'ROIs/Atlas_ROIs.{grid:g}.nii.gz')
        folder = self.atlas / f'fsaverage_LR{low}k'
        self._need(folder / f'{s}.{{L,R}}.{{midthickness.{mesh}.surf,atlasroi.{mesh}.shape}}.gii')
        ribbon = results / 'RibbonVolumeToSurfaceMapping'
        self._make('mask', ribbon, '{goodvoxels,ribbon_only,mask}.nii.gz')
        self._make('volume', ribbon, '{mean,std,cov,cov_norm_modulate_ribbon}.nii.gz')
        metrics = f'{{L,R}}.{{cov,mean,goodvoxels}}{{,_all}}.{{native,{mesh}}}.func.gii'
        self._make('metric', ribbon, metrics)
        self._make('metric', results, f'{run}.{{L,R}}.native.func.gii')
        self._make('metric', results, f'{run}_s{kernel:g}.atlasroi.{{L,R}}.{mesh}.func.gii')
        self._make('series', results, f'{run}_AtlasSubcortical_s{kernel:g}.nii.gz')
        self._make('scalar', results, f'{run}_Atlas_mean.dscalar.nii')
        self._make('text', results, f'{run}_Atlas_nonzero.stats.txt')
        if o.get('fmri-qc', 'YES') != 'NO':
            scene = f'{s}_{run}.fMRIQC.wb_scene'
            self._make('text', results / 'fMRIQC', scene)
            self._make('picture', results / 'fMRIQC/snapshots', f'{scene}{{1,2}}.png')
        self._make('dense', results, f'{run}_Atlas.dtseries.nii')

    def _need_for_fix(self, stem):
        """Require what FIX takes of a run; `stem` is its volume without extension."""
        self._need(f'{stem}{{.nii.gz,_SBRef.nii.gz,_Atlas.dtseries.nii}}')
        self._need(stem.parent / 'Movement_Regressors.txt')
        self._need(stem.parents[2] / '{T1w_restore_brain,wmparc,brainmask_fs,T1w}.nii.gz')

    def _components(self, ica, training, threshold):
        melodic = 'filtered_func_data.ica/'
        self._make('components', ica, melodic + 'melodic_oIC.nii.gz')
        self._make('mixing', ica, melodic + 'melodic_{mix,FTmix}')
        self._make('shares', ica, melodic + 'melodic_ICstats')
        self._make('mask', ica, melodic + 'mask.nii.gz')
        self._make('movement', ica, 'mc/prefiltered_func_data_mcf.par')
        self._make('text', ica, 'fix/logMatlab.txt')
        name = Path(training).name.removesuffix('.RData').removesuffix('.pyfix_model')
        self._make('classes', ica, f'fix4melview_{name}_thr{threshold}.txt')
        self._make('noise', ica, '.fix')

    def _cleaned(self, results, run, hp, volume):
        self._make('clean series', results, f'{run}_{hp}_clean.nii.gz')
        self._make('volume', results, f'{run}_{volume}.nii.gz')
        self._make('scalar', results, f'{run}_Atlas_{volume}.dscalar.nii')
        self._make('clean', results, f'{run}_Atlas_{hp}_clean.dtseries.nii')

    def _icafix(self):
        o = self.o
        if self.script == 'ICAFIX/hcp_fix':
            if not re.fullmatch('-?[0-9]+', o['high-pass']) or int(o['high-pass']) == 0:
                raise RefusedError(1, f'ERROR: hp = {o["high-pass"]} not currently supported')
            stem = Path(o['fmri'].removesuffix('.nii.gz')).absolute()
            run, hp = stem.name, f'hp{o["high-pass"]}'
            training = o.get('training', f'HCP_{hp}')
            self.training = training
            self._need_for_fix(stem)
            self._components(stem.parent / f'{run}_{hp}.ica', training, o.get('threshold', '10'))
            self._make('dense', stem.parent, f'{run}_Atlas_{hp}.dtseries.nii')
            return self._cleaned(stem.parent, run, hp, f'{hp}_clean_vn')
        if not re.fullmatch('[0-9]+|pd[0-5]', o['high-pass']):
            raise RefusedError(1, f'ERROR: highpass value of {o["high-pass"]} is not valid')
        hp, concat = f'hp{o["high-pass"]}', Path(o['concat-fmri-name'].removesuffix('.nii.gz'))
        name, folder = concat.name, concat.absolute().parent
        training = o.get('training-file', 'HCP_Style_Single_Multirun_Dedrift')
        self.training = training
        stems = [Path(p.removesuffix('.nii.gz')).absolute() for p in o['fmri-names'].split('@')]
        for stem in stems:
            self._need_for_fix(stem)
        if folder in [stem.parent for stem in stems] or folder.parent.name != 'Results':
            raise RefusedError(1, f'ERROR: {folder} would be removed')
        self.removed.append(folder)
        self._make('text', folder, 'pyfix.log')
        self._components(folder / f'{name}_{hp}.ica', training, o.get('fix-threshold', '10'))
        self._make('movement', folder, 'Movement_Regressors_demean.txt')
        self._make('volume', folder, f'{name}_{{SBRef,{hp}_vn,{hp}_clean_vn}}.nii.gz')
        self._make('scalar', folder, f'{name}_Atlas_{{mean,{hp}_vn,{hp}_clean_vn}}.dscalar.nii')
        self._make('series', folder, f'{name}{{,_{hp}}}.nii.gz')
        self._make('clean series', folder, f'{name}_{hp}_clean.nii.gz')
        self._make('dense', folder, f'{name}_Atlas.dtseries.nii {name}_Atlas_{hp}.dtseries.nii')
        self._make('clean', folder, f'{name}_Atlas_{hp}_clean.dtseries.nii')
        for stem in stems:
            self._make('movement', stem.parent, f'Movement_Regressors_{{{hp}_clean,demean}}.txt')
            self._make('text', stem.parent, f'{stem.name}_dims.txt')
            self._make('scalar', stem.parent, f'{stem.name}_Atlas_mean.dscalar.nii')
            self._cleaned(stem.parent, stem.name, hp, f'{hp}_vn')
        return None

    def _ica(self):
        name, hp = self.o['fmri-name'], f'hp{self.o["high-pass"]}'
        return self.results(name), name, hp, self.results(name) / f'{name}_{hp}.ica'

    def _postfix(self):
        folder, name, hp, ica = self._ica()
        melodic = ica / 'filtered_func_data.ica'
        self._need(melodic / '{melodic_oIC.nii.gz,melodic_mix,melodic_FTmix}', ica / '.fix')
        self._need(folder / f'{name}_{hp}_clean.nii.gz')
        self._need(self.o['template-scene-dual-screen'], self.o['template-scene-single-screen'])
        if self.o['reuse-high-pass'] == 'YES':
            self._need(folder / f'{name}_Atlas_{hp}.dtseries.nii')
        elif self.o['high-pass'].startswith('pd'):
            raise RefusedError(1, 'ERROR: polynomial detrending needs --reuse-high-pass=YES')
        self._make('scalar', melodic, 'melodic_oIC{,_vol}.dscalar.nii')
        self._make('scalar', melodic, 'melodic_{mix,FTmix}.sdseries.nii')
        self._make('signal', ica, 'Signal.txt')
        self._make('noise list', ica, 'Noise.txt')
        self._make('kept', ica, 'ReclassifyAs{Signal,Noise}.txt')
        self._make('linked', folder, 'ReclassifyAs{Signal,Noise}.txt')
        scene = f'{self.session}_{name}_{hp}_ICA_Classification_{{dual,single}}screen.scene'
        self._make('text', folder, scene)

    def _reapplyfix(self):
        o = self.o
        registration = '' if o.get('reg-name', 'NONE') in ('', 'NONE') else f'_{o["reg-name"]}'
        if self.script.endswith('ApplyHandReClassifications.sh'):
            folder, _, _, ica = self._ica()
            self._need(ica / '{Signal.txt,Noise.txt,filtered_func_data.ica/melodic_oIC.nii.gz}')
            for kind in ('signal', 'noise'):
                default = str(folder / f'ReclassifyAs{kind.title()}.txt')
                self.hands[kind] = o.get(f'reclassify-as-{kind}-file') or default
                self._need(self.hands[kind])
            self._make('hand signal', ica, 'HandSignal.txt')
            self._make('hand noise', ica, 'HandNoise.txt')
            self._make('hand labels', ica, 'hand_labels_noise.txt')
            return
        hp = f'hp{o["high-pass"]}'
        several = 'concat-fmri-name' in o
        name = o['concat-fmri-name'] if several else o['fmri-name']
        folder = self.results(name)
        self._need(folder / f'{name}_{hp}.ica/{{.fix,filtered_func_data.ica/melodic_mix}}')
        clean = f'{hp}_{o.get("clean-substring", "clean")}'
        runs = o['fmri-names'].split('@') if several else [name]
        for run in runs:
            self._need(self.results(run) / f'{run}{{.nii.gz,_Atlas{registration}.dtseries.nii}}')
            if not registration:
                self._make('clean series', self.results(run), f'{run}_{clean}.nii.gz')
            dense = f'{run}_Atlas{registration}_{clean}.dtseries.nii'
            self._make('clean', self.results(run), dense)
        if several:
            self._make('clean', folder, f'{name}_Atlas{registration}_{clean}.dtseries.nii')
            self._make('scalar', folder, f'{name}_Atlas{registration}_{clean}_vn.dscalar.nii')
            if not registration:
                self._make('volume', folder, f'{name}_{clean}_vn.nii.gz')
                self._make('clean series', folder, f'{name}_{clean}.nii.gz')

    def _msmall(self):
        o, s = self.o, self.session
        name = o['multirun-fix-concat-name']
        if not (o['fmri-names-list'] or name):
            raise RefusedError(1, 'ERROR: no runs are given')
        self._need(o['msm-all-templates'], o['myelin-target-file'])
        low = f'{o["low-res-mesh"]}k_fs_LR'
        runs = _listed(o, 'fmri-names-list') or _listed(o, 'multirun-fix-names-to-use')
        for run in runs:
            self._need(self.results(run) / f'{run}{o["fmri-proc-string"]}.dtseries.nii')
        if name:
            self._need(self.results(name))
        folder = self.atlas / f'fsaverage_LR{o["low-res-mesh"]}k'
        self._need(folder / f'{s}.MyelinMap.{low}.dscalar.nii')
        sphere = f'{s}.{{L,R}}.sphere.{o["input-registration-name"]}.native.surf.gii'
        self._need(self.atlas / 'Native' / sphere)
        how = f'_2_d{o.get("ica-dim", "40")}_{o.get("method", "WRN")}'
        registration = o['output-registration-name'] + how
        self._surfaces(self.atlas / 'Native', 'native', f'sphere.{registration}')
        distorted = f'{{ArealDistortion,EdgeDistortion,StrainJ,StrainR}}_{registration}'
        self._make('scalar', self.atlas / 'Native', f'{s}.{distorted}.native.dscalar.nii')
        joined = f'{o["output-fmri-name"]}{o["fmri-proc-string"]}_vn.dtseries.nii'
        self._make('dense', self.results(o['output-fmri-name']), joined)

    def _dedriftandresample(self):
        o, s = self.o, self.session
        new = o.get('concat-reg-name') or o['registration-name']
        sphere = f'{s}.{{L,R}}.sphere.{o["registration-name"]}.native.surf.gii'
        self._need(self.atlas / 'Native' / sphere)
        self._need(o['myelin-target-file'], *_listed(o, 'dedrift-reg-files'))
        myelin = bool(_listed(o, 'myelin-maps'))
        self._surfaces(self.atlas / 'Native', 'native', f'sphere.{new}')
        distorted = f'{{ArealDistortion,EdgeDistortion,StrainJ,StrainR}}_{new}'
        self._make('scalar', self.atlas / 'Native', f'{s}.{distorted}.native.dscalar.nii')
        low, high = o['low-res-meshes'].split('@'), o['high-res-mesh']
        self._meshes(low, high, f'_{new}', new, myelin=myelin)
        clean = f'hp{o["high-pass"]}_clean'
        groups = [group.split('@') for group in _listed(o, 'multirun-fix-names', '%')]
        names = _listed(o, 'multirun-fix-concat-names')
        if len(groups) != len(names):
            raise RefusedError(1, 'ERROR: as many groups of runs as names are needed')
        for run in [*(run for group in groups for run in group), *_listed(o, 'fix-names')]:
            self._need(self.results(run) / f'{run}{{.nii.gz,_Atlas.dtseries.nii}}')
            self._make('dense', self.results(run), f'{run}_Atlas_{new}.dtseries.nii')
            self._make('clean', self.results(run), f'{run}_Atlas_{new}_{clean}.dtseries.nii')
        for name in names:
            self._need(self.results(name) / f'{name}_hp{o["high-pass"]}.ica/.fix')
            self._make('clean', self.results(name), f'{name}_Atlas_{new}_{clean}.dtseries.nii')
        for run in _listed(o, 'dont-fix-names'):
            self._need(self.results(run) / f'{run}.nii.gz')
            self._make('dense', self.results(run), f'{run}_Atlas_{new}.dtseries.nii')
