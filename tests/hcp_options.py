"""Options of the scripts of the HCP pipelines 5.0.0, and how they are read."""

#: Stage, environment, mandatory options, other options, and older spellings.
SCRIPTS = {
    'PreFreeSurfer/PreFreeSurferPipeline.sh': (
        'PreFreeSurfer',
        'FSLDIR HCPPIPEDIR_Global HCPPIPEDIR_Templates CARET7DIR',
        '--path --session --t1 --t2 --t1template --t1templatebrain --t1template2mm --t2template '
        '--t2templatebrain --t2template2mm --templatemask --template2mmmask --brainsize '
        '--fnirtconfig --seechospacing --seunwarpdir --t1samplespacing --t2samplespacing '
        '--unwarpdir --gdcoeffs --avgrdcmethod',
        '--fmapmag --fmapphase --fmapcombined --echodiff --SEPhaseNeg --SEPhasePos --topupconfig '
        '--bfsigma --custombrain --processing-mode --usejacobian',
        '--subject=--session --fmap=--fmapcombined',
    ),
    'FreeSurfer/FreeSurferPipeline.sh': (
        'FreeSurfer',
        'FREESURFER_HOME FSLDIR',
        '--session',
        '--session-dir --t1w-image --t1w-brain --t2w-image --seed --flair --existing-session '
        '--extra-reconall-arg --conf2hires --processing-mode',
        '--subject=--session --t1=--t1w-image --t1brain=--t1w-brain --t2=--t2w-image '
        '--existing-subject=--existing-session',
    ),
    'PostFreeSurfer/PostFreeSurferPipeline.sh': (
        'PostFreeSurfer',
        'MSMCONFIGDIR FSLDIR CARET7DIR MSMBINDIR',
        '--study-folder --session --subcortgraylabels --freesurferlabels --refmyelinmaps',
        '--surfatlasdir --grayordinatesres --grayordinatesdir --hiresmesh --lowresmesh --mcsigma '
        '--regname --inflatescale --processing-mode --structural-qc --use-ind-mean '
        '--subject-long --longitudinal-mode --longitudinal-template --sessions',
        '--path=--study-folder --subject=--session',
    ),
    'fMRIVolume/GenericfMRIVolumeProcessingPipeline.sh': (
        'fMRIVolume',
        'FSLDIR FREESURFER_HOME HCPPIPEDIR_Global CARET7DIR',
        '--studyfolder --subject --fmritcs --fmriname --fmrires --biascorrection --gdcoeffs '
        '--dcmethod',
        '--fmriscout --mctype --echospacing --unwarpdir --SEPhaseNeg --SEPhasePos --topupconfig '
        '--fmapmag --fmapphase --echodiff --fmapcombined --dof --usejacobian --processing-mode '
        '--wb-resample --echoTE --matlab-run-mode --preregistertool --doslicetime '
        '--slicetimerparams --fmrimask --fmriref --fmrirefreg',
        '--path=--studyfolder --fmap=--fmapcombined',
    ),
    'fMRISurface/GenericfMRISurfaceProcessingPipeline.sh': (
        'fMRISurface',
        'FSLDIR CARET7DIR',
        '--studyfolder --subject --fmriname --lowresmesh --fmrires --smoothingFWHM '
        '--grayordinatesres',
        '--regname --fmri-qc --goodvoxel',
        '--path=--studyfolder',
    ),
    'ICAFIX/hcp_fix': ('ICAFIX', 'FSLDIR FSL_FIXDIR', '', '', ''),
    'ICAFIX/hcp_fix_multi_run': (
        'ICAFIX',
        'CARET7DIR FSLDIR HCPCIFTIRWDIR',
        '--fmri-names --high-pass --concat-fmri-name',
        '--motion-regression --enable-legacy-fix --training-file --fix-threshold '
        '--T1wTemplateBrain --delete-intermediates --fallback-threshold --vol-wisharts '
        '--cifti-wisharts --icadim-mode --processing-mode --concatenate-only --ica-method '
        '--parallel-limit --matlab-run-mode',
        '',
    ),
    'ICAFIX/PostFix.sh': (
        'PostFix',
        'CARET7DIR FSLDIR HCPCIFTIRWDIR',
        '--study-folder --subject --fmri-name --high-pass --template-scene-dual-screen '
        '--template-scene-single-screen --reuse-high-pass',
        '--matlab-run-mode',
        '--path=--study-folder',
    ),
    'ICAFIX/ApplyHandReClassifications.sh': (
        'ReApplyFix',
        'FSLDIR',
        '--study-folder --subject --fmri-name --high-pass',
        '--reclassify-as-signal-file --reclassify-as-noise-file --matlab-run-mode',
        '--path=--study-folder',
    ),
    'ICAFIX/ReApplyFixPipeline.sh': (
        'ReApplyFix',
        'CARET7DIR FSLDIR HCPCIFTIRWDIR',
        '--study-folder --subject --fmri-name --high-pass',
        '--reg-name --low-res-mesh --matlab-run-mode --motion-regression --delete-intermediates '
        '--clean-substring',
        '--path=--study-folder',
    ),
    'ICAFIX/ReApplyFixMultiRunPipeline.sh': (
        'ReApplyFix',
        'CARET7DIR FSLDIR HCPCIFTIRWDIR',
        '--study-folder --subject --fmri-names --concat-fmri-name --high-pass',
        '--reg-name --low-res-mesh --motion-regression --delete-intermediates --vol-wisharts '
        '--cifti-wisharts --icadim-mode --processing-mode --clean-substring --matlab-run-mode',
        '--path=--study-folder',
    ),
    'MSMAll/MSMAllPipeline.sh': (
        'MSMAll',
        'MSMCONFIGDIR CARET7DIR MSMBINDIR',
        '--study-folder --subject --fmri-names-list --multirun-fix-names '
        '--multirun-fix-concat-name --multirun-fix-names-to-use --output-fmri-name --high-pass '
        '--fmri-proc-string --msm-all-templates --input-registration-name '
        '--output-registration-name --high-res-mesh --low-res-mesh --myelin-target-file',
        '--module-name --iteration-modes --method --use-migp --ica-dim --low-sica-dims --vn '
        '--rerun-if-exists --registration-configure-path '
        '--registration-configure-override-variables --rsn-template-file --rsn-weights-file '
        '--topography-roi-file --topography-target-file --use-ind-mean --start-frame --end-frame '
        '--matlab-run-mode',
        '--path=--study-folder --melodic-high-pass=--high-pass',
    ),
    'DeDriftAndResample/DeDriftAndResamplePipeline.sh': (
        'DeDriftAndResample',
        'CARET7DIR',
        '--study-folder --subject --high-res-mesh --low-res-meshes --registration-name --maps '
        '--smoothing-fwhm --high-pass --motion-regression --myelin-target-file',
        '--dedrift-reg-files --concat-reg-name --myelin-maps --multirun-fix-names '
        '--multirun-fix-concat-names --multirun-fix-extract-names '
        '--multirun-fix-extract-concat-names --multirun-fix-extract-extra-regnames '
        '--multirun-fix-extract-volume --fix-names --dont-fix-names --input-reg-name '
        '--use-ind-mean --matlab-run-mode',
        '--path=--study-folder --melodic-high-pass=--high-pass --highpass=--high-pass',
    ),
}


