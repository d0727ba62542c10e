"""A very small copy of the HCP pipelines, whose one script does what its test writes into it."""

from nipype.interfaces.base import Directory, File, Str, traits

from ketbids.interfaces.hcp.script import HcpScript, HcpScriptInputSpec, HcpScriptOutputSpec

_BEGIN = '#!/bin/bash\nset -eu\nsource "$HCPPIPEDIR/global/scripts/newopts.shlib" "$@"\n'


class _SmallInputSpec(HcpScriptInputSpec):
    study_folder = Directory(argstr='--path=%s', mandatory=True)
    session = Str(argstr='--subject=%s', mandatory=True, label=True)
    images = traits.List(File(exists=True), argstr='--t1=%s', sep='@', otherwise='NONE')
    spacing = traits.Float(argstr='--spacing=%s')
    runs = traits.List(Str, argstr='--runs=%s', sep='@', label=True)
    tokens = traits.List(Str, argstr='--token=%s')
    flag = traits.Bool(argstr='--flag')
    jacobian = traits.Bool(argstr='--jacobian=%s')
    template = File(argstr='--template=%s', at_run=True)
    labels = File(argstr='--labels=%s', stamp=True)


class _SmallOutputSpec(HcpScriptOutputSpec):
    image = File()
    text = File()


class Small(HcpScript):
    """A script that makes an image and a text."""

    input_spec = _SmallInputSpec
    output_spec = _SmallOutputSpec
    _script = 'Small/Small.sh'
    _stage = 'PreFreeSurfer'
    _variables = ('HCPPIPEDIR', 'FSLDIR')

    def _list_outputs(self):
        folder = self.folders.t1w
        made = {'image': str(folder / 'T1w.nii.gz'), 'text': str(folder / 'acpc.mat')}
        return {**super()._list_outputs(), **made}

    def stale(self):
        return [self.folders.t1w]

    def inner_logs(self):
        return [self.folders.t1w / 'inner.log']


class Checkout:
    """Folders of a test: the HCP pipelines, raw data, the study folder."""

    def __init__(self, top, version='v5.0.0'):
        self.top, self.hcp_dir, self.study = top, top / 'pipelines', top / 'study'
        scripts = self.hcp_dir / 'global' / 'scripts'
        (scripts / 'versioning').mkdir(parents=True)
        (scripts / 'newopts.shlib').touch()
        for name in ('base', 'release'):
            (scripts / 'versioning' / f'{name}.txt').write_text(f'{version}\n')
        (self.hcp_dir / 'Small').mkdir()
        self.script = self.hcp_dir / 'Small' / 'Small.sh'
        self.raw = top / 'raw' / 'sub-01_T1w.nii.gz'
        self.raw.parent.mkdir()
        self.raw.write_bytes(b'raw data')
        self.whole = top / 'whole.nii.gz'
        self.stages = self.study / 'sub-01' / 'stages'
        self.works()

    def says(self, body, *, begin=_BEGIN):
        """Write the script."""
        self.script.write_text(begin + body)
        self.script.chmod(0o755)

    def works(self, more=''):
        """Let the script make what it should, and tell how often it ran."""
        self.says(
            f'echo "$0 $*" >> {self.top}/calls\n'
            f'mkdir -p {self.study}/sub-01/T1w\n'
            f'cp {self.whole} {self.study}/sub-01/T1w/T1w.nii.gz\n'
            f'echo 1 0 0 0 > {self.study}/sub-01/T1w/acpc.mat\n{more}\n'
        )

    @property
    def calls(self):
        path = self.top / 'calls'
        return path.read_text().splitlines() if path.exists() else []

    def small(self, kind=Small, name='PreFreeSurfer', **inputs):
        """Make the interface."""
        given = {
            'hcp_dir': self.hcp_dir,
            'study_folder': self.study,
            'session': 'sub-01',
            'images': [self.raw],
            'record': self.stages / f'{name}.json',
            'log': self.stages / f'{name}.log',
            'environ': {'FSLDIR': '/fsl'},
        }
        plain = {
            key: [str(item) for item in value] if key == 'images' else value
            for key, value in {**given, **inputs}.items()
        }
        return kind(**plain)
