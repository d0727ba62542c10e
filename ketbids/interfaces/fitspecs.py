"""What nodes that estimate effects are given and give; shared by all engines."""

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

__all__ = ['STATISTICS', 'FitInputSpec', 'FitOutputSpec', 'MapsOutputSpec']

#: Maps of a t contrast.
STATISTICS = ('effect', 'variance', 't', 'z')


class FitInputSpec(BaseInterfaceInputSpec):
    """Inputs of whatever fits the GLM of a run."""

    series_file = File(exists=True, mandatory=True, desc='smoothed dense time series')
    source_file = File(exists=True, desc='time series before smoothing, for messages')
    origin = traits.Enum('hcp', 'fmriprep', usedefault=True, desc='who preprocessed the run')
    design_file = File(exists=True, mandatory=True, desc='design matrix')
    contrasts_file = File(exists=True, mandatory=True, desc='weights of the contrasts')
    noise_model = traits.Str('ar6', usedefault=True, desc='ols, arN or film')
    smoothing_file = File(exists=True, desc='weights that smooth the noise model in space')
    removed_components = traits.Range(low=0, desc='components that FIX removed from the run')
    num_threads = traits.Range(low=1, value=1, usedefault=True, nohash=True, desc='threads')


class MapsOutputSpec(TraitedSpec):
    """Maps of contrasts, of one run or of several."""

    contrasts = traits.List(traits.Str, desc='names of the t contrasts that can be estimated')
    effect = traits.List(File(exists=True), desc='one file per t contrast')
    variance = traits.List(File(exists=True), desc='one file per t contrast')
    t = traits.List(File(exists=True), desc='one file per t contrast')
    z = traits.List(File(exists=True), desc='one file per t contrast')
    sidecars = traits.List(traits.Dict, desc='metadata, one per t contrast')
    f_contrasts = traits.List(traits.Str, desc='names of the F contrasts')
    f = traits.List(File(exists=True), desc='F, one file per F contrast')
    f_z = traits.List(File(exists=True), desc='normal deviates of F, one file per F contrast')
    f_sidecars = traits.List(traits.Dict, desc='metadata, one per F contrast')
    density = traits.Str(desc='BIDS den label')


class FitOutputSpec(MapsOutputSpec):
    """Outputs of whatever fits the GLM of a run."""

    f_joint = traits.List(
        File(exists=True),
        desc='per F contrast its q effects and the q (q + 1) / 2 covariances (row by row, '
        'diagonal and right of it), for the combination of runs',
    )
    not_estimable = traits.Dict(desc='reason, per contrast that cannot be estimated')
    notes = traits.List(traits.Str, desc='what is odd about the time series')
    whiteness = File(exists=True, desc='maps of the test for autocorrelation that is left')
    whiteness_sidecars = traits.List(traits.Dict, desc='metadata of these maps, if there are any')
    quality = traits.Dict(desc='noise model and whiteness, as plain values')