class RefusedError(Exception):
    """A script ends: its code and what it says."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def parse(script, argv):
    """Read options as the scripts do: every option has a value, and is given once."""
    _, _, mandatory, others, older = SCRIPTS[script]
    if script == 'ICAFIX/hcp_fix':
        if not 3 <= len(argv) <= 6:
            raise RefusedError(1, 'hcp_fix <4D_FMRI_data> <highpass> <do_motion_regression> ...')
        names = ('fmri', 'high-pass', 'motion', 'training', 'threshold', 'delete')
        return dict(zip(names, argv, strict=False))
    spellings = dict(pair.rsplit('=', 1) for pair in older.split())
    known, given, queue = {*mandatory.split(), *others.split()}, {}, list(argv)
    if not queue:
        raise RefusedError(2, f'usage of {script}')
    while queue:
        flag, equals, value = queue.pop(0).partition('=')
        name = spellings.get(flag, flag)
        if name not in known:
            raise RefusedError(2, f"ERROR: unrecognized option: '{flag}'")
        if not equals and not queue:
            raise RefusedError(1, f'ERROR: missing value for parameter {flag}')
        if name in given and name != '--extra-reconall-arg':
            raise RefusedError(1, f'ERROR: parameter specified multiple times: {flag}')
        given[name] = value if equals else queue.pop(0)
    missing = [flag for flag in mandatory.split() if flag not in given]
    if missing:
        names = ' '.join(missing)
        raise RefusedError(1, f'ERROR: missing the following mandatory parameter(s): {names}')
    return {flag[2:]: value for flag, value in given.items()}
